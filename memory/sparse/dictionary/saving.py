"""A dictionary as a file: that of its sparse memory, with the values and what it was made with beside.

Legend: D dictionaries, U entries of the fullest one.
"""

from __future__ import annotations

import dataclasses
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.sparse import persistence
from lukasa.memory.sparse.dictionary.entries import Entries
from lukasa.memory.sparse.dictionary.lifting import MORE
from lukasa.memory.sparse.layout import Layout

KIND = "neural dictionary 1"


def save(dictionary: Any, path: str | PathLike[str]) -> None:
    """Write a ``NeuralDictionary`` to a file beside the path, then rename it."""
    entries: Entries = dictionary.entries
    values = entries.contents()[1].contiguous()
    about = {"kind": KIND, "reach": entries.reach, "options": dataclasses.asdict(dictionary.options)}
    persistence.save(entries.store, path, beside={"values": values}, about=about)


def load(cls: Any, path: str | PathLike[str], **changes: Any) -> Any:
    """A dictionary over a file that is mapped copy-on-write; see ``NeuralDictionary.load``.

    Raises:
        ValueError: the file is none of a dictionary, cut short or altered, or the changes do not fit it.
    """
    about = persistence.about(path)
    if about.get("kind") != KIND:
        raise ValueError(f"{path} is a sparse memory and no dictionary: load it with SparseMemory.load")
    in_store = {name: changes.pop(name) for name in ("slots", "dtype", "index", "index_options") if name in changes}
    store, beside = persistence.load_with(path, **in_store)
    layout = store.layout
    dictionary = cls(
        **{
            "key_size": layout.word_size - MORE,
            "slots": layout.slots,
            "dictionaries": layout.batch_size,
            "dtype": layout.dtype,
            "index": layout.index,
            "index_options": layout.index_options,
            **about["options"],
            **changes,
        }
    )
    entries = Entries.__new__(Entries)
    entries.adopt(store, beside["values"], about["reach"])
    if (entries.key_size, layout.batch_size) != (dictionary.key_size, dictionary.dictionaries):
        raise ValueError(
            f"{path} holds {layout.batch_size} dictionaries with keys of {entries.key_size} numbers: it cannot be "
            f"loaded as {dictionary.dictionaries} with keys of {dictionary.key_size}"
        )
    dictionary.hold(entries)
    return dictionary


def entries_of(layout: Layout, keys: Tensor, values: Tensor, used: Tensor, order: Tensor) -> Entries:
    """Entries out of a ``state_dict``.

    Raises:
        ValueError: they are of other sizes.
    """
    if values.shape != keys.shape[:2] or len(used) != layout.batch_size:
        raise ValueError(
            f"keys {list(keys.shape)} and values {list(values.shape)} do not fit {layout.batch_size} dictionaries with "
            f"keys of {layout.word_size - MORE} numbers"
        )
    entries = Entries(layout)
    parts = (part.to("cpu", layout.dtype) for part in (keys, values))
    entries.replace(*parts, *(part.to("cpu", torch.int64) for part in (used, order)))
    return entries
