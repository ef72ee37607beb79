"""Indexes by name, with options checked before anything is built.

Legend: B batch, N slots, W word size.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from lukasa.ground.names import UnknownNameError, unknown
from lukasa.ground.options import options_of
from lukasa.ground.registry import Registry, is_own
from lukasa.memory.sparse.indexes.automatic import Automatic
from lukasa.memory.sparse.indexes.exact import Exact
from lukasa.memory.sparse.indexes.hashing import Hashing
from lukasa.memory.sparse.indexes.interface import Contents, Index
from lukasa.memory.sparse.indexes.inverted_lists import InvertedLists
from lukasa.memory.sparse.indexes.packed_lists import PackedLists


def _own(path: str, found: Any) -> Callable[..., Index]:
    if not (isinstance(found, type) and all(callable(getattr(found, name, None)) for name in METHODS)):
        methods = ", ".join(METHODS)
        raise ValueError(f"expected a class with the methods {methods}, as lukasa.memory.sparse.indexes.Index has them")
    return found


METHODS = ("update", "search", "reset", "truncate", "rebuild")
"""What an index can do, beside the property ``rebuild_seconds``."""

INDEXES: Registry[Callable[..., Index]] = Registry(
    "index", {"auto": Automatic, "exact": Exact, "faiss": InvertedLists, "lists": PackedLists, "lsh": Hashing}, _own
)
"""Every index by the name that ``make_index`` and the cores' option ``index`` know."""

IndexOptions = Mapping[str, Any]
"""Options of one index by name; ``index_options`` tells which there are."""


def index_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of an index: name to parameter, with its default and its resolved type annotation.

    Raises:
        ValueError: there is no such index.
    """
    return options_of(INDEXES.find(name), given=1 if is_own(name) else None)


def check_index_options(name: str, options: IndexOptions) -> None:
    """Refuse options that an index does not have, or values that it cannot use.

    Raises:
        ValueError: the index or an option is unknown, the option is another index's, or the value is of another type.
    """
    if not options:  # as for nearly every store that is made
        INDEXES.find(name)
        return
    known = index_options(name)
    for option, value in options.items():
        if option not in known:
            others = [other for other in INDEXES if option in index_options(other)]
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            if others:
                raise ValueError(
                    f"option {option!r} belongs to index {others[0]!r}, not to {name!r}: "
                    f"{takes}; choose index {others[0]!r} or leave the option out"
                )
            raise UnknownNameError(unknown(f"option of index {name!r}:", option, known))
        if is_own(name):  # whose values only it knows
            continue
        kind = known[option].annotation
        if isinstance(value, bool) or not isinstance(value, kind) or value <= 0 or not math.isfinite(value):
            raise ValueError(f"option {option!r} of index {name!r} is {value!r}: expected a positive {kind.__name__}")


def make_index(
    name: str,
    *,
    batch_size: int,
    slots: int,
    word_size: int,
    contents: Tensor | Callable[[], Tensor],
    device: torch.device | str = "cpu",
    **options: Any,
) -> Index:
    """Build an index by name, empty.

    Args:
        name: a key of ``INDEXES``, or the import path of an index of your own, "package.module:Class".
        batch_size: B.
        slots: N.
        word_size: W.
        contents: the rows [B, N, W] that the index points into, or what gives them (a memory that grows moves them).
        device: where the rows and the queries live.
        **options: the index's own; see ``index_options``.

    Raises:
        ValueError: the name, an option or its value cannot be used.
        ImportError: the index needs a package that is not installed.

    Example:
        >>> rows = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]])
        >>> index = make_index("exact", batch_size=1, slots=3, word_size=2, contents=rows)
        >>> index.update(torch.tensor([0, 0]), torch.tensor([0, 1]), rows[0, :2])
        >>> index.search(torch.tensor([[[0.1, 2.0]]]), k=3)
        tensor([[[ 1,  0, -1]]])
    """
    check_index_options(name, options)
    rows = (lambda: contents) if isinstance(contents, Tensor) else contents
    return INDEXES.find(name)(Contents(batch_size, slots, word_size, torch.device(device), rows), **options)
