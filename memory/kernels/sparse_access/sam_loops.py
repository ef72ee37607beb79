"""Compiled: SAM over a whole sequence, forward, for some rows of a batch. Importing this needs Numba.

Legend: B batch, T time, Z steps that are kept, U hidden units that steer the heads, I numbers of the interface, H
heads, G = B H of all rows, W word size, C slots that a head reads, S = H (C + 1), F = H W, L entries of the tape.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.algebra import copy
from lukasa.memory.kernels.sequence.carrying import enter, steer
from lukasa.memory.kernels.sequence.controller_steps import controller_step
from lukasa.memory.kernels.sparse_access.loops import READY, prepare, step
from lukasa.memory.kernels.sparse_access.rows import empty, is_outgrown
from lukasa.memory.sparse.indexes.compiling import compiled


class Tape(NamedTuple):
    """What is kept of the steps, step by step."""

    emitted: Any  # [Z, B, I]
    gates: Any  # [Z, B, 2 H]
    write_slots: Any  # int64 [Z, B, H, C + 1]
    write_weights: Any  # [Z, B, H, C + 1]
    found: Any  # int64 [Z, B, H, C]
    weights: Any  # [Z, B, H, C]
    unit_keys: Any  # [Z, G, W]
    key_scale: Any  # [Z, G, 1]
    row_scale: Any  # [Z, G, C]
    copies: Any  # [Z, G, C, W]
    cosines: Any  # [Z, G, C]


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
                before.slots[row, h, c] = tape.found[slot, row, h, c]
                before.weights[row, h, c] = tape.weights[slot, row, h, c]


@compiled
def resume(carried, r, first, inside, row, slot):
    """The hidden and cell vectors that a row has after a step."""
    for layer in range(first.hidden.shape[1]):
        copy(inside.hidden[layer, row, slot], carried.hidden[layer, r])
    for layer in range(first.cell.shape[1]):
        copy(inside.cell[layer, row, slot], carried.cell[layer, r])


@compiled
def forward(
    begin, end, now, stop, event_at, memory, weights, interface, projected, starts, first, fresh, first_read,
    inside, tape, hidden, reads, work, before, added, words, peaks, limits, status, reached,
):  # fmt: skip
    """Run the rows from ``begin`` to ``end`` over the steps from ``now`` to ``stop``, or until one asks for attention.

    ``reached`` [B] says at which step that is; ``status`` [B] which rows hold numbers that need a closer look, before
    that step changed anything, and ``memory.outgrown`` [B] which need new lists. ``event_at`` is where the first step's
    accesses begin in the log.
    """
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
        step(
            memory.tables, memory.width, memory.scale, memory.kept, memory.probes, memory.rows, memory.capacity,
            memory.used, tape.emitted[slot], memory.given[time], tape.write_slots[slot], tape.write_weights[slot],
            added, memory.delta, memory.last, memory.log, event_at + (time - now) * per_step, memory.slots,
            tape.found[slot], tape.weights[slot], words, tape.unit_keys[slot], tape.key_scale[slot],
            tape.row_scale[slot], tape.copies[slot], tape.cosines[slot], begin, end,
        )  # fmt: skip
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
