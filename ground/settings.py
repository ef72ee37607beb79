"""Checks of the numbers and names a user may choose: settings of tasks and environments."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral


def check_whole(owner: str, name: str, value: object, least: int, most: int | None = None) -> None:
    """Refuse a setting that is not a whole number, too small, or too large.

    Raises:
        ValueError: the message says which setting, what it was and what was expected.
    """
    # Integral takes NumPy's whole numbers too, which are no ints.
    number = int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None
    if number is None or number < least or (most is not None and number > most):
        expected = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{owner}: {name} is {value!r}, expected a whole number {expected}")


def check_range(owner: str, name: str, smallest: int, largest: int, *, least: int = 1, most: int | None = None) -> None:
    """Refuse a pair of settings min_<name> and max_<name> that leaves nothing to draw from.

    Raises:
        ValueError: the message says which setting, what it was and what was expected.
    """
    check_whole(owner, f"min_{name}", smallest, least, most)
    check_whole(owner, f"max_{name}", largest, least, most)
    if smallest > largest:
        raise ValueError(f"{owner}: min_{name} {smallest} is above max_{name} {largest}: raise max_{name}")


def check_choice(owner: str, name: str, value: object, choices: Iterable[object]) -> None:
    """Refuse a setting that is none of the choices.

    Raises:
        ValueError: the message lists the choices.
    """
    choices = list(choices)
    if value not in choices:
        raise ValueError(f"{owner}: {name} is {value!r}: choose one of {', '.join(map(repr, choices))}")
