"""Compiled: what SAM does to its memory in a step, and its gradients. Importing this needs Numba.

Legend: B batch, H heads, G = B H of all rows, W word size, C slots that a head reads, S = H (C + 1), N slots.
"""

from __future__ import annotations

import math

import numpy as np

from lukasa.memory.addressing import NORM_EPSILON
from lukasa.memory.kernels.sparse_access.finding import all_given, find
from lukasa.memory.sparse.indexes.compiling import compiled
from lukasa.memory.sparse.indexes.lanes import KEYS, LANES, dot
from lukasa.memory.sparse.indexes.list_filing import begin, refile
from lukasa.memory.sparse.indexes.list_kernels import CHANGES, LISTS
from lukasa.memory.sparse.listener import UNKNOWN

READY, LOOK_CLOSER = range(2)


@compiled
def sigmoid(number):
    """Without overflow."""
    if number >= 0:
        return 1.0 / (1.0 + math.exp(-number))
    small = math.exp(number)
    return small / (1.0 + small)


@compiled
def softplus(number):
    """As PyTorch has it, linear from 20 on."""
    return number if number > 20.0 else math.log1p(math.exp(number))


@compiled
def live_slot(position, last, log, slots):
    """The slot of an entry in the usage order of a row, -1 where it is not the slot's last. See ``UsageOrder``."""
    if position < slots:
        return position if last[position] == 0 else -1
    entry = position - slots
    if entry >= len(log):  # nowhere
        return -1
    slot = log[entry]
    return slot if slot < slots and last[slot] == entry + 1 else -1


@compiled
def least_recent(front, cursor, last, log, slots, out):
    """The first live entries of a row's usage order; looks ahead where too few are in front of its cursor."""
    while True:
        found = 0
        for f in range(len(front)):
            slot = live_slot(front[f], last, log, slots)
            if slot >= 0:
                out[found] = slot
                found += 1
                if found == len(out):
                    return
        look_ahead(front, cursor, last, log, slots)


@compiled
def look_ahead(front, cursor, last, log, slots):
    """Forget what is not live in front of a row's cursor, and move it until as many are there as there is room for."""
    kept = 0
    for f in range(len(front)):
        if live_slot(front[f], last, log, slots) >= 0:
            front[kept] = front[f]
            kept += 1
    while kept < len(front) and cursor[0] < slots + len(log):
        if live_slot(cursor[0], last, log, slots) >= 0:
            front[kept] = cursor[0]
            kept += 1
        cursor[0] += 1


@compiled
def oldest_slots(given, b, front, cursor, last, log, slots, oldest):
    """The slots that the heads of a row may write anew: those that are given, else the least recently accessed."""
    if not all_given(given, b, 0, len(oldest)):
        least_recent(front, cursor, last, log, slots, oldest)
    if len(given):
        for h in range(len(oldest)):
            if given[b, h] != UNKNOWN:
                oldest[h] = given[b, h]


@compiled
def in_order(write_slots, used):
    """Whether the slots that a row is about to write are written already or come next; see ``Store.write``."""
    following, fresh = used, 0
    for h in range(write_slots.shape[0]):
        for c in range(write_slots.shape[1]):
            following = max(following, write_slots[h, c] + 1)
            fresh += 1 if write_slots[h, c] >= used else 0
    return following - used <= fresh


@compiled
def prepare(
    interface, given, read_slots, read_weights, front, cursor, last, log, slots, used, peaks, limits, gates,
    write_slots, write_weights, added, status, low, high,
):  # fmt: skip
    """Where each head writes how much, and what: [B, H, C + 1], [B, H, C + 1] and [B, S, W]. Nothing is changed yet.

    Of the batch rows from ``low`` to ``high``; ``status`` [B] says which may go on. ``given`` [B, H + H C] are answers
    of a listener, which slots are oldest and which nearest to each key; it has no rows where there is none. ``peaks``
    [B] are what no number in a row exceeds, before and then after it; ``limits`` those of such a number and of a query.
    """
    _, heads, reads = read_slots.shape
    size = added.shape[2]
    oldest = np.empty(heads, np.int64)
    for b in range(low, high):
        oldest_slots(given, b, front[b], cursor[b], last[b], log[b], slots, oldest)
        largest, largest_key, numbers = 0.0, 0.0, True
        for h in range(heads):
            if all_given(given, b, heads + h * reads, heads + (h + 1) * reads):  # nobody will look for its key
                continue
            for i in range(h * size, (h + 1) * size):
                number = float(interface[b, i])
                numbers = numbers and number == number
                largest_key = max(largest_key, abs(number))
        for h in range(heads):
            for part in range(2):
                gates[b, part * heads + h] = sigmoid(interface[b, 2 * heads * size + (1 + part) * heads + h])
            write_gate, interpolation = gates[b, h], gates[b, heads + h]
            to_read = write_gate * interpolation
            word = interface[b, heads * size + h * size : heads * size + (h + 1) * size]
            for c in range(reads + 1):
                weight = write_gate - to_read
                write_slots[b, h, c] = oldest[h]
                if c < reads:
                    weight = to_read * read_weights[b, h, c]
                    write_slots[b, h, c] = read_slots[b, h, c]
                write_weights[b, h, c] = weight
                for d in range(size):
                    number = write_weights[b, h, c] * word[d]
                    added[b, h * (reads + 1) + c, d] = number
                    numbers = numbers and number == number
                    largest = max(largest, abs(float(number)))
        peak = peaks[b] + largest * heads * (reads + 1)
        fits = numbers and peak <= limits[0] and largest_key <= limits[1]
        fits = fits and (not len(given) or in_order(write_slots[b], used[b]))
        status[b] = READY if fits else LOOK_CLOSER
        if fits:
            peaks[b] = peak


@compiled
def write(rows, base, write_slots, added, used):
    """Erase the last slot of every head, then add; how many slots of the row are written then."""
    heads, reads = write_slots.shape[0], write_slots.shape[1] - 1
    size = added.shape[1]
    for h in range(heads):
        if write_slots[h, reads] >= 0:
            at = (base + write_slots[h, reads]) * size
            rows[at : at + size] = 0
    for h in range(heads):
        for c in range(reads + 1):
            slot = write_slots[h, c]
            if slot >= 0:
                used = max(used, slot + 1)
                at = (base + slot) * size
                for d in range(size):
                    rows[at + d] += added[h * (reads + 1) + c, d]
    return used


@compiled
def sort(numbers):
    """A few numbers, ascending, in place."""
    for i in range(1, len(numbers)):
        number, place = numbers[i], i
        while place > 0 and numbers[place - 1] > number:
            numbers[place] = numbers[place - 1]
            place -= 1
        numbers[place] = number


@compiled
def file_changed(tables, b, width, scale, rows, base, size, changed, query, numbers, near, scores):
    """File slots of a row by what they hold now, where words are filed at all; they are sorted."""
    if not width:
        return
    sort(changed)
    if not tables.counts[b, LISTS]:
        begin(tables, b)
    for i in range(len(changed)):
        slot = changed[i]
        if slot >= 0 and (i == 0 or slot != changed[i - 1]):
            tables.counts[b, CHANGES] += 1
            refile(tables, b, width, slot, rows, (base + slot) * size, size, scale, query, numbers, near, scores)


@compiled
def read(rows, base, key, strength, found, copies, cosines, row_scale, unit_key, weights, words):
    """Copy the rows found and weigh them by how they resemble the key; one over the key's length."""
    size, reads = len(key), len(found)
    number = words.dtype.type
    key_scale = number(1.0 / math.sqrt(dot(key, 0, key, 0, size) + NORM_EPSILON))
    for d in range(size):
        unit_key[d] = key[d] * key_scale
        words[d] = 0
    sharpness, highest = softplus(strength), -math.inf
    for c in range(reads):
        copies[c, :] = 0
        if found[c] >= 0:
            at = (base + found[c]) * size
            for d in range(size):
                copies[c, d] = rows[at + d]
        row_scale[c] = number(1.0 / math.sqrt(dot(copies[c], 0, copies[c], 0, size) + NORM_EPSILON))
        cosines[c] = dot(copies[c], 0, unit_key, 0, size) * row_scale[c]
        if found[c] >= 0:
            highest = max(highest, cosines[c] * sharpness)
    total = 0.0
    for c in range(reads):
        weights[c] = math.exp(cosines[c] * sharpness - highest) if found[c] >= 0 else 0.0
        total += weights[c]
    for c in range(reads):
        if found[c] >= 0:
            weights[c] = weights[c] / total
            for d in range(size):
                words[d] += weights[c] * copies[c, d]
    return key_scale


@compiled
def step(
    tables, width, scale, kept, probes, rows, capacity, used, interface, given, write_slots, write_weights, added,
    delta, last, log, end, slots, found, weights, words, unit_keys, key_scale, row_scale, copies, cosines, low, high,
):  # fmt: skip
    """Write, file, search, read and note what was accessed, for the batch rows from ``low`` to ``high``.

    ``width`` is 0 where words are not filed: then every word that is written is compared. ``given`` is as in
    ``prepare``.
    """
    heads, reads = weights.shape[1], weights.shape[2]
    size, count = added.shape[2], heads * (reads + 1)
    query, numbers = np.zeros(width, np.int16), np.zeros(width, np.int16)
    scores, near, keys = np.empty(LANES, np.int16), np.empty(1 + KEYS, np.int64), np.empty(1 + kept, np.int64)
    best, nearest = np.empty((heads, reads), rows.dtype), np.empty((heads, reads), np.int64)
    changed, event = np.empty(count, np.int64), np.empty(count + heads * reads, np.int64)
    for b in range(low, high):
        base = b * capacity
        used[b] = write(rows, base, write_slots[b], added[b], used[b])
        changed[:] = write_slots[b].reshape(-1)
        file_changed(tables, b, width, scale, rows, base, size, changed, query, numbers, near, scores)
        find(
            given, tables, b, width, scale, rows, base, interface[b], size, used[b], probes, query, keys, best, nearest,
            scores, found[b],
        )  # fmt: skip
        for h in range(heads):
            key, g = interface[b, h * size : (h + 1) * size], b * heads + h
            strength = interface[b, 2 * heads * size + h]
            key_scale[g, 0] = read(
                rows, base, key, strength, found[b, h], copies[g], cosines[g], row_scale[g], unit_keys[g],
                weights[b, h], words[b, h],
            )  # fmt: skip
            for c in range(reads + 1):
                at = h * (2 * reads + 1) + c
                event[at] = write_slots[b, h, c] if write_weights[b, h, c] > delta else -1
                if c < reads:
                    event[at + reads + 1] = found[b, h, c] if weights[b, h, c] > delta else -1
        note(event, slots, last[b], log[b], end)


@compiled
def note(event, slots, last, log, end):
    """Append slots to the log of a row, ascending; see ``UsageOrder.access``."""
    for i in range(len(event)):
        if event[i] < 0:
            event[i] = slots
    sort(event)
    for i in range(len(event)):
        log[end + i] = event[i]
        last[event[i]] = end + i + 1
