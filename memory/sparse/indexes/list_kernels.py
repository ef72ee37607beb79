"""Compiled parts of the index of packed lists: file words, find the nearest. Importing this needs Numba.

Every batch row has lists of its own. A list is a chain of blocks; a block holds L words of W int8 each, dimension by
dimension, so that one pass compares a query with L words. Products of whole numbers are exact, what ties goes to the
lowest slot, and rows share nothing: what is found depends neither on the order in which rows are served nor on how many
there are.

Legend: B batch, N slots, W word size (padded to whole groups), L lanes, P blocks of a row, M lists of a row, E blocks
of centres, U upper centres, R queries a row, C candidates, k neighbours.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lukasa.memory.sparse.indexes.compiling import compiled
from lukasa.memory.sparse.indexes.lanes import GROUP, KEYS, LANES, block_scores, dot, insert, lowest_bit

LISTS, CENTRE_BLOCKS, UPPER, FILED, FREED, TOUCHED, CHANGES, MADE_FROM, EXPECTED, EXACT = range(10)
COUNTS = 10
"""Columns of ``Tables.counts``."""
WORD_SCALE = 127.0
"""A word of length 1 as int8."""
SMALL, LARGE = 1e-30, 1e37
LOWEST_SLOT = (1 << 32) - 1  # keys hold a score and, so that the lowest slot is the highest key, this less the slot
HIGHEST, LOWEST = (1 << 62), -32768 << 32
UPPER_PROBES = 16  # lists of centres looked into for the nearest centres
CROWDING = 4  # a search gives up after this many times the words that lists of average length would show it


class Tables(NamedTuple):
    """Inverted lists of all batch rows; pages that no row needs yet are untouched."""

    words: Any  # int8 [B P W L]
    slots: Any  # int32 [B P L]
    owners: Any  # int32 [B, P], the list of a block
    before: Any  # int32 [B, P], the next block of the same list, -1 at its end
    freed: Any  # int32 [B, P], blocks that were given back, a stack
    places: Any  # int32 or int64 [B, N], 1 + the place of a slot among the P L of its row, 0 for none
    heads: Any  # int32 [B, M], the block of each list that is not full, -1 for none
    lengths: Any  # int64 [B, M]
    centres: Any  # int8 [B E W L]
    names: Any  # int32 [B E L], the list of a centre, -1 for none
    upper: Any  # int8 [B U' W L], in blocks too
    firsts: Any  # int32 [B, U + 1], the first block of centres under each upper centre
    counts: Any  # int64 [B, COUNTS]


def padded(word_size: int) -> int:
    """How many numbers a word takes in a block."""
    return -(-word_size // GROUP) * GROUP


@compiled
def encode(word, at, width, scale, out):
    """A word as whole numbers: at length ``scale``; zeros stay zeros, and behind its ``width`` numbers too."""
    total = float(dot(word, at, word, at, width))
    unit = 1.0
    if total < SMALL or not total < LARGE:  # squares lose digits, or are no numbers
        unit = 0.0
        for d in range(width):
            unit = max(unit, abs(float(word[at + d])))
        total = 0.0
        if unit > 0.0:
            for d in range(width):
                total += (float(word[at + d]) / unit) ** 2
    factor = scale / math.sqrt(total) if total > 0.0 else 0.0
    for d in range(width):
        out[d] = np.int16(np.rint(float(word[at + d]) / unit * factor)) if unit > 0.0 else np.int16(0)


@compiled
def start(keys):
    """No key is kept yet."""
    keys[0] = HIGHEST
    keys[1:] = LOWEST


@compiled
def named(key):
    """What a key is of."""
    return LOWEST_SLOT - (key & LOWEST_SLOT)


@compiled
def collect(words, begin, ahead, width, query, names, names_at, lanes, keys, scores):
    """Put the words of a block among the best seen; ``names`` says what each lane is, -1 for nothing."""
    most = len(keys) - 1
    bits = block_scores(words, begin, ahead, width, query, scores, np.int16(keys[most] >> 32))
    if lanes < LANES:
        bits &= (np.uint64(1) << np.uint64(lanes)) - np.uint64(1)
    while bits:
        lane = lowest_bit(bits)
        bits &= bits - np.uint64(1)
        name = np.int64(names[names_at + lane])
        if name >= 0:
            insert(keys, most, (np.int64(scores[lane]) << 32) + (LOWEST_SLOT - name))


@compiled
def nearest_lists(tables, b, width, query, keys, scores):
    """The lists whose centres are nearest, as keys behind the first one, highest first."""
    block = width * LANES
    base = b * (tables.names.size // (tables.counts.shape[0] * LANES))
    start(keys)
    if tables.counts[b, UPPER] == 0:
        for e in range(base, base + tables.counts[b, CENTRE_BLOCKS]):
            collect(
                tables.centres, e * block, (e + 1) * block, width, query, tables.names, e * LANES, LANES, keys, scores
            )
        return
    upper = tables.counts[b, UPPER]
    most = min(upper, max(UPPER_PROBES, len(keys)))
    upper_keys = np.empty(1 + whole(most, KEYS), np.int64)
    nearest_upper(tables, b, width, query, upper_keys, scores)
    for i in range(1, most + 1):
        u = named(upper_keys[i])
        for e in range(base + tables.firsts[b, u], base + tables.firsts[b, u + 1]):
            collect(
                tables.centres, e * block, (e + 1) * block, width, query, tables.names, e * LANES, LANES, keys, scores
            )


@compiled
def nearest_upper(tables, b, width, query, keys, scores):
    """The upper centres that are nearest, as keys behind the first one, highest first."""
    names = np.arange(LANES)
    base = b * (tables.upper.size // tables.counts.shape[0])
    upper = tables.counts[b, UPPER]
    start(keys)
    for u in range(0, upper, LANES):
        lanes, begin = min(LANES, upper - u), base + u * width
        collect(tables.upper, begin, begin, width, query, names, 0, lanes, keys, scores)
        names += LANES


@compiled
def whole(count, group):
    """The next multiple of a group."""
    return -(-count // group) * group
