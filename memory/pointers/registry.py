"""Models that point, by name, with options checked before anything is built."""

from __future__ import annotations

import inspect
from typing import Any

from lukasa.ground.options import check_options_by_name, options_by_name
from lukasa.ground.registry import Registry, subclass_of
from lukasa.memory.pointers.attention_lstm import AttentionLSTM
from lukasa.memory.pointers.pointer import Pointer
from lukasa.memory.pointers.pointer_network import PointerNetwork

POINTERS: Registry[type[Pointer]] = Registry(
    "model that points",
    {"pointer_network": PointerNetwork, "attention_lstm": AttentionLSTM},
    subclass_of(Pointer, "lukasa.memory.pointers.Pointer"),
)
"""Every model that points, by the name that ``make_pointer`` and the command line know."""


def pointer_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a model: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownNameError: there is no such model.
    """
    return options_by_name(POINTERS, name, given=1)


def make_pointer(name: str, most: int, **options: Any) -> Pointer:
    """Build a model by name.

    Args:
        name: a key of ``POINTERS``, or the import path of a model of your own, "package.module:Class".
        most: the most points of a set that it is trained on.
        **options: the model's own options; the paper's values are the defaults.

    Raises:
        UnknownNameError: the name or an option is unknown; the message gives the nearest known one.
        ValueError: an option's value cannot be used.

    Example:
        >>> make_pointer("attention_lstm", 10, size=8).most
        10
    """
    check_options_by_name(POINTERS, name, options, given=1)
    build: Any = POINTERS.find(name)
    return build(most, **options)
