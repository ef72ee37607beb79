"""Numbers of a command line that have to be large enough."""

from __future__ import annotations

from typing import Any

from lukasa.ground.mistakes import UserError


def check_least(options: Any, **least: float) -> None:
    """Refuse options below the smallest value that they may have; those that are None or empty were not given.

    Args:
        options: a dataclass of options.
        least: the smallest value of each, by the name of its field; of several values, of the smallest of them.

    Raises:
        UserError: one is too small.

    Example:
        >>> from types import SimpleNamespace
        >>> check_least(SimpleNamespace(seeds=1, max_steps=None, layers=(1, 2)), seeds=1, max_steps=1, layers=1)
        >>> check_least(SimpleNamespace(max_steps=0), max_steps=1)
        Traceback (most recent call last):
        lukasa.ground.mistakes.UserError: option --max-steps is 0: expected at least 1
    """
    for name, bound in least.items():
        value = getattr(options, name)
        if isinstance(value, tuple):
            value = min(value, default=None)
        if value is not None and value < bound:
            raise UserError(f"option --{name.replace('_', '-')} is {value}: expected at least {bound}")
