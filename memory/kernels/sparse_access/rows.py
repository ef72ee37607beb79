"""Compiled: a sparse memory as the loops over a sequence see it, of all rows of a batch. Importing this needs Numba.

Legend: B batch, N slots, W word size, A entries of the log, E entries looked at ahead.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.sparse.indexes.compiling import compiled
from lukasa.memory.sparse.indexes.list_kernels import CHANGES, EXACT, EXPECTED, LISTS, MADE_FROM
from lukasa.memory.sparse.usage import NOWHERE


class Memory(NamedTuple):
    """The rows, their usage order and their index."""

    rows: Any  # [(B capacity + 1) W]
    capacity: Any
    used: Any  # int64 [B]
    slots: Any  # N
    delta: Any
    last: Any  # int64 [B, N + 1]
    log: Any  # int64 [B, A]
    front: Any  # int64 [B, E]
    cursor: Any  # int64 [B, 1]
    tables: Any
    width: Any
    scale: Any
    kept: Any
    probes: Any
    outgrown: Any  # bool [B], whether a row needs lists, or new ones
    exact_up_to: Any
    growth: Any
    overwrites: Any


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
