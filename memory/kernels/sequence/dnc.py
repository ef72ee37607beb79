"""The DNC over a sequence, compiled: Graves et al. 2016, forward and backward, for some rows of a batch.

Legend: B batch, T time.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.algebra import add, clear, clear_matrix, copy
from lukasa.memory.kernels.sequence.carrying import enter, leave, leave_fresh, recall, steer, steer_back
from lukasa.memory.kernels.sequence.compiling import compiled
from lukasa.memory.kernels.sequence.controller_steps import controller_back, controller_step
from lukasa.memory.kernels.sequence.dnc_memory import squash
from lukasa.memory.kernels.sequence.dnc_restoring import restore_bases
from lukasa.memory.kernels.sequence.dnc_state import (
    Room,
    State,
    Tape,
    Watched,
    gradients_at,
    leave_fresh_memory,
    links_before,
    past_of,
    scale_before,
    state_before,
    watch,
)
from lukasa.memory.kernels.sequence.dnc_step import access, access_back

__all__ = ["Room", "State", "Tape", "Watched", "backward", "forward"]


@compiled(entry=True)
def forward(
    begin, end, heads, weights, interface, projected, starts, first, fresh, inside, tape, hidden, reads, work, room
):
    """Run the rows from ``begin`` to ``end`` over all steps; the arguments are those of ``ntm.forward``."""
    rows, steps, kept, carried = end - begin, projected.shape[1], tape.memory.shape[1], work.carried
    for r in range(rows):
        enter(carried, r, first[0], begin + r)
    for time in range(steps):
        slot = time % kept
        for r in range(rows):
            if starts.shape[0] and starts[begin + r, time]:
                enter(carried, r, fresh[0], 0)
        controller_step(weights, projected, work, inside, begin, time, slot)
        steer(interface, carried, work.emitted, hidden, begin, time)
        for r in range(rows):
            row = begin + r
            old = state_before(tape, row, time, starts, first[1], fresh[1])
            scale_before(tape, row, time, starts, old.memory, room)
            copy(work.emitted[r], tape.emitted[row, slot])
            squash(work.emitted[r], tape.told[row, slot], heads)
            links = links_before(tape, row, time, starts, first[1], fresh[1])
            access(heads, tape, row, time, slot, old, links, carried.reads[r], room)
            copy(carried.reads[r], reads[row, time])


@compiled(entry=True)
def backward(
    begin,
    end,
    heads,
    weights,
    interface,
    starts,
    first,
    fresh,
    inside,
    tape,
    watched,
    to_hidden,
    to_reads,
    to_received,
    to_emitted,
    to_first,
    to_fresh,
    work,
    room,
):
    """Gradients of the rows from ``begin`` to ``end``; the arguments are those of ``ntm.backward``."""
    rows, steps, carried = end - begin, to_emitted.shape[1], work.carried
    for r in range(rows):
        enter(carried, r, to_first[0], begin + r)
        if not to_first[1].links.shape[0]:
            clear_matrix(room.to_links[r])
    for time in range(steps - 1, -1, -1):
        for r in range(rows):
            row = begin + r
            old = state_before(tape, row, time, starts, first[1], fresh[1])
            scale_before(tape, row, time, starts, old.memory, room)
            recall(work.before, r, inside, row, time, starts, first[0], fresh[0])
            past = past_of(tape, row, r, starts, first[1], fresh[1], room)
            restore_bases(past, time)
            to = gradients_at(to_first[1], row, room, r)
            watch(watched, row, time, to)
            add(to_reads[row, time], carried.reads[r])
            access_back(heads, tape, row, time, old, past, carried.reads[r], to, work.emitted[r], room)
            if watched.emitted.shape[0]:
                add(watched.emitted[row, time], work.emitted[r])
            copy(work.emitted[r], to_emitted[row, time])
            clear(carried.reads[r])
        steer_back(interface, carried, work.emitted, to_hidden, begin, time)
        controller_back(weights, work, inside, to_received, begin, time, time)
        for r in range(rows):
            if starts.shape[0] and starts[begin + r, time]:
                leave_fresh(carried, r, to_fresh[0], begin + r)
                leave_fresh_memory(gradients_at(to_first[1], begin + r, room, r), to_fresh[1], begin + r)
    for r in range(rows):
        leave(carried, r, to_first[0], begin + r)
