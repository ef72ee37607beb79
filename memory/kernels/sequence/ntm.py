"""The NTM over a sequence, compiled: Graves, Wayne & Danihelka 2014, forward and backward, for some rows of a batch.

Legend: B batch, T time, Z steps that are kept, U hidden units that steer the heads, R read heads, P write heads,
H = R + P, N slots, W word size, F = R W, I numbers of the interface.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.algebra import add, add_matrix, clear, clear_matrix, copy, dot
from lukasa.memory.kernels.sequence.carrying import enter, leave, leave_fresh, recall, steer, steer_back
from lukasa.memory.kernels.sequence.compiling import compiled
from lukasa.memory.kernels.sequence.content import content_back, memory_scales, row_scales
from lukasa.memory.kernels.sequence.controller_steps import controller_back, controller_step
from lukasa.memory.kernels.sequence.ntm_address import Address, address, address_back, squash, squash_back
from lukasa.memory.kernels.sequence.ntm_memory import read_back, write, write_back


class State(NamedTuple):
    """Of all rows, or of one that is fresh; or its gradient. The read heads come first."""

    memory: Any  # [B, W, N]
    weights: Any  # [B, H, N]


class Tape(NamedTuple):
    """What is kept of the steps."""

    emitted: Any  # [B, Z, I], the interface as the controller emits it
    told: Any  # [B, Z, I], squashed
    memory: Any  # [B, Z, W, N], after the step
    scale: Any  # [B, Z, N], 1 / |m| of that
    similarity: Any  # [B, Z, H, N]
    content: Any  # [B, Z, H, N]
    relative: Any  # [B, Z, H, N]
    slope: Any  # [B, Z, H, N]
    weights: Any  # [B, Z, H, N]
    numbers: Any  # [B, Z, H, 3]


class Room(NamedTuple):
    """Room to work in, for one row."""

    scale: Any  # [N]
    squares: Any  # [N]
    scaled: Any  # [2, H, W]
    circles: Any  # [2, N + S]
    to_similarity: Any  # [H, N]
    left: Any  # [P + 1, N]


class Watched(NamedTuple):
    """Gradients of what was recorded; of size 0 where there are none."""

    emitted: Any  # [B, T, I]
    memory: Any  # [B, T, W, N]
    weights: Any  # [B, T, H, N]


@compiled()
def _address_at(tape, row, slot):
    return Address(
        tape.similarity[row, slot],
        tape.content[row, slot],
        tape.relative[row, slot],
        tape.slope[row, slot],
        tape.weights[row, slot],
        tape.numbers[row, slot],
    )


@compiled(entry=True)
def forward(
    begin, end, heads, weights, interface, projected, starts, first, fresh, inside, tape, hidden, reads, work, room
):
    """Run the rows from ``begin`` to ``end`` over all steps.

    Args:
        begin: the first row.
        end: the last row plus one.
        heads: their number, and the places of what they are told.
        weights: of the controller.
        interface: the layer that steers the heads.
        projected: [B, T, G H], what the first layer receives from the inputs.
        starts: bool [B, T], or [0, 0] where nothing is reset.
        first: the controller's state and the memory's before the first step.
        fresh: those to which a row is reset, in one row.
        inside: the controller's tape.
        tape: the memory's.
        hidden: [B, T, U], receives what steers the heads.
        reads: [B, T, F], receives what is read.
        work: room for the rows.
        room: room for one row.
    """
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
            memory, old, known = _before(tape, row, time, starts, first[1], fresh[1], room)
            told = tape.told[row, slot]
            copy(work.emitted[r], tape.emitted[row, slot])
            squash(work.emitted[r], told, heads)
            at = _address_at(tape, row, slot)
            count, written, its_scale = heads.readers + heads.writers, tape.memory[row, slot], tape.scale[row, slot]
            address(told, heads, heads.readers, count, memory, known, old, at, room.scaled[0], room.circles)
            write(told, heads, memory, at.weights, written, room.squares)
            row_scales(room.squares, its_scale)
            address(told, heads, 0, heads.readers, written, its_scale, old, at, room.scaled[0], room.circles)
            for h in range(heads.readers):
                for w in range(heads.word):
                    carried.reads[r, h * heads.word + w] = dot(at.weights, h, written, w)
            copy(carried.reads[r], reads[row, time])


@compiled()
def _before(tape, row, time, starts, first, fresh, room):
    """The memory, the weights and the scales with which a row goes into a step."""
    before = (time - 1) % tape.memory.shape[1]
    if starts.shape[0] and starts[row, time]:
        memory_scales(fresh.memory[0], room.squares, room.scale)
        return fresh.memory[0], fresh.weights[0], room.scale
    if time == 0:
        memory_scales(first.memory[row], room.squares, room.scale)
        return first.memory[row], first.weights[row], room.scale
    return tape.memory[row, before], tape.weights[row, before], tape.scale[row, before]


@compiled()
def _address_and_content_back(told, heads, first, last, memory, scale, old, at, to_memory, to_weights, to_told, room):
    """Through the addresses of the heads from ``first`` to ``last``, which pointed at ``memory``."""
    address_back(told, heads, first, last, old, at, to_weights, to_told, room.to_similarity, room.circles)
    content_back(
        told,
        0,
        heads.strengths,
        first,
        last,
        memory,
        scale,
        at.similarity,
        at.numbers,
        room.to_similarity,
        room.scaled,
        room.squares,
        to_memory,
        to_told,
    )


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
    """From the gradients of what the rows from ``begin`` to ``end`` gave to those of what they were given.

    Args:
        begin: the first row.
        end: the last row plus one.
        heads: as in ``forward``.
        weights: likewise.
        interface: likewise.
        starts: likewise.
        first: likewise.
        fresh: likewise.
        inside: as ``forward`` left it, with every step.
        tape: likewise.
        watched: gradients of what was recorded.
        to_hidden: [B, T, U].
        to_reads: [B, T, F], from the output layer.
        to_received: [L, B, T, A H], receives the gradients of what the layers of the controller received.
        to_emitted: [B, T, I], receives those of the interface.
        to_first: the gradients of the last state, which become those of the first.
        to_fresh: receives those of the fresh state by rows; of size 0 where nothing is reset.
        work: room for the rows.
        room: room for one row.
    """
    rows, steps, count, carried = end - begin, to_emitted.shape[1], heads.readers + heads.writers, work.carried
    for r in range(rows):
        enter(carried, r, to_first[0], begin + r)
    for time in range(steps - 1, -1, -1):
        for r in range(rows):
            row = begin + r
            memory, old, known = _before(tape, row, time, starts, first[1], fresh[1], room)
            recall(work.before, r, inside, row, time, starts, first[0], fresh[0])
            to_memory, to_weights, to_told = to_first[1].memory[row], to_first[1].weights[row], work.emitted[r]
            told, at, written = tape.told[row, time], _address_at(tape, row, time), tape.memory[row, time]
            if watched.memory.shape[0]:
                add_matrix(watched.memory[row, time], to_memory)
            if watched.weights.shape[0]:
                add_matrix(watched.weights[row, time], to_weights)
            add(to_reads[row, time], carried.reads[r])
            read_back(heads, carried.reads[r], written, at.weights, to_memory, to_weights)
            _address_and_content_back(
                told,
                heads,
                0,
                heads.readers,
                written,
                tape.scale[row, time],
                old,
                at,
                to_memory,
                to_weights,
                to_told,
                room,
            )
            write_back(told, heads, memory, at.weights, to_memory, to_weights, to_told, room.left)
            _address_and_content_back(
                told, heads, heads.readers, count, memory, known, old, at, to_memory, to_weights, to_told, room
            )
            squash_back(tape.emitted[row, time], told, heads, to_told)
            if watched.emitted.shape[0]:
                add(watched.emitted[row, time], to_told)
            copy(to_told, to_emitted[row, time])
            clear(carried.reads[r])
        steer_back(interface, carried, work.emitted, to_hidden, begin, time)
        controller_back(weights, work, inside, to_received, begin, time, time)
        for r in range(rows):
            if starts.shape[0] and starts[begin + r, time]:
                leave_fresh(carried, r, to_fresh[0], begin + r)
                _leave_fresh(to_first[1], to_fresh[1], begin + r)
    for r in range(rows):
        leave(carried, r, to_first[0], begin + r)


@compiled()
def _leave_fresh(to_first, to_fresh, row):
    """The gradient of a row's memory and weights is that of the fresh state, and nothing flows further back."""
    if to_fresh.memory.shape[0]:
        add_matrix(to_first.memory[row], to_fresh.memory[row])
    add_matrix(to_first.weights[row], to_fresh.weights[row])
    clear_matrix(to_first.memory[row])
    clear_matrix(to_first.weights[row])
