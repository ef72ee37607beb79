"""Cores of one's own on the command line: their options, read from the class that ``--core`` names by its module."""

from __future__ import annotations

from typing import Any

from launch.options.describing import describe
from launch.options.errors import UserError


def describe_own_core(path: str) -> dict[str, Any]:
    """What a core of one's own says about itself, as ``launch.options.described.described`` says of the others.

    Raises:
        UserError: it cannot be imported, or an option of it cannot be given on a command line.
    """
    import memory

    try:
        options = memory.core_options(path)
    except memory.UnknownNameError as error:
        raise UserError(str(error)) from None
    for name, one in options.items():
        if one.default is one.empty:
            raise UserError(f"option {name!r} of core {path!r} has no default, which it needs here: give it one")
    try:
        return describe(memory.core_class(path), options.values())
    except TypeError as error:
        raise UserError(f"core {path!r}: {str(error).partition(': add it')[0]}: use int, float, bool or str") from None
