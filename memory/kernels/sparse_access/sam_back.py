"""Compiled: SAM over a whole sequence backward, for some rows of a batch. Importing this needs Numba.

Legend: B batch, T time, U hidden units that steer the heads, I numbers of the interface, H heads, W word size, C slots
that a head reads, F = H W, L entries of the tape.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.algebra import add, clear, copy
from lukasa.memory.kernels.sequence.carrying import enter, leave, recall, steer_back
from lukasa.memory.kernels.sequence.controller_steps import controller_back
from lukasa.memory.kernels.sparse_access.loops_back import backward as step_back
from lukasa.memory.kernels.sparse_access.sam_loops import read_before
from lukasa.memory.sparse.indexes.compiling import compiled


@compiled
def backward(
    begin, end, weights, interface, starts, first, fresh, first_read, inside, tape, gradient, ids, at, bounds,
    to_hidden, to_reads, to_received, to_emitted, to_first, to_read_weights, work, before, to_words,
):  # fmt: skip
    """Gradients of the rows from ``begin`` to ``end``; the memory's gradient is changed in place.

    Args:
        begin: the first row.
        end: the last one plus one.
        weights: of the controller.
        interface: of the interface.
        starts: bool [B, T], where rows were reset; empty where none was.
        first: the state before the first step.
        fresh: that to which rows were reset.
        first_read: what was read before the first step.
        inside: what the controller did.
        tape: what the heads did.
        gradient: [1 + U, W], of the memory, of the slots touched.
        ids: int64 [B, L], which of them.
        at: where the first step's begin.
        bounds: int64 [B + 1], where those of each row begin.
        to_hidden: [B, T, U], from the output layer.
        to_reads: [B, T, F], likewise.
        to_received: [L, B, T, A H], receives those of what the controller's layers received.
        to_emitted: [T, B, I], receives those of the interface.
        to_first: of the controller's last state and reads; replaced by those of the first.
        to_read_weights: [B, H, C], likewise.
        work: room.
        before: likewise.
        to_words: [B, H, W], likewise.
    """
    rows, steps, carried = end - begin, to_emitted.shape[0], work.carried
    heads, reads = tape.weights.shape[2], tape.weights.shape[3]
    writes = heads * (reads + 1)
    for r in range(rows):
        enter(carried, r, to_first, begin + r)
    for time in range(steps - 1, -1, -1):
        write_at = at + time * (writes + heads * reads)
        for r in range(rows):
            row = begin + r
            is_start = starts.shape[0] > 0 and starts[row, time]
            recall(work.before, r, inside, row, time, starts, first, fresh)
            read_before(tape, first_read, before, row, time, steps, is_start)
            add(to_reads[row, time], carried.reads[r])
            copy(carried.reads[r], to_words[row].reshape(-1))
        step_back(
            tape.emitted[time], before.weights, tape.write_weights[time], tape.weights[time], tape.gates[time],
            tape.unit_keys[time], tape.key_scale[time], tape.row_scale[time], tape.copies[time], tape.cosines[time],
            to_read_weights, to_words, gradient, ids, write_at, write_at + writes, to_emitted[time], to_read_weights,
            begin, end,
        )  # fmt: skip
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


@compiled
def forget(carried, r, to_read_weights, gradient, first, last):
    """No gradient flows from a row that was reset into what was before, nor into the first state."""
    for layer in range(carried.hidden.shape[0]):
        clear(carried.hidden[layer, r])
        clear(carried.cell[layer, r])
    clear(carried.reads[r])
    to_read_weights[:] = 0
    gradient[first:last] = 0
