"""Compiled: a step of the temporal links of an SDNC, for one row of a batch. Importing this needs Numba.

What ``memory/sparse/link_tables.py`` says in tensors, row by row: Rae et al. 2016, supplement D.1.

Legend: B batch, S slots of one operation, E entries of a row of links, X slots that are erased.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lukasa.memory.sparse.indexes.compiling import compiled
from lukasa.memory.sparse.link_tables import EARLIER, FORGOTTEN, LATER

TAKEN = -(2**63)


class Links(NamedTuple):
    """The tables of all rows of a batch; see ``LinkTables``."""

    names: Any  # int32 [B capacity + 1, 2, E]
    logs: Any  # float64 [B capacity + 1, 2, E]
    survival: Any  # float64 [B capacity + 1, 2]
    capacity: Any
    used: Any  # int64 [B]
    recent: Any  # int64 [B, E]
    precedence: Any  # float64 [B, E]
    both: Any  # whether a link fades when either of its slots is written


class Sums(NamedTuple):
    """Room to add up the weights of equal slots."""

    slots: Any  # int64
    sums: Any  # float64


@compiled
def sums_of(most):
    """Room for so many slots."""
    return Sums(np.empty(most, np.int64), np.empty(most, np.float64))


@compiled
def add_up(sums, count, slot, weight):
    """Add a weight to those of its slot; how many distinct slots there are then. A slot below 0 is nothing."""
    if slot < 0:
        return count
    for i in range(count):
        if sums.slots[i] == slot:
            sums.sums[i] += weight
            return count
    sums.slots[count], sums.sums[count] = slot, weight
    return count + 1


@compiled
def keep_largest(sums, count, slots, weights):
    """The largest sums, ties by lowest slot; -1 and 0 behind the last that is positive; see ``largest_sums``."""
    keys = (sums.sums[:count].view(np.int64) + (1 << 28)) >> 29
    for place in range(len(slots)):
        best = -1
        for i in range(count):
            if keys[i] == TAKEN:
                continue
            if best < 0 or keys[i] > keys[best] or (keys[i] == keys[best] and sums.slots[i] < sums.slots[best]):
                best = i
        slots[place], weights[place] = -1, 0.0
        if best >= 0:
            if sums.sums[best] > 0.0:
                slots[place], weights[place] = sums.slots[best], sums.sums[best]
            keys[best] = TAKEN


@compiled
def matching(slot, slots, weights):
    """The weight that a slot has among others."""
    found = 0.0
    for i in range(len(slots)):
        if slots[i] == slot:
            found += weights[i]
    return found


@compiled
def link_weight(links, base, named, log, side):
    """The weight as it is now of a link to a slot; 0 for none."""
    return math.exp(log + links.survival[base + named, side]) if named >= 0 else 0.0


@compiled
def take(links, base, rows, side, named, logs, weights):
    """Rows of N or P as they are kept: slots, logs, and weights as they are now, [S, E]."""
    for i in range(len(rows)):
        for e in range(named.shape[1]):
            named[i, e], logs[i, e], weights[i, e] = -1, 0.0, 0.0
            if rows[i] >= 0:
                named[i, e] = links.names[base + rows[i], side, e] - 1
                logs[i, e] = links.logs[base + rows[i], side, e]
                weights[i, e] = link_weight(links, base, named[i, e], logs[i, e], side)


@compiled
def extend(links, base, side, row, named, logs, before, fading, strength, slots, weights, sums, kept, kept_weights):
    """Let a row of N or P fade and link it to other slots; its E largest links stay."""
    count = 0
    for e in range(len(named)):
        now = link_weight(links, base, named[e], logs[e], side)
        count = add_up(sums, count, named[e], now - fading * before[e])
    for j in range(len(slots)):
        count = add_up(sums, count, slots[j], 0.0 if slots[j] == row else strength * weights[j])
    keep_largest(sums, count, kept, kept_weights)
    for e in range(len(named)):
        slot = kept[e]
        links.names[base + row, side, e] = slot + 1
        links.logs[base + row, side, e] = 0.0
        if slot >= 0:
            links.logs[base + row, side, e] = math.log(kept_weights[e]) - links.survival[base + slot, side]


@compiled
def forget_slot(links, base, slot):
    """No link to or from a slot survives; -1 is nothing."""
    if slot < 0:
        return
    links.names[base + slot] = 0
    links.survival[base + slot, EARLIER] -= FORGOTTEN
    links.survival[base + slot, LATER] -= FORGOTTEN


@compiled
def update(links, b, write_slots, write_weights):
    """One step of N, P and p of a row; the last of the write slots [H, C + 1] of every head is used anew."""
    heads, count = write_slots.shape[0], write_slots.size
    entries, base, last = links.names.shape[2], b * links.capacity, write_slots.shape[1] - 1
    sums = sums_of(count + 2 * entries)
    kept, kept_weights = np.empty(entries, np.int64), np.empty(entries, np.float64)
    slots, weights, distinct, total = np.empty(count, np.int64), np.empty(count, np.float64), 0, 0.0
    for h in range(heads):
        for c in range(last + 1):
            distinct = add_up(sums, distinct, write_slots[h, c], float(write_weights[h, c]))
    keep_largest(sums, distinct, slots, weights)
    for i in range(count):
        total += weights[i]
    for i in range(count):
        weights[i] /= max(total, 1.0)
        links.used[b] = max(links.used[b], slots[i] + 1)
    before, precedence = links.recent[b].copy(), links.precedence[b].copy()
    followed = np.empty(entries, np.int64)
    for e in range(entries):
        for h in range(heads):
            if before[e] == write_slots[h, last]:
                precedence[e] = 0.0
        followed[e] = before[e] if precedence[e] > 0.0 else -1
        links.used[b] = max(links.used[b], followed[e] + 1)
    for h in range(heads):
        links.used[b] = max(links.used[b], write_slots[h, last] + 1)
        forget_slot(links, base, write_slots[h, last])
    update_rows(links, base, slots, weights, before, precedence, followed, sums, kept, kept_weights)
    total, distinct = 0.0, 0
    for i in range(count):
        total += weights[i]
    for e in range(entries):
        distinct = add_up(sums, distinct, before[e], max(1.0 - total, 0.0) * precedence[e])
    for i in range(count):
        distinct = add_up(sums, distinct, slots[i], weights[i])
    keep_largest(sums, distinct, kept, kept_weights)
    for e in range(entries):
        links.recent[b, e], links.precedence[b, e] = max(kept[e], 0), kept_weights[e]


@compiled
def update_rows(links, base, slots, weights, before, precedence, followed, sums, kept, kept_weights):
    """The rows of N of what is written, those of P of what was written before, and of both where both fade."""
    entries, both = links.names.shape[2], 1.0 if links.both else 0.0
    faded = np.full(len(slots) + entries, -1)
    for e in range(entries):
        faded[len(slots) + e] = followed[e]
    if links.both:
        for i in range(len(slots)):
            faded[i] = slots[i]
        for e in range(entries):
            for i in range(len(slots)):
                if followed[e] == slots[i]:
                    faded[len(slots) + e] = -1
    shape, shape_later = (len(slots), entries), (len(faded), entries)
    named, logs, now = np.empty(shape, np.int64), np.empty(shape, np.float64), np.empty(shape, np.float64)
    named_later, logs_later, now_later = (
        np.empty(shape_later, np.int64), np.empty(shape_later, np.float64), np.empty(shape_later, np.float64)
    )  # fmt: skip
    take(links, base, slots, EARLIER, named, logs, now)
    take(links, base, faded, LATER, named_later, logs_later, now_later)
    for i in range(len(slots)):
        if slots[i] >= 0:
            loss = max(math.log1p(-weights[i]), -FORGOTTEN) if weights[i] < 1.0 else -FORGOTTEN
            links.survival[base + slots[i], EARLIER] += loss * both
            links.survival[base + slots[i], LATER] += loss
    for i in range(len(slots)):
        if slots[i] >= 0:
            extend(
                links, base, EARLIER, slots[i], named[i], logs[i], now[i], weights[i], weights[i], before, precedence,
                sums, kept, kept_weights,
            )  # fmt: skip
    for i in range(len(faded)):
        if faded[i] >= 0:
            fading = both * matching(faded[i], slots, weights)
            strength = matching(faded[i], followed, precedence)
            extend(
                links, base, LATER, faded[i], named_later[i], logs_later[i], now_later[i], fading, strength, slots,
                weights, sums, kept, kept_weights,
            )  # fmt: skip


@compiled
def follow(links, b, slots, named, weights):
    """Where links lead from slots [H, C]: slots int32 and weights [H, C, 2, E], as they are now; -1 and 0 for none."""
    base = b * links.capacity
    for h in range(slots.shape[0]):
        for c in range(slots.shape[1]):
            for side in range(2):
                for e in range(named.shape[3]):
                    named[h, c, side, e], weights[h, c, side, e] = -1, 0.0
                    if slots[h, c] >= 0:
                        place = base + slots[h, c]
                        name = np.int64(links.names[place, side, e]) - 1
                        named[h, c, side, e] = name
                        weights[h, c, side, e] = link_weight(links, base, name, links.logs[place, side, e], side)


@compiled
def empty_links(links, b):
    """Empty the tables of a row, at the cost of what was written in them."""
    first, end = b * links.capacity, b * links.capacity + links.used[b]
    links.names[first:end] = 0
    links.logs[first:end] = 0.0
    links.survival[first:end] = 0.0
    links.recent[b, :] = 0
    links.precedence[b, :] = 0.0
    links.used[b] = 0
