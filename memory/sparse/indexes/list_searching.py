"""Compiled: find the slots nearest to queries in packed lists. Importing this needs Numba.

Legend: B batch, W word size (padded to whole groups), R queries a row, C candidates, k neighbours.
"""

from __future__ import annotations

import math

import numpy as np

from lukasa.memory.sparse.indexes.compiling import compiled
from lukasa.memory.sparse.indexes.lanes import KEYS, LANES, block_scores, dot, lowest_bit
from lukasa.memory.sparse.indexes.list_kernels import (
    CROWDING,
    EXACT,
    FILED,
    LISTS,
    LOWEST,
    SMALL,
    WORD_SCALE,
    collect,
    encode,
    named,
    nearest_lists,
    start,
    whole,
)


@compiled
def candidates(tables, b, width, query, wanted, probes, keys, scores):
    """The slots whose int8 words are nearest, as keys behind the first, highest first; looks until there are some."""
    lists = tables.counts[b, LISTS]
    base, block_size = b * tables.owners.shape[1], width * LANES
    probes = min(probes, lists)
    while True:
        list_keys = np.empty(1 + whole(probes, KEYS), np.int64)
        nearest_lists(tables, b, width, query, list_keys, scores)
        start(keys)
        left = CROWDING * probes * max(1, tables.counts[b, FILED] // lists) + len(keys)
        for i in range(1, probes + 1):
            if list_keys[i] == LOWEST:
                break
            owner = named(list_keys[i])
            block = np.int64(tables.heads[b, owner])
            following = np.int64(tables.heads[b, named(list_keys[i + 1])]) if i < probes else block
            lanes = (tables.lengths[b, owner] - 1) % LANES + 1
            while block >= 0 and left > 0:
                before = np.int64(tables.before[b, block])
                ahead = max(before if before >= 0 else following, 0)
                at = base + block
                collect(
                    tables.words, at * block_size, (base + ahead) * block_size, width, query,
                    tables.slots, at * LANES, lanes, keys, scores,
                )  # fmt: skip
                left -= lanes
                lanes = LANES
                block = before
        if probes == lists or keys[wanted] != LOWEST:
            return
        probes = min(8 * probes, lists)


@compiled
def search_lists(tables, width, size, scale, queries, used, k, probes, found, low, high):
    """Candidates of the queries [B, R, W] of the rows from ``low`` to ``high`` that have lists: found [B, R, C]."""
    query, scores = np.zeros(width, np.int16), np.empty(LANES, np.int16)
    keys = np.empty(1 + found.shape[2], np.int64)
    flat, several = queries.reshape(-1), queries.shape[1]
    for b in range(low, high):
        if tables.counts[b, LISTS] == 0:
            continue
        for r in range(several):
            encode(flat, (b * several + r) * size, size, scale, query)
            candidates(tables, b, width, query, min(k, used[b]), probes, keys, scores)
            for i in range(found.shape[2]):
                found[b, r, i] = named(keys[i + 1]) if keys[i + 1] != LOWEST else -1


@compiled
def place_best(best, slots, count, k, score, slot):
    """Keep the k highest scores and their slots, ties to the lowest slot; how many there are now."""
    if count == k:
        if score < best[k - 1] or (score == best[k - 1] and slot > slots[k - 1]):
            return count
        count -= 1
    place = count
    while place > 0 and (best[place - 1] < score or (best[place - 1] == score and slots[place - 1] > slot)):
        best[place], slots[place] = best[place - 1], slots[place - 1]
        place -= 1
    best[place], slots[place] = score, slot
    return count + 1


@compiled
def similarity(square, rows, at, queries, query_at, size):
    """The cosine of a word, whose squared length is given, and a query, times the query's length; 0 for zeros."""
    if square > SMALL:
        return queries.dtype.type(dot(rows, at, queries, query_at, size) / math.sqrt(square))
    unit = 0.0
    for d in range(size):
        unit = max(unit, abs(float(rows[at + d])))
    if unit == 0.0:
        return queries.dtype.type(0)
    total, along = 0.0, 0.0
    for d in range(size):
        number = float(rows[at + d]) / unit
        total += number * number
        along += number * float(queries[query_at + d])
    return queries.dtype.type(along / math.sqrt(total))


@compiled
def rescore(rows, base, query, keys, best, slots):
    """Order candidates, which are keys, by what their rows hold; how many of the k best there are."""
    k, size, count = len(best), query.size, 0
    for i in range(1, len(keys)):
        if keys[i] == LOWEST:
            break
        slot = named(keys[i])
        at = (base + slot) * size
        score = similarity(dot(rows, at, rows, at, size), rows, at, query, 0, size)
        count = place_best(best, slots, count, k, score, slot)
    return count


@compiled
def complete(tables, b, width, query, least, rows, base, own, best, slots, scores):
    """The k best of all words whose int8 score is at least ``least``; how many."""
    count, k, size = 0, len(best), own.size
    first, block = b * tables.owners.shape[1], np.int64(tables.heads[b, 0])
    lanes = (tables.lengths[b, 0] - 1) % LANES + 1
    while block >= 0:
        begin_at, place = (first + block) * width * LANES, (first + block) * LANES
        bits = block_scores(tables.words, begin_at, begin_at, width, query, scores, least)
        if lanes < LANES:
            bits &= (np.uint64(1) << np.uint64(lanes)) - np.uint64(1)
        while bits:
            slot = np.int64(tables.slots[place + lowest_bit(bits)])
            bits &= bits - np.uint64(1)
            at = (base + slot) * size
            score = similarity(dot(rows, at, rows, at, size), rows, at, own, 0, size)
            count = place_best(best, slots, count, k, score, slot)
        block, lanes = np.int64(tables.before[b, block]), LANES
    return count


@compiled
def search_one(tables, b, width, scale, rows, base, own, used, probes, query, keys, best, slots, scores):
    """The best slots for one query, [W], of a batch row whose words begin at row ``base``; how many.

    Where a row has one list, all that int8 words cannot rule out is compared as it is: what is found is exact.
    """
    if used == 0:
        return 0
    size, kept, k = own.size, len(keys) - 1, len(best)
    encode(own, 0, size, scale, query)
    candidates(tables, b, width, query, min(k, used), probes, keys, scores)
    count = rescore(rows, base, own, keys, best, slots)
    if tables.counts[b, EXACT] and keys[kept] != LOWEST:
        rounding = math.sqrt(size) / 2  # how far a word of whole numbers can be from what it stands for
        error = rounding * (WORD_SCALE + scale) + rounding * rounding + 1
        length = math.sqrt(float(dot(own, 0, own, 0, size)))
        cosine = float(best[k - 1]) / length if length > 0.0 else 0.0
        least = math.floor(cosine * WORD_SCALE * scale - error)
        if (keys[kept] >> 32) >= least:
            least = np.int16(max(least, -32767))
            return complete(tables, b, width, query, least, rows, base, own, best, slots, scores)
    return count


@compiled
def search(tables, width, scale, rows, capacity, queries, used, kept, probes, nearest, low, high):
    """The nearest slots [B, R, k] of the batch rows from ``low`` to ``high``; rows is flat."""
    k = nearest.shape[2]
    query, scores = np.zeros(width, np.int16), np.empty(LANES, np.int16)
    keys = np.empty(1 + kept, np.int64)
    best, slots = np.empty(k, queries.dtype), np.empty(k, np.int64)
    for b in range(low, high):
        for r in range(queries.shape[1]):
            count = search_one(
                tables, b, width, scale, rows, b * capacity, queries[b, r], used[b], probes, query, keys, best, slots,
                scores,
            )  # fmt: skip
            for i in range(k):
                nearest[b, r, i] = slots[i] if i < count else -1
