"""Readers by name, with options checked before anything is built."""

from __future__ import annotations

import inspect
from typing import Any

from lukasa.ground.options import check_options_by_name, options_by_name
from lukasa.ground.registry import Registry, subclass_of
from lukasa.memory.readers.dmn import DMN
from lukasa.memory.readers.dmn_plus import DMNPlus
from lukasa.memory.readers.entity_network import EntityNetwork
from lukasa.memory.readers.kv_memory_network import KeyValueMemoryNetwork
from lukasa.memory.readers.memn2n import MemN2N
from lukasa.memory.readers.memory_network import MemoryNetwork
from lukasa.memory.readers.query_reduction import QueryReduction
from lukasa.memory.readers.reader import Reader, Sizes
from lukasa.memory.readers.recurrent import Recurrent
from lukasa.memory.readers.transformer import Transformer
from lukasa.memory.readers.universal_transformer import UniversalTransformer

READERS: Registry[type[Reader]] = Registry(
    "reader",
    {
        "entity_network": EntityNetwork,
        "memn2n": MemN2N,
        "memory_network": MemoryNetwork,
        "kv_memory_network": KeyValueMemoryNetwork,
        "dmn": DMN,
        "dmn_plus": DMNPlus,
        "recurrent": Recurrent,
        "query_reduction": QueryReduction,
        "transformer": Transformer,
        "universal_transformer": UniversalTransformer,
    },
    subclass_of(Reader, "lukasa.memory.readers.Reader"),
)
"""Every reader by the name that ``make_reader`` and the command line know."""


def reader_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a reader: name to parameter, with its default and its resolved type annotation.

    Raises:
        UnknownNameError: there is no such reader.
    """
    return options_by_name(READERS, name, given=1)


def check_reader_options(name: str, options: dict[str, Any]) -> None:
    """Refuse options that a reader does not have, or values of another type.

    Raises:
        UnknownNameError: the reader or one of the options is unknown.
        ValueError: a value is of another type, not among the choices, or a size that is not positive.
    """
    check_options_by_name(READERS, name, options, given=1)


def make_reader(name: str, sizes: Sizes, **options: Any) -> Reader:
    """Build a reader by name.

    Args:
        name: a key of ``READERS``, or the import path of a reader of your own, "package.module:Class".
        sizes: of the questions that it is to answer.
        **options: the reader's own options; the paper's values are the defaults.

    Raises:
        UnknownNameError: the name or an option is unknown; the message gives the nearest known one.
        ValueError: an option's value cannot be used, or not with questions of these sizes.

    Example:
        >>> reader = make_reader("memn2n", Sizes(words=30, answers=6, sentences=10, length=7), hops=2)
        >>> reader.hops
        2
    """
    check_reader_options(name, options)
    build: Any = READERS.find(name)
    return build(sizes, **options)
