"""An exact index as compiled loops see it: no word is filed, and every one that is written is compared.

Legend: B batch.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from lukasa.memory.sparse.indexes import packed_lists
from lukasa.memory.sparse.indexes.exact import Exact

NEVER = np.iinfo(np.int64).max


class Scanned:
    """In place of ``PackedLists``, with the same use.

    Args:
        index: of the store.

    Attributes:
        used: int64 [B], that of the index itself; the loops change it.
    """

    worth_threads = False
    width = 0

    def __init__(self, index: Exact):
        self.index, self.used = index, index.used.numpy()
        self.tables = _no_tables(len(self.used))

    def begin_step(self, k: int) -> tuple[Any, ...]:
        """As ``PackedLists``'s, whatever k is."""
        return self.tables, self.width, 0.0, packed_lists.kernels.KEYS, 0

    def outgrows_at(self) -> tuple[int, int, int]:
        """No row ever needs lists."""
        return NEVER, 1, 1

    def end_step(self) -> None:
        """Note that compiled code changed what is written, and ``used``."""
        self.index.outdate()


@functools.lru_cache(8)
def _no_tables(batch: int) -> Any:
    """Tables of the kinds that lists have, in which nothing is filed; nobody writes into them."""
    packed_lists.import_kernels()
    flat, rows = functools.partial(np.zeros, 0), functools.partial(np.zeros, (batch, 0))
    return packed_lists.kernels.Tables(
        words=flat(np.int8),
        slots=flat(np.int32),
        owners=rows(np.int32),
        before=rows(np.int32),
        freed=rows(np.int32),
        places=rows(np.int32),
        heads=rows(np.int32),
        lengths=rows(np.int64),
        centres=flat(np.int8),
        names=flat(np.int32),
        upper=flat(np.int8),
        firsts=rows(np.int32),
        counts=np.zeros((batch, packed_lists.kernels.COUNTS), np.int64),
    )
