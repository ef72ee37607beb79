"""Cores, algorithms and data sets of one's own on the command line, each named by its module, and their options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.options.describing import describe, row_of
from lukasa.launch.options.fields import Option, documented


def describe_own_core(path: str) -> dict[str, Any]:
    """What a core of one's own says about itself, as ``described.described`` says of the others.

    Raises:
        UserError: it cannot be imported, or an option of it cannot be given on a command line.
    """
    from lukasa import memory

    def says(options: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
        return describe(memory.core_class(path), options.values())

    return _described(f"core {path!r}", lambda: memory.core_options(path), memory.UnknownNameError, says)


def describe_own_algorithm(path: str) -> dict[str, Any]:
    """What an algorithm of one's own says about itself, as ``describe_algorithm`` says of the known ones.

    Raises:
        UserError: it cannot be imported, or an option of it cannot be given on a command line.
    """
    from lukasa import memory
    from lukasa.agents import rllib  # imports Ray

    def says(_: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
        return describe_algorithm(path)

    return _described(f"algorithm {path!r}", lambda: rllib.algorithm_options(path), memory.UnknownNameError, says)


def describe_own_dataset(path: str) -> dict[str, Any]:
    """What a data set of one's own says about itself, as ``described.described`` says of the others.

    Raises:
        UserError: it cannot be imported, or an option of it cannot be given on a command line.
    """
    from lukasa import tasks

    def says(options: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
        found = tasks.find_dataset(path)
        return {"title": found.title, "place": found.place, **describe(found.make, options.values())}

    return _described(f"data set {path!r}", lambda: tasks.dataset_options(path), tasks.UnknownDatasetError, says)


def describe_algorithm(name: str) -> dict[str, Any]:
    """What an algorithm says in its docstrings: itself, whether it is asynchronous, its options."""
    from lukasa.agents import rllib  # imports Ray

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


def _described(
    what: str,
    read: Callable[[], Mapping[str, inspect.Parameter]],
    unknown: type[Exception],
    says: Callable[[Mapping[str, inspect.Parameter]], dict[str, Any]],
) -> dict[str, Any]:
    """What a thing says about itself, whose options a command line has to be able to give."""
    try:
        options = read()
    except unknown as error:
        raise UserError(str(error)) from None
    for name, one in options.items():
        if one.default is one.empty:
            raise UserError(f"option {name!r} of {what} has no default, which it needs here: give it one")
    try:
        return says(options)
    except TypeError as error:
        raise UserError(f"{what}: {str(error).partition(': add it')[0]}: use int, float, bool or str") from None
