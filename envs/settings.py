"""Checks of the numbers a user may choose for an environment."""

from __future__ import annotations

from numbers import Integral


def check_whole_number(environment: str, name: str, value: object, least: int) -> None:
    """Refuse a setting that is not a whole number or is too small.

    Raises:
        ValueError: the message says which setting, what it was and what was expected.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{environment}: {name} is {value!r}, expected a whole number of at least {least}")
