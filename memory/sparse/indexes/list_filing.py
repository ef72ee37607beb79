"""Compiled: file the words of slots in packed lists, and give batch rows lists. Importing this needs Numba.

Legend: B batch, W word size (padded to whole groups), L lanes, M lists of a row, or changed slots, U upper centres.
"""

from __future__ import annotations

import math

import numpy as np

from lukasa.memory.sparse.indexes.compiling import compiled
from lukasa.memory.sparse.indexes.lanes import KEYS, LANES
from lukasa.memory.sparse.indexes.list_kernels import (
    CENTRE_BLOCKS,
    CHANGES,
    EXACT,
    FILED,
    FREED,
    LISTS,
    TOUCHED,
    UPPER,
    WORD_SCALE,
    encode,
    named,
    nearest_lists,
    nearest_upper,
)


@compiled
def remove(tables, b, width, slot):
    """Take a slot out of its list; the last word of the list takes its lane."""
    place = np.int64(tables.places[b, slot]) - 1
    if place < 0:
        return
    block, lane = place // LANES, place % LANES
    owner = tables.owners[b, block]
    head = np.int64(tables.heads[b, owner])
    tables.lengths[b, owner] -= 1
    tables.counts[b, FILED] -= 1
    last = tables.lengths[b, owner] % LANES
    base = b * tables.owners.shape[1]
    if head != block or last != lane:
        for d in range(width):
            into, source = (base + block) * width + d, (base + head) * width + d
            tables.words[into * LANES + lane] = tables.words[source * LANES + last]
        moved = tables.slots[(base + head) * LANES + last]
        tables.slots[(base + block) * LANES + lane] = moved
        tables.places[b, moved] = place + 1
    if last == 0:
        tables.heads[b, owner] = tables.before[b, head]
        tables.freed[b, tables.counts[b, FREED]] = head
        tables.counts[b, FREED] += 1
    tables.places[b, slot] = 0


@compiled
def put(tables, b, width, place, numbers):
    """Write the int8 numbers of a word at a place."""
    begin = (b * tables.owners.shape[1] + place // LANES) * width * LANES + place % LANES
    for d in range(width):
        tables.words[begin + d * LANES] = numbers[d]


@compiled
def file(tables, b, width, slot, owner, numbers):
    """File a slot that is in no list."""
    lane = tables.lengths[b, owner] % LANES
    if lane == 0:
        if tables.counts[b, FREED]:
            tables.counts[b, FREED] -= 1
            block = np.int64(tables.freed[b, tables.counts[b, FREED]])
        else:
            block = tables.counts[b, TOUCHED]
            tables.counts[b, TOUCHED] += 1
        tables.before[b, block] = tables.heads[b, owner]
        tables.owners[b, block] = owner
        tables.heads[b, owner] = block
    block = np.int64(tables.heads[b, owner])
    tables.lengths[b, owner] += 1
    tables.counts[b, FILED] += 1
    place = block * LANES + lane
    tables.slots[b * tables.owners.shape[1] * LANES + place] = slot
    tables.places[b, slot] = place + 1
    put(tables, b, width, place, numbers)


@compiled
def refile(tables, b, width, slot, word, at, size, scale, query, numbers, keys, scores):
    """File a slot under what it holds now, wherever it was."""
    encode(word, at, size, WORD_SCALE, numbers)
    owner = 0
    if tables.counts[b, LISTS] > 1:
        encode(word, at, size, scale, query)
        nearest_lists(tables, b, width, query, keys, scores)
        owner = named(keys[1])
    place = np.int64(tables.places[b, slot]) - 1
    if place >= 0:
        if tables.owners[b, place // LANES] == owner:
            put(tables, b, width, place, numbers)
            return
        remove(tables, b, width, slot)
    file(tables, b, width, slot, owner, numbers)


@compiled
def begin(tables, b):
    """Give a batch row one list for all of its words, in which every search looks at all."""
    tables.counts[b, :] = 0
    tables.counts[b, LISTS] = tables.counts[b, CENTRE_BLOCKS] = tables.counts[b, EXACT] = 1
    tables.heads[b, 0], tables.lengths[b, 0] = -1, 0
    first = b * (tables.names.size // tables.counts.shape[0])
    tables.names[first : first + LANES] = -1
    tables.names[first] = 0


@compiled
def update(tables, width, size, scale, rows, slots, words, from_first, low, high):
    """File changed slots of the batch rows from ``low`` to ``high``; words is flat, [M W].

    Rows without lists get one where ``from_first`` is set.
    """
    query, numbers = np.zeros(width, np.int16), np.zeros(width, np.int16)
    keys, scores = np.empty(1 + KEYS, np.int64), np.empty(LANES, np.int16)
    for i in range(len(rows)):
        b = rows[i]
        if not low <= b < high:
            continue
        if from_first and not tables.counts[b, LISTS]:
            begin(tables, b)
        if tables.counts[b, LISTS]:
            tables.counts[b, CHANGES] += 1
            refile(tables, b, width, slots[i], words, i * size, size, scale, query, numbers, keys, scores)


@compiled
def file_all(tables, b, width, size, scale, first, words):
    """File the slots from ``first`` on, one a word; words is flat."""
    query, numbers = np.zeros(width, np.int16), np.zeros(width, np.int16)
    keys, scores = np.empty(1 + KEYS, np.int64), np.empty(LANES, np.int16)
    for i in range(len(words) // size):
        refile(tables, b, width, first + i, words, i * size, size, scale, query, numbers, keys, scores)


@compiled
def forget(tables, b, width, first, end):
    """Take the slots from ``first`` to ``end`` out of their lists."""
    for slot in range(first, end):
        remove(tables, b, width, slot)


@compiled
def put_centre(words, begin, width, lane, numbers):
    """Write a centre into a lane of a block."""
    for d in range(width):
        words[begin + d * LANES + lane] = np.int8(numbers[d])


@compiled
def set_centres(tables, b, width, size, scale, centres, scanned):
    """Give a batch row lists of these centres [M, W], empty; more than ``scanned`` are found through upper ones."""
    flat, lists = centres.reshape(-1), len(centres)
    query, numbers = np.zeros(width, np.int16), np.zeros(width, np.int16)
    keys, scores = np.empty(1 + KEYS, np.int64), np.empty(LANES, np.int16)
    block = width * LANES
    base = b * (tables.names.size // (tables.counts.shape[0] * LANES))
    end = base + tables.names.size // (tables.counts.shape[0] * LANES)
    tables.counts[b, :] = 0
    tables.counts[b, LISTS] = lists
    tables.heads[b, :lists] = -1
    tables.lengths[b, :lists] = 0
    tables.names[base * LANES : end * LANES] = -1
    if lists <= scanned:
        for m in range(lists):
            encode(flat, m * size, size, WORD_SCALE, numbers)
            put_centre(tables.centres, (base + m // LANES) * block, width, m % LANES, numbers)
            tables.names[base * LANES + m] = m
        tables.counts[b, CENTRE_BLOCKS] = -(-lists // LANES)
        return
    upper = min(2 * int(math.sqrt(lists)) + 1, tables.firsts.shape[1] - 1)
    upper_base = b * (tables.upper.size // tables.counts.shape[0])
    for u in range(upper):
        encode(flat, (u * lists // upper) * size, size, WORD_SCALE, numbers)
        put_centre(tables.upper, upper_base + (u // LANES) * block, width, u % LANES, numbers)
    tables.counts[b, UPPER] = upper
    owners, lengths = np.empty(lists, np.int64), np.zeros(upper, np.int64)
    for m in range(lists):
        encode(flat, m * size, size, scale, query)
        nearest_upper(tables, b, width, query, keys, scores)
        owners[m] = named(keys[1])
        lengths[owners[m]] += 1
    tables.firsts[b, 0] = 0
    for u in range(upper):
        tables.firsts[b, u + 1] = tables.firsts[b, u] + -(-lengths[u] // LANES)
    lengths[:] = 0
    for m in range(lists):
        u = owners[m]
        e, lane = tables.firsts[b, u] + lengths[u] // LANES, lengths[u] % LANES
        encode(flat, m * size, size, WORD_SCALE, numbers)
        put_centre(tables.centres, (base + e) * block, width, lane, numbers)
        tables.names[(base + e) * LANES + lane] = m
        lengths[u] += 1
    tables.counts[b, CENTRE_BLOCKS] = tables.firsts[b, upper]
