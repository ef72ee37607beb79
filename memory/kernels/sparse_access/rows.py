"""Compiled: a sparse memory as the loops over a sequence see it, of all rows of a batch. Importing this needs Numba.

Legend: B batch, T time, N slots, W word size, A entries of the log, E entries looked at ahead, H heads, C slots that a
head reads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lukasa.memory.kernels.sparse_access.hearing import threshold
from lukasa.memory.kernels.sparse_access.scanning import Scanned
from lukasa.memory.sparse.indexes.compiling import compiled
from lukasa.memory.sparse.indexes.list_kernels import CHANGES, EXACT, EXPECTED, LISTS, MADE_FROM
from lukasa.memory.sparse.indexes.packed_lists import PackedLists
from lukasa.memory.sparse.store import Store
from lukasa.memory.sparse.usage import NOWHERE


class Memory(NamedTuple):
    """The rows, their usage order and their index."""

    rows: Any  # [(B capacity + 1) W]
    capacity: Any
    used: Any  # int64 [B]
    slots: Any  # N
    given: Any  # int64 [T, B, H + H C], answers of a listener; of no rows where there is none
    delta: Any
    last: Any  # int64 [B, N + 1]
    log: Any  # int64 [B, A]
    front: Any  # int64 [B, E]
    cursor: Any  # int64 [B, 1]
    tables: Any
    width: Any  # of a filed word; 0 where none is filed and every word is compared
    scale: Any
    kept: Any
    probes: Any
    outgrown: Any  # bool [B], whether a row needs lists, or new ones
    exact_up_to: Any
    growth: Any
    overwrites: Any


def memory(store: Store, index: PackedLists | Scanned, reads: int, given: Any) -> Memory:
    """The memory of a store, for heads that read so many slots; ``given`` is as in ``hearing.given``."""
    tables, width, scale, kept, probes = index.begin_step(reads)
    usage, outgrown = store.usage, np.zeros(store.layout.batch_size, np.bool_)
    order = (usage.last.numpy(), usage.log.numpy(), usage.front.numpy(), usage.cursor.numpy())
    rows = (store.rows.view(-1).numpy(), store.capacity, index.used, store.layout.slots, given, threshold(store))
    return Memory(*rows, *order, tables, width, scale, kept, probes, outgrown, *index.outgrows_at())


@compiled
def is_outgrown(memory, b):
    """Whether a row needs lists, or new ones; see ``PackedLists``."""
    counts, used = memory.tables.counts[b], memory.used[b]
    if counts[LISTS] == 0 or counts[EXACT] > 0:
        return used > memory.exact_up_to
    expected = max(used, min(memory.growth * used, memory.capacity))
    grown = counts[EXPECTED] < expected and used >= memory.growth * counts[MADE_FROM]
    return grown or counts[CHANGES] > memory.overwrites * used


@compiled
def empty(memory, b):
    """Empty a row, at the cost of what was written in it."""
    used, tables = memory.used[b], memory.tables
    size = memory.rows.size // (memory.capacity * len(memory.used) + 1)
    memory.rows[b * memory.capacity * size : (b * memory.capacity + used) * size] = 0
    memory.last[b, :used] = 0
    memory.front[b, :] = NOWHERE
    memory.cursor[b, 0] = 0
    if tables.counts[b, LISTS]:
        tables.places[b, :used] = 0
        tables.counts[b, :] = 0
    memory.used[b] = 0
