"""Compiled: which slots are nearest to the keys of a row, by its lists, by all its words, or by a listener's answers.

Importing this needs Numba.

Legend: B batch, H heads, W word size, C slots that a head reads.
"""

from __future__ import annotations

import math

import numpy as np

from lukasa.memory.sparse.indexes.compiling import compiled
from lukasa.memory.sparse.indexes.lanes import dot
from lukasa.memory.sparse.indexes.list_kernels import SMALL
from lukasa.memory.sparse.indexes.list_searching import place_best, search_one, similarity
from lukasa.memory.sparse.listener import UNKNOWN


@compiled
def all_given(given, b, first, last):
    """Whether a listener gives the answers from ``first`` to ``last`` of a row."""
    if not len(given):
        return False
    for i in range(first, last):  # noqa: SIM110 - compiled code has no generators
        if given[b, i] == UNKNOWN:
            return False
    return True


@compiled
def scan(rows, base, used, interface, size, sought, best, nearest, counts):
    """Of all words that are written, the best slots for the keys of some heads, ties to the lowest; counts how many."""
    for slot in range(used):
        at = (base + slot) * size
        square = dot(rows, at, rows, at, size)
        scale = rows.dtype.type(1.0 / math.sqrt(square)) if square > SMALL else rows.dtype.type(0)
        for h in range(len(counts)):
            if sought[h]:
                score = dot(rows, at, interface, h * size, size) * scale
                if square <= SMALL:
                    score = similarity(square, rows, at, interface, h * size, size)
                counts[h] = place_best(best[h], nearest[h], counts[h], best.shape[1], score, slot)


@compiled
def find(
    given, tables, b, width, scale, rows, base, interface, size, used, probes, query, keys, best, nearest, scores, found
):  # fmt: skip
    """The slots nearest to each head's key, [H, C], -1 where there are fewer; those that are given are taken as known.

    ``best`` and ``nearest`` [H, C] are room to work in.
    """
    heads, reads = found.shape
    sought, counts, some = np.empty(heads, np.bool_), np.zeros(heads, np.int64), False
    for h in range(heads):
        sought[h] = not all_given(given, b, heads + h * reads, heads + (h + 1) * reads)
        some = some or sought[h]
        if sought[h] and width:
            counts[h] = search_one(
                tables, b, width, scale, rows, base, interface[h * size : (h + 1) * size], used, probes, query, keys,
                best[h], nearest[h], scores,
            )  # fmt: skip
    if some and not width:
        scan(rows, base, used, interface, size, sought, best, nearest, counts)
    for h in range(heads):
        for c in range(reads):
            found[h, c] = nearest[h, c] if c < counts[h] else -1
            if len(given) and given[b, heads + h * reads + c] != UNKNOWN:
                found[h, c] = given[b, heads + h * reads + c]
