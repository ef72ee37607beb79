"""Algorithms of reinforcement learning as the command line sees them: the known ones, and those of one's own."""

from __future__ import annotations

import inspect
from typing import Any

from launch.options.describing import row_of
from launch.options.errors import UserError
from launch.options.fields import Option, documented


def describe_own_algorithm(path: str) -> dict[str, Any]:
    """What an algorithm of one's own says about itself, as ``describe_algorithm`` says of the known ones.

    Raises:
        UserError: it cannot be imported, or an option of it cannot be given on a command line.
    """
    import memory
    from agents import rllib  # imports Ray

    try:
        options = rllib.algorithm_options(path)
    except memory.UnknownNameError as error:
        raise UserError(str(error)) from None
    for name, one in options.items():
        if one.default is one.empty:
            raise UserError(f"option {name!r} of algorithm {path!r} has no default, which it needs here: give it one")
    try:
        return describe_algorithm(path)
    except TypeError as error:
        known = f"algorithm {path!r}: {str(error).partition(': add it')[0]}"
        raise UserError(f"{known}: use int, float, bool or str") from None


def describe_algorithm(name: str) -> dict[str, Any]:
    """What an algorithm says in its docstrings: itself, whether it is asynchronous, its options."""
    from agents import rllib  # imports Ray

    config = rllib.algorithm_class(name)
    texts: dict[str, str] = {}
    for base in reversed(inspect.getmro(config.Options)):
        texts |= documented(base)
    options = rllib.algorithm_options(name).values()
    return {
        "summary": (inspect.getdoc(config) or "").partition("\n")[0],
        "asynchronous": config.asynchronous,
        "options": [
            row_of(Option((one.name,), one.annotation, one.default, texts.get(one.name, ""))) for one in options
        ],
    }
