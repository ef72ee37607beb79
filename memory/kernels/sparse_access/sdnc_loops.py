"""Compiled: the SDNC over a whole sequence, forward, for some rows of a batch. Importing this needs Numba.

Rae et al. 2016, supplement D: a SAM whose heads also read what was written before or after what they read.

Legend: B batch, T time, Z steps that are kept, I numbers of the interface, H heads, G = B H of all rows, W word size,
C slots that a head reads, E entries of a row of links, K = C + 2 C E candidates of a head, S = H (C + 1).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lukasa.memory.kernels.sequence.algebra import copy
from lukasa.memory.kernels.sequence.carrying import enter, steer
from lukasa.memory.kernels.sequence.controller_steps import controller_step
from lukasa.memory.kernels.sparse_access.finding import find
from lukasa.memory.kernels.sparse_access.link_loops import add_up, empty_links, follow, keep_largest, sums_of, update
from lukasa.memory.kernels.sparse_access.loops import READY, file_changed, note, prepare, read, write
from lukasa.memory.kernels.sparse_access.rows import empty, is_outgrown
from lukasa.memory.kernels.sparse_access.sam_loops import resume
from lukasa.memory.sparse.indexes.compiling import compiled
from lukasa.memory.sparse.indexes.lanes import KEYS, LANES


class Tape(NamedTuple):
    """What is kept of the steps, step by step."""

    emitted: Any  # [Z, B, I]
    gates: Any  # [Z, B, 2 H]
    modes: Any  # [Z, B, H, 3]
    write_slots: Any  # int64 [Z, B, H, C + 1]
    write_weights: Any  # [Z, B, H, C + 1]
    found: Any  # int64 [Z, B, H, C], by content
    content: Any  # [Z, B, H, C]
    linked: Any  # [Z, B, H, C, 2, E], weights of links
    owners: Any  # int16 [Z, B, H, K], which of the slots read a candidate is, -1 for none
    slots: Any  # int64 [Z, B, H, C], read
    weights: Any  # [Z, B, H, C]
    unit_keys: Any  # [Z, G, W]
    key_scale: Any  # [Z, G, 1]
    row_scale: Any  # [Z, G, C]
    copies: Any  # [Z, G, C, W], of what was found by content
    cosines: Any  # [Z, G, C]
    words: Any  # [Z, G, C, W], of what was read
    recent: Any  # int64 [Z, B, E], what was written last before it, for who listens


class Before(NamedTuple):
    """What the heads read at the step before, of all rows."""

    slots: Any  # int64 [B, H, C]
    weights: Any  # [B, H, C]


@compiled
def read_before(tape, first, before, row, time, kept, is_start):
    """Write into ``before`` what a row read before a step."""
    for h in range(before.slots.shape[1]):
        for c in range(before.slots.shape[2]):
            if is_start:
                before.slots[row, h, c], before.weights[row, h, c] = -1, 0
            elif time == 0:
                before.slots[row, h, c], before.weights[row, h, c] = first.slots[row, h, c], first.weights[row, h, c]
            else:
                slot = (time - 1) % kept
                before.slots[row, h, c] = tape.slots[slot, row, h, c]
                before.weights[row, h, c] = tape.weights[slot, row, h, c]


@compiled
def softmax(emitted, modes):
    """Of three numbers."""
    highest, total = max(emitted[0], max(emitted[1], emitted[2])), 0.0
    for i in range(3):
        modes[i] = math.exp(emitted[i] - highest)
        total += modes[i]
    for i in range(3):
        modes[i] /= total


@compiled
def choose(found, content, named, linked, before, modes, sums, slots, weights, largest, owners):
    """Where a head reads; π[1] b + π[2] c + π[3] f in Graves et al. 2016, its C largest entries, slots added up."""
    reads, entries, count = len(found), named.shape[2], 0
    for c in range(reads):
        count = add_up(sums, count, found[c], float(modes[1] * content[c]))
    for side in range(2):
        for c in range(reads):
            for e in range(entries):
                weight = modes[2 * side] * (linked[c, side, e] * before[c])
                count = add_up(sums, count, np.int64(named[c, side, e]), float(weight))
    keep_largest(sums, count, slots, largest)
    for c in range(reads):
        weights[c] = largest[c]
        owners[c] = place_of(found[c], slots)
        for side in range(2):
            for e in range(entries):
                owners[reads + (side * reads + c) * entries + e] = place_of(np.int64(named[c, side, e]), slots)


@compiled
def place_of(slot, slots):
    """Where a slot is among others, -1 for nowhere."""
    if slot >= 0:
        for c in range(len(slots)):
            if slots[c] == slot:
                return c
    return -1


@compiled
def step(memory, links, tape, slot, given, before, added, words, event_at, low, high):
    """Write, file, link, search, follow links, read and note what was accessed; rows from ``low`` to ``high``."""
    heads, reads, entries = tape.linked.shape[2], tape.linked.shape[3], tape.linked.shape[5]
    size, width, tables, kept = added.shape[2], memory.width, memory.tables, memory.kept
    query, numbers = np.zeros(width, np.int16), np.zeros(width, np.int16)
    scores, near, keys = np.empty(LANES, np.int16), np.empty(1 + KEYS, np.int64), np.empty(1 + kept, np.int64)
    best, nearest = np.empty((heads, reads), memory.rows.dtype), np.empty((heads, reads), np.int64)
    writes = heads * (reads + 1)
    changed, event = np.empty(writes, np.int64), np.empty(writes + heads * reads, np.int64)
    named, sums = np.empty((heads, reads, 2, entries), np.int32), sums_of(reads + 2 * reads * entries)
    largest, unread = np.empty(reads, np.float64), np.empty(size, memory.rows.dtype)
    for b in range(low, high):
        base, rows, interface = b * memory.capacity, memory.rows, tape.emitted[slot, b]
        write_slots, write_weights = tape.write_slots[slot, b], tape.write_weights[slot, b]
        memory.used[b] = write(rows, base, write_slots, added[b], memory.used[b])
        changed[:] = write_slots.reshape(-1)
        file_changed(tables, b, width, memory.scale, rows, base, size, changed, query, numbers, near, scores)
        copy(links.recent[b], tape.recent[slot, b])
        update(links, b, write_slots, write_weights)
        follow(links, b, before.slots[b], named, tape.linked[slot, b])
        find(
            given, tables, b, width, memory.scale, rows, base, interface, size, memory.used[b], memory.probes, query,
            keys, best, nearest, scores, tape.found[slot, b],
        )  # fmt: skip
        for h in range(heads):
            key, g = interface[h * size : (h + 1) * size], b * heads + h
            found, content, modes = tape.found[slot, b, h], tape.content[slot, b, h], tape.modes[slot, b, h]
            tape.key_scale[slot, g, 0] = read(
                rows, base, key, interface[2 * heads * size + h], found, tape.copies[slot, g], tape.cosines[slot, g],
                tape.row_scale[slot, g], tape.unit_keys[slot, g], content, unread,
            )  # fmt: skip
            softmax(interface[(2 * size + 3) * heads + 3 * h : (2 * size + 3) * heads + 3 * h + 3], modes)
            slots, weights = tape.slots[slot, b, h], tape.weights[slot, b, h]
            choose(
                found, content, named[h], tape.linked[slot, b, h], before.weights[b, h], modes, sums, slots, weights,
                largest, tape.owners[slot, b, h],
            )  # fmt: skip
            words[b, h, :] = 0
            for c in range(reads):
                for d in range(size):
                    tape.words[slot, g, c, d] = rows[(base + slots[c]) * size + d] if slots[c] >= 0 else 0
                    words[b, h, d] += weights[c] * tape.words[slot, g, c, d]
            for c in range(reads + 1):
                at = h * (2 * reads + 1) + c
                event[at] = write_slots[h, c] if write_weights[h, c] > memory.delta else -1
                if c < reads:
                    event[at + reads + 1] = slots[c] if weights[c] > memory.delta else -1
        note(event, memory.slots, memory.last[b], memory.log[b], event_at)


@compiled
def forward(
    begin, end, now, stop, event_at, parts, weights, interface, projected, starts, first, fresh, first_read, inside,
    tape, hidden, reads, work, before, added, words, peaks, limits, status, reached,
):  # fmt: skip
    """As ``sam_loops.forward``; ``parts`` are the memory and its links."""
    memory, links = parts
    rows, kept, carried = end - begin, tape.weights.shape[0], work.carried
    per_step = added.shape[1] + tape.found.shape[2] * tape.found.shape[3]
    for r in range(rows):
        enter(carried, r, first, begin + r)
        if now > 0:
            resume(carried, r, first, inside, begin + r, (now - 1) % kept)
            copy(reads[begin + r, now - 1], carried.reads[r])
    for time in range(now, stop):
        slot = time % kept
        for row in range(begin, end):
            is_start = starts.shape[0] > 0 and starts[row, time]
            if is_start:
                enter(carried, row - begin, fresh, 0)
                empty(memory, row)
                empty_links(links, row)
            read_before(tape, first_read, before, row, time, kept, is_start)
        controller_step(weights, projected, work, inside, begin, time, slot)
        steer(interface, carried, work.emitted, hidden, begin, time)
        for r in range(rows):
            copy(work.emitted[r], tape.emitted[slot, begin + r])
        prepare(
            tape.emitted[slot], memory.given[time], before.slots, before.weights, memory.front, memory.cursor,
            memory.last, memory.log, memory.slots, memory.used, peaks, limits, tape.gates[slot], tape.write_slots[slot],
            tape.write_weights[slot], added, status, begin, end,
        )  # fmt: skip
        for row in range(begin, end):
            if status[row] != READY:
                reached[begin] = time
                return
        end_of_log = event_at + (time - now) * per_step
        step(memory, links, tape, slot, memory.given[time], before, added, words, end_of_log, begin, end)
        attention = False
        for row in range(begin, end):
            copy(words[row].reshape(-1), carried.reads[row - begin])
            copy(carried.reads[row - begin], reads[row, time])
            memory.outgrown[row] = is_outgrown(memory, row)
            attention = attention or memory.outgrown[row]
        if attention:
            reached[begin] = time + 1
            return
    reached[begin] = stop
