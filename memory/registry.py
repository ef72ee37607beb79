"""Cores by name, with options checked before anything is built."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable
from typing import Any

from lukasa.ground.names import UnknownNameError, unknown
from lukasa.memory.baselines import GRU, LSTM, FeedForward
from lukasa.memory.core import Core
from lukasa.memory.dam import DAM
from lukasa.memory.dnc import DNC
from lukasa.memory.mann import MANN
from lukasa.memory.ntm import NTM
from lukasa.memory.options import check_value, keyword_options
from lukasa.memory.sam import SAM
from lukasa.memory.sdnc import SDNC
from lukasa.memory.snail import SNAIL
from lukasa.memory.sparse.layout import IndexOptions

CORES: dict[str, type[Core]] = {
    "ntm": NTM,
    "dnc": DNC,
    "sam": SAM,
    "dam": DAM,
    "sdnc": SDNC,
    "mann": MANN,
    "snail": SNAIL,
    "lstm": LSTM,
    "gru": GRU,
    "feedforward": FeedForward,
}
"""Every core by the name that ``make_core`` and the command line know."""


class CoreImportError(UnknownNameError):
    """A core of one's own that cannot be imported; the message says why."""

    def __init__(self, path: str, reason: str):
        super().__init__(f"core {path!r} {reason}")


def core_class(name: str) -> type[Core]:
    """The class of a core.

    Args:
        name: a key of ``CORES``, or the import path of a core of one's own, "package.module:Class".

    Raises:
        UnknownNameError: there is no such core, or it cannot be imported.
    """
    if ":" in name:
        return _imported(name)
    if name not in CORES:
        raise UnknownNameError(unknown("core", name, CORES))
    return CORES[name]


def import_named(path: str, refuse: Callable[[str, str], UnknownNameError]) -> Any:
    """What an import path names.

    Args:
        path: "package.module:Name".
        refuse: makes the error, of the path and of what is wrong with it.

    Raises:
        UnknownNameError: it cannot be imported.
    """
    module_name, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module_name), name)
    except Exception as error:  # a module of one's own may raise anything
        reason = f"cannot be imported ({type(error).__name__}: {error}): expected 'package.module:Class'"
        raise refuse(path, reason) from error


def _imported(path: str) -> type[Core]:
    found = import_named(path, CoreImportError)
    if not (isinstance(found, type) and issubclass(found, Core)):
        reason = "is not a memory.Core: expected the import path of a subclass of memory.Core"
        raise CoreImportError(path, reason)
    return found


def core_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a core: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownNameError: there is no such core.
    """
    build = core_class(name)
    return _own_options(build) if ":" in name else keyword_options(build)


def _own_options(build: type[Core]) -> dict[str, inspect.Parameter]:
    """What a constructor of one's own takes after ``input_size`` and ``output_size``, however it is annotated."""
    try:
        hints = typing.get_type_hints(build.__init__)
    except Exception:  # names that only a type checker sees
        hints = {}
    options = list(inspect.signature(build).parameters.values())[2:]
    named = [one for one in options if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    guessed = {one.name: type(one.default) if one.default not in (one.empty, None) else str for one in named}
    return {one.name: one.replace(annotation=hints.get(one.name, guessed[one.name])) for one in named}


def check_core_options(name: str, options: dict[str, Any]) -> None:
    """Refuse options that a core does not have, or values of another type.

    Raises:
        UnknownNameError: the core or one of the options is unknown.
        ValueError: a value is of another type, not among the choices, or a size that is not positive.
    """
    known, own = core_options(name), ":" in name
    if own and any(one.kind is one.VAR_KEYWORD for one in inspect.signature(core_class(name)).parameters.values()):
        return
    for option, value in options.items():
        if option not in known:
            raise UnknownNameError(unknown(f"option of core {name!r}:", option, known))
        if own:  # whose values only it knows
            continue
        _check_value(name, option, value, known[option].annotation)


def make_core(name: str, *, input_size: int, output_size: int, **options: Any) -> Core:
    """Build a core by name.

    Args:
        name: a key of ``CORES``, or the import path of a core of one's own, "package.module:Class".
        input_size: width of one input.
        output_size: width of one output.
        **options: the core's own options; the paper's values are the defaults.

    Raises:
        UnknownNameError: the name or an option is unknown; the message gives the nearest known one.
        ValueError: an option's value cannot be used.

    Example:
        >>> import torch
        >>> core = make_core("dnc", input_size=9, output_size=8, slots=64, word_size=16, read_heads=4)
        >>> output, state = core(torch.zeros(2, 9), core.initial_state(2))
        >>> output.shape
        torch.Size([2, 8])
    """
    check_core_options(name, options)
    for what, size in (("input_size", input_size), ("output_size", output_size)):
        _check_value(name, what, size, int)
    build: Any = core_class(name)
    return build(input_size, output_size, **options)


def _check_value(core: str, option: str, value: Any, kind: Any) -> None:
    where = f"option {option!r} of core {core!r}"
    if kind == IndexOptions:
        pairs = value.items() if isinstance(value, dict) else [] if value is None else [(None, None)]
        if not all(isinstance(name, str) and type(number) in (int, float) for name, number in pairs):
            raise ValueError(f"{where} is {value!r}: expected numbers by the names of options, or None")
    else:
        check_value(where, value, kind)
