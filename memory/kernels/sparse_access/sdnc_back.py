"""Compiled: the SDNC over a whole sequence backward, for some rows of a batch. Importing this needs Numba.

Legend: B batch, T time, H heads, W word size, C slots that a head reads, E entries of a row of links.
"""

from __future__ import annotations

import numpy as np

from lukasa.memory.kernels.sequence.algebra import add, clear, copy
from lukasa.memory.kernels.sequence.carrying import enter, leave, recall, steer_back
from lukasa.memory.kernels.sequence.controller_steps import controller_back
from lukasa.memory.kernels.sparse_access.loops import sigmoid
from lukasa.memory.kernels.sparse_access.loops_back import content_backward, write_back
from lukasa.memory.kernels.sparse_access.sam_back import forget
from lukasa.memory.kernels.sparse_access.sdnc_loops import read_before
from lukasa.memory.sparse.indexes.compiling import compiled
from lukasa.memory.sparse.indexes.lanes import dot


@compiled
def read_back(tape, time, b, h, before, to_weights, to_words, gradient, ids, to_content, to_before, to_modes):
    """From the gradient of what a head read to those of content weights, earlier read weights and read modes."""
    reads, entries, g = tape.linked.shape[3], tape.linked.shape[5], b * tape.linked.shape[2] + h
    modes, owners, linked = tape.modes[time, b, h], tape.owners[time, b, h], tape.linked[time, b, h]
    to_kept = np.zeros(reads, to_weights.dtype)
    for c in range(reads):
        if tape.slots[time, b, h, c] >= 0:
            to_kept[c] = to_weights[c] + dot(tape.words[time, g, c], 0, to_words, 0, len(to_words))
            place = ids[c]
            if place > 0:
                for d in range(len(to_words)):
                    gradient[place, d] += tape.weights[time, b, h, c] * to_words[d]
    back = by_content = ahead = 0.0
    for c in range(reads):
        to_content[c] = to_before[c] = 0
        if owners[c] >= 0:
            to_content[c] = modes[1] * to_kept[owners[c]]
            by_content += tape.content[time, b, h, c] * to_kept[owners[c]]
        for side in range(2):
            for e in range(entries):
                owner = owners[reads + (side * reads + c) * entries + e]
                if owner >= 0:
                    through = linked[c, side, e] * to_kept[owner]
                    to_before[c] += modes[2 * side] * through
                    if side == 0:
                        back += before[c] * through
                    else:
                        ahead += before[c] * through
    mean = modes[0] * back + modes[1] * by_content + modes[2] * ahead
    to_modes[0], to_modes[1] = modes[0] * (back - mean), modes[1] * (by_content - mean)
    to_modes[2] = modes[2] * (ahead - mean)


@compiled
def step_back(tape, time, before, to_weights, to_words, gradient, ids, at, to_emitted, low, high):
    """Gradients of a step of the rows from ``low`` to ``high``; ``to_weights`` become those of the reads before."""
    heads, reads, size = tape.found.shape[2], tape.found.shape[3], gradient.shape[1]
    found_at = at + heads * (reads + 1)
    read_at, modes_at = found_at + heads * reads, (2 * size + 3) * heads
    to_content = np.empty(reads, to_weights.dtype)
    to_before, nothing = np.empty((heads, reads), to_weights.dtype), np.zeros(size, to_weights.dtype)
    for b in range(low, high):
        to_interface = to_emitted[b]
        for h in range(heads):  # what was read last passes first
            g, mine = b * heads + h, read_at + h * reads
            read_back(
                tape, time, b, h, before.weights[b, h], to_weights[b, h], to_words[b, h], gradient,
                ids[b, mine : mine + reads], to_content, to_before[h],
                to_interface[modes_at + 3 * h : modes_at + 3 * h + 3],
            )  # fmt: skip
            strength, mine = tape.emitted[time, b, 2 * heads * size + h], found_at + h * reads
            to_strength = content_backward(
                tape.cosines[time, g], tape.row_scale[time, g], tape.copies[time, g], tape.unit_keys[time, g],
                tape.key_scale[time, g, 0], tape.content[time, b, h], strength, to_content, nothing,
                to_interface[h * size : (h + 1) * size], gradient, ids[b, mine : mine + reads],
            )  # fmt: skip
            to_interface[2 * heads * size + h] = to_strength * sigmoid(strength)
        write_back(
            b, tape.emitted[time], before.weights, tape.write_weights[time], tape.gates[time], gradient, ids, at,
            to_emitted, to_weights,
        )  # fmt: skip
        for h in range(heads):
            add(to_before[h], to_weights[b, h])


@compiled
def backward(
    begin, end, weights, interface, starts, first, fresh, first_read, inside, tape, gradient, ids, at, bounds,
    to_hidden, to_reads, to_received, to_emitted, to_first, to_read_weights, work, before, to_words,
):  # fmt: skip
    """As ``sam_loops.backward``."""
    rows, steps, carried = end - begin, to_emitted.shape[0], work.carried
    heads, reads = tape.weights.shape[2], tape.weights.shape[3]
    for r in range(rows):
        enter(carried, r, to_first, begin + r)
    for time in range(steps - 1, -1, -1):
        for r in range(rows):
            row = begin + r
            is_start = starts.shape[0] > 0 and starts[row, time]
            recall(work.before, r, inside, row, time, starts, first, fresh)
            read_before(tape, first_read, before, row, time, steps, is_start)
            add(to_reads[row, time], carried.reads[r])
            copy(carried.reads[r], to_words[row].reshape(-1))
        here = at + time * heads * (3 * reads + 1)
        step_back(tape, time, before, to_read_weights, to_words, gradient, ids, here, to_emitted[time], begin, end)
        for r in range(rows):
            copy(to_emitted[time, begin + r], work.emitted[r])
            clear(carried.reads[r])
        steer_back(interface, carried, work.emitted, to_hidden, begin, time)
        controller_back(weights, work, inside, to_received, begin, time, time)
        if starts.shape[0]:
            for r in range(rows):
                if starts[begin + r, time]:
                    forget(carried, r, to_read_weights[begin + r], gradient, bounds[begin + r], bounds[begin + r + 1])
    for r in range(rows):
        leave(carried, r, to_first, begin + r)
