"""Options of what is built by name: which there are, and whether a value can be one."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Callable
from typing import Any


def keyword_options(build: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of a class's constructor: by name, with default and resolved type annotation."""
    constructor: Any = build.__init__  # pyright: ignore[reportFunctionMemberAccess]
    hints = typing.get_type_hints(constructor)
    parameters = inspect.signature(constructor).parameters.values()
    return {p.name: p.replace(annotation=hints[p.name]) for p in parameters if p.kind is p.KEYWORD_ONLY}


def check_value(where: str, value: Any, kind: Any) -> None:
    """Refuse a value of another type, one that is not among the choices, or a size that is not positive.

    Args:
        where: what it is the value of, for the message.
        value: any.
        kind: the annotation: a ``Literal``, ``bool``, ``int`` (for sizes), ``float`` or ``str``; others take anything.

    Raises:
        ValueError: it cannot be used; the message says what was expected.
    """
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        fits, expected = value in choices, f"choose one of {', '.join(map(repr, choices))}"
    else:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits, expected = {
            bool: (isinstance(value, bool), "expected True or False"),
            int: (number and isinstance(value, int) and value >= 1, "expected a whole number of at least 1"),
            float: (number and math.isfinite(value), "expected a finite number"),
            str: (isinstance(value, str), "expected a name"),
        }.get(kind, (True, ""))
    if not fits:
        raise ValueError(f"{where} is {value!r}: {expected}")
