"""What a class says about itself and its options, in values that JSON has."""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Iterable
from typing import Any, Literal

from lukasa.launch.options.fields import Option, documented, is_mapping

Row = dict[str, Any]

KINDS: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "str": str,
    "int | None": int | None,
    "float | None": float | None,
    "str | None": str | None,
    "tuple[int, ...]": tuple[int, ...],
    "tuple[str, ...]": tuple[str, ...],
    "settings": dict[str, Any] | None,
}
"""Types that an option may have beside choices, by their spelling in the table."""


def kind_of_row(row: Row) -> Any:
    """The type of an option in the table."""
    if "choices" not in row:
        return KINDS[row["type"]]
    choice: Any = Literal[tuple(row["choices"])]
    return choice | None if row.get("optional") else choice


def describe(made: Any, parameters: Iterable[inspect.Parameter]) -> Row:
    """What a class says in its docstring and its parameters."""
    texts = documented(made)
    options = [row_of(Option((one.name,), one.annotation, one.default, texts.get(one.name, ""))) for one in parameters]
    return {"summary": (inspect.getdoc(made) or "").partition("\n")[0], "options": options}


def row_of(option: Option) -> Row:
    """An option, as ``kind_of_row`` reads it."""
    row: Row = {"name": option.path[-1], **_spelled(option.kind), "default": option.default, "help": option.text}
    if dataclasses.is_dataclass(option.default) or len(option.path) > 1:
        raise TypeError(f"option {option.name} is nested, which the table of options has no place for")
    return row | ({"switch": True} if option.is_switch else {})


def _spelled(kind: Any) -> Row:
    one_of = [one for one in typing.get_args(kind) if one is not type(None)]
    if typing.get_origin(kind) in (typing.Union, types.UnionType) and len(one_of) == 1:
        row = _spelled(one_of[0])
        if "choices" in row:
            return row | {"type": f"{row['type']}|None", "optional": True}
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        return {"type": "|".join(map(str, choices)), "choices": list(choices)}
    if is_mapping(kind):
        return {"type": "settings"}
    for name, known in KINDS.items():
        if kind == known:
            return {"type": name}
    raise TypeError(f"an option of type {kind} has no spelling on the command line: add it to {__name__}.KINDS")
