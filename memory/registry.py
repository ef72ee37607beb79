"""Cores by name, with options checked before anything is built."""

from __future__ import annotations

import difflib
import inspect
import typing
from typing import Any

from memory.baselines import GRU, LSTM, FeedForward
from memory.core import Core
from memory.dam import DAM
from memory.dnc import DNC
from memory.mann import MANN
from memory.ntm import NTM
from memory.options import check_value, keyword_options
from memory.sam import SAM
from memory.sdnc import SDNC
from memory.snail import SNAIL
from memory.sparse.layout import IndexOptions

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


class UnknownNameError(ValueError):
    """A name that is not known; the message gives the nearest one that is."""

    def __init__(self, what: str, name: str, known: typing.Iterable[str]):
        known = list(known)
        near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
        hint = f"the nearest known one is {near[0]!r}" if near else f"known are {', '.join(known)}"
        super().__init__(f"unknown {what} {name!r}: {hint}")


def core_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a core: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownNameError: there is no such core.
    """
    if name not in CORES:
        raise UnknownNameError("core", name, CORES)
    return keyword_options(CORES[name])


def check_core_options(name: str, options: dict[str, Any]) -> None:
    """Refuse options that a core does not have, or values of another type.

    Raises:
        UnknownNameError: the core or one of the options is unknown.
        ValueError: a value is of another type, not among the choices, or a size that is not positive.
    """
    known = core_options(name)
    for option, value in options.items():
        if option not in known:
            raise UnknownNameError(f"option of core {name!r}:", option, known)
        _check_value(name, option, value, known[option].annotation)


def make_core(name: str, *, input_size: int, output_size: int, **options: Any) -> Core:
    """Build a core by name.

    Args:
        name: a key of ``CORES``.
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
    build: Any = CORES[name]
    return build(input_size, output_size, **options)


def _check_value(core: str, option: str, value: Any, kind: Any) -> None:
    where = f"option {option!r} of core {core!r}"
    if kind == IndexOptions:
        pairs = value.items() if isinstance(value, dict) else [] if value is None else [(None, None)]
        if not all(isinstance(name, str) and type(number) in (int, float) for name, number in pairs):
            raise ValueError(f"{where} is {value!r}: expected numbers by the names of options, or None")
    else:
        check_value(where, value, kind)
