"""Compiled: what SAM does to its memory in a step, and its gradients. Importing this needs Numba.

Legend: B batch, H heads, G = B H of all rows, W word size, C slots that a head reads, S = H (C + 1), N slots.
"""

from __future__ import annotations

import math

import numpy as np

from lukasa.memory.addressing import NORM_EPSILON
from lukasa.memory.sparse.indexes.compiling import compiled
from lukasa.memory.sparse.indexes.lanes import KEYS, LANES, dot
from lukasa.memory.sparse.indexes.list_filing import begin, refile
from lukasa.memory.sparse.indexes.list_kernels import CHANGES, LISTS
from lukasa.memory.sparse.indexes.list_searching import search_one

READY, LOOK_AHEAD, LOOK_CLOSER = range(3)


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
def least_recent(front, last, log, slots, out):
    """The first live entries in front of a row's cursor; whether there are enough. See ``UsageOrder``."""
    found = 0
    for f in range(len(front)):
        position = front[f]
        if position < slots:
            slot, entry = position, 0
        elif position - slots < len(log):
            slot, entry = log[position - slots], position - slots + 1
        else:  # nowhere
            continue
        if slot < slots and last[slot] == entry:
            out[found] = slot
            found += 1
            if found == len(out):
                return True
    return False


@compiled
def prepare(
    interface,
    read_slots,
    read_weights,
    front,
    last,
    log,
    slots,
    limits,
    gates,
    write_slots,
    write_weights,
    added,
    status,
):
    """Where each head writes how much, and what: [B, H, C + 1], [B, H, C + 1] and [B, S, W]. Nothing is changed yet.

    ``limits`` are those of all numbers added together and of a query, and what the former can be; [3].
    """
    batch, heads, reads = read_slots.shape
    size = added.shape[2]
    oldest = np.empty(heads, np.int64)
    largest, largest_key, numbers = 0.0, 0.0, True
    for b in range(batch):
        if not least_recent(front[b], last[b], log[b], slots, oldest):
            status[0] = LOOK_AHEAD
            return
        for i in range(heads * size):
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
    limits[2] = largest * heads * (reads + 1)
    fits = numbers and limits[2] <= limits[0] and largest_key <= limits[1]
    status[0] = READY if fits else LOOK_CLOSER


@compiled
def write(rows, base, write_slots, added, used):
    """Erase the last slot of every head, then add; how many slots of the row are written then."""
    heads, reads = write_slots.shape[0], write_slots.shape[1] - 1
    size = added.shape[1]
    for h in range(heads):
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
    tables, width, scale, kept, probes, rows, capacity, used, interface, write_slots, write_weights, added, delta, last,
    log, end, slots, found, weights, words, unit_keys, key_scale, row_scale, copies, cosines, low, high,
):  # fmt: skip
    """Write, file, search, read and note what was accessed, for the batch rows from ``low`` to ``high``."""
    heads, reads = weights.shape[1], weights.shape[2]
    size, count = added.shape[2], heads * (reads + 1)
    query, numbers = np.zeros(width, np.int16), np.zeros(width, np.int16)
    scores, near, keys = np.empty(LANES, np.int16), np.empty(1 + KEYS, np.int64), np.empty(1 + kept, np.int64)
    best, nearest = np.empty(reads, rows.dtype), np.empty(reads, np.int64)
    changed, event = np.empty(count, np.int64), np.empty(count + heads * reads, np.int64)
    for b in range(low, high):
        base = b * capacity
        used[b] = write(rows, base, write_slots[b], added[b], used[b])
        changed[:] = write_slots[b].reshape(-1)
        sort(changed)
        if not tables.counts[b, LISTS]:
            begin(tables, b)
        for i in range(count):
            slot = changed[i]
            if slot >= 0 and (i == 0 or slot != changed[i - 1]):
                tables.counts[b, CHANGES] += 1
                refile(tables, b, width, slot, rows, (base + slot) * size, size, scale, query, numbers, near, scores)
        for h in range(heads):
            key, g = interface[b, h * size : (h + 1) * size], b * heads + h
            n = search_one(
                tables, b, width, scale, rows, base, key, used[b], probes, query, keys, best, nearest, scores
            )
            for c in range(reads):
                found[b, h, c] = nearest[c] if c < n else -1
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


@compiled
def content_backward(
    cosines, row_scale, copies, unit_key, key_scale, weights, strength, to_weights, to_words, to_key, gradient, ids
):
    """From the gradient of what a head read those of its key and strength; those of the rows add up by ``ids``."""
    reads, size = copies.shape
    through, mean = np.empty(reads, weights.dtype), 0.0
    for c in range(reads):
        through[c] = dot(copies[c], 0, to_words, 0, size) + to_weights[c]
        mean += weights[c] * through[c]
    to_strength, sharpness = 0.0, softplus(strength)
    to_key[:] = 0
    for c in range(reads):
        to_similarity = weights[c] * (through[c] - mean)
        to_strength += to_similarity * cosines[c]
        to_dot = to_similarity * sharpness * row_scale[c]
        along = to_dot * row_scale[c] * cosines[c]
        place = ids[c]
        for d in range(size):
            to_key[d] += to_dot * copies[c, d]
            if place > 0:
                gradient[place, d] += to_dot * unit_key[d] - along * copies[c, d] + weights[c] * to_words[d]
    for d in range(size):
        to_key[d] = (to_key[d] - sharpness * to_strength * unit_key[d]) * key_scale
    return to_strength


@compiled
def backward(
    interface, read_weights, write_weights, weights, gates, unit_keys, key_scale, row_scale, copies, cosines,
    to_weights, to_words, gradient, ids, write_at, read_at, to_interface, to_read_weights, low, high,
):  # fmt: skip
    """Gradients of a step for the batch rows from ``low`` to ``high``; the memory's gradient is changed in place."""
    heads, reads = weights.shape[1], weights.shape[2]
    size = copies.shape[2]
    for b in range(low, high):
        for h in range(heads):
            g, mine = b * heads + h, read_at + h * reads
            strength = interface[b, 2 * heads * size + h]
            to_strength = content_backward(
                cosines[g], row_scale[g], copies[g], unit_keys[g], key_scale[g, 0], weights[b, h], strength,
                to_weights[b, h], to_words[b, h], to_interface[b, h * size : (h + 1) * size], gradient,
                ids[b, mine : mine + reads],
            )  # fmt: skip
            to_interface[b, 2 * heads * size + h] = to_strength * sigmoid(strength)
        for h in range(heads):
            word = interface[b, (heads + h) * size : (heads + h + 1) * size]
            to_word = to_interface[b, (heads + h) * size : (heads + h + 1) * size]
            to_word[:] = 0
            write_gate, interpolation, to_read, to_oldest = gates[b, h], gates[b, heads + h], 0.0, 0.0
            for c in range(reads + 1):
                into = gradient[ids[b, write_at + h * (reads + 1) + c]]
                for d in range(size):
                    to_word[d] += write_weights[b, h, c] * into[d]
                to_weight = dot(into, 0, word, 0, size)
                if c < reads:
                    to_read += to_weight * read_weights[b, h, c]
                    to_read_weights[b, h, c] = to_weight * (write_gate * interpolation)
                else:
                    to_oldest = to_weight
            to_read -= to_oldest
            at = 2 * heads * size + heads + h
            to_interface[b, at] = (to_oldest + interpolation * to_read) * write_gate * (1 - write_gate)
            to_interface[b, at + heads] = write_gate * to_read * interpolation * (1 - interpolation)
        for h in range(heads):
            place = ids[b, write_at + h * (reads + 1) + reads]
            if place > 0:
                gradient[place, :] = 0
