"""Values of a ``config.json`` as the fields of an experiment declare them; a file that was edited may hold anything."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from typing import Any

from lukasa.ground.mistakes import UserError

LARGEST = 2**63
"""Whole numbers of this size and more are no setting of anything."""

_EXPECTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text",
    dict: "a JSON object",
    type(None): "null",
}


def read_saved(where: str, kind: Any, value: Any) -> Any:
    """A value out of JSON, as a field of a type holds it.

    Args:
        where: what holds the value, for the message.
        kind: the type that the field declares.
        value: any that JSON has; its lists become tuples, except in the settings of environments.

    Raises:
        UserError: it is of another type.

    Example:
        >>> read_saved("x", tuple[int, ...], [1, 2]), read_saved("x", float | None, None), read_saved("x", float, 3)
        ((1, 2), None, 3)
    """
    if not _fits(kind, value):
        shown = repr(value)
        raise UserError(f"{where} is {shown[:60]}{'...' if len(shown) > 60 else ''}: expected {_expected(kind)}")
    # What environments are given has lists, as JSON does; options of our own have tuples.
    return value if typing.get_origin(kind) is dict else _tuples(value)


def without_nan(value: Any) -> Any:
    """JSON has no NaN and no infinity: null where the best score, say, is not known."""
    if isinstance(value, dict):
        return {name: without_nan(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _fits(kind: Any, value: Any) -> bool:
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(one, value) for one in typing.get_args(kind))
    if origin is typing.Literal:
        return any(value is one or (isinstance(one, str) and value == one) for one in typing.get_args(kind))
    if origin is tuple:
        return isinstance(value, list | tuple) and all(_fits(typing.get_args(kind)[0], one) for one in value)
    if _is_mapping(origin or kind):
        return isinstance(value, dict)
    if kind is bool or isinstance(value, bool):
        return kind in (bool, Any) and isinstance(value, bool)
    if isinstance(value, int) and abs(value) >= LARGEST:
        return kind is Any
    if kind is float:
        return isinstance(value, int | float) and math.isfinite(value)
    return kind is Any or isinstance(value, kind)


def _is_mapping(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Mapping)


def _expected(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(map(_expected, typing.get_args(kind)))
    if origin is typing.Literal:
        return f"one of {', '.join(map(repr, typing.get_args(kind)))}"
    if origin is tuple:
        return f"a list, each part {_expected(typing.get_args(kind)[0])}"
    return _EXPECTED[dict if _is_mapping(origin or kind) else kind]


def _tuples(value: Any) -> Any:
    """JSON knows no tuples: what comes back as a list was one."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return {key: _tuples(item) for key, item in value.items()} if isinstance(value, dict) else value
