"""Errors whose message is written for users: one sentence, on the command line and in Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """What was wrong, what was expected, what to do; the command line prints it and exits with code 2."""


class TrainingError(Exception):
    """Training cannot go on: what happened, where, and what is left; the command line prints it and exits with 1."""


@contextmanager
def as_user_error(before: str = "", *more: type[Exception]) -> Iterator[None]:
    """Turn a value that is refused into a mistake of the user; errors that are written for users pass as they are.

    Args:
        before: put before the message, such as the option that was given.
        *more: errors that also count as a refusal, beside ``ValueError``.

    Raises:
        UserError: with the message of the ``ValueError``.

    Example:
        >>> with as_user_error("--size: "):
        ...     raise ValueError("expected a whole number")
        Traceback (most recent call last):
            ...
        lukasa.ground.mistakes.UserError: --size: expected a whole number
    """
    try:
        yield
    except UserError:
        raise
    except (ValueError, *more) as error:
        raise UserError(f"{before}{error}") from None
