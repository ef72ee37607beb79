"""The MANN over a sequence, compiled: Santoro et al. 2016, forward and backward, for some rows of a batch.

Legend: B batch, T time, Z steps that are kept, U hidden units that steer the heads, H heads, N slots, W word size,
F = H W, I numbers of the interface, J numbers that the heads are told.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.algebra import add, add_matrix, clear, clear_matrix, copy, dot
from lukasa.memory.kernels.sequence.carrying import enter, leave, leave_fresh, recall, steer, steer_back
from lukasa.memory.kernels.sequence.compiling import compiled
from lukasa.memory.kernels.sequence.content import content_back, content_weights, row_scales, softmax_back
from lukasa.memory.kernels.sequence.controller_steps import controller_back, controller_step
from lukasa.memory.kernels.sequence.mann_memory import find_least_used, squash, squash_back, use, write, write_back
from lukasa.memory.kernels.sequence.ntm_memory import read_back


class State(NamedTuple):
    """Of all rows, or of one that is fresh; or its gradient."""

    memory: Any  # [B, W, N]
    usage: Any  # [B, N]; no gradient
    weights: Any  # [B, H, N], of the reads


class Tape(NamedTuple):
    """What is kept of the steps."""

    emitted: Any  # [B, Z, I], the interface as the controller emits it
    told: Any  # [B, Z, J], squashed
    memory: Any  # [B, Z, W, N], after the step
    scale: Any  # [B, Z, N], 1 / |m| of that
    similarity: Any  # [B, Z, H, N]
    weights: Any  # [B, Z, H, N], of the reads
    write_weights: Any  # [B, Z, H, N]
    usage: Any  # [B, Z, N]
    least_used: Any  # [B, Z, H], slots
    key_scales: Any  # [B, Z, H, 1]


class Room(NamedTuple):
    """Room to work in, for one row."""

    squares: Any  # [N]
    scaled: Any  # [2, H, W]
    to_similarity: Any  # [H, N]
    to_write: Any  # [H, N]
    to_told: Any  # [J]


class Watched(NamedTuple):
    """Gradients of what was recorded; of size 0 where there are none."""

    emitted: Any  # [B, T, I]
    memory: Any  # [B, T, W, N]
    weights: Any  # [B, T, H, N]
    write_weights: Any  # [B, T, H, N]
    usage: Any  # none
    least_used: Any  # none


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
            memory, old, used = _before(tape, row, time, starts, first[1], fresh[1])
            told, written, scale = tape.told[row, slot], tape.memory[row, slot], tape.scale[row, slot]
            least_used, wrote, read = tape.least_used[row, slot], tape.write_weights[row, slot], tape.weights[row, slot]
            copy(work.emitted[r], tape.emitted[row, slot])
            squash(work.emitted[r], told, heads)
            find_least_used(used, least_used)
            write(told, heads, memory, old, least_used, written, wrote, room.squares)
            row_scales(room.squares, scale)
            content_weights(
                told,
                0,
                heads.strengths,
                0,
                heads.readers,
                written,
                scale,
                tape.similarity[row, slot],
                read,
                tape.key_scales[row, slot],
                room.scaled[0],
            )
            for h in range(heads.readers):
                for w in range(heads.word):
                    carried.reads[r, h * heads.word + w] = dot(read, h, written, w)
            use(heads, used, wrote, read, tape.usage[row, slot])
            copy(carried.reads[r], reads[row, time])


@compiled()
def _before(tape, row, time, starts, first, fresh):
    """The memory, the weights of the reads and the usage with which a row goes into a step."""
    before = (time - 1) % tape.memory.shape[1]
    if starts.shape[0] and starts[row, time]:
        return fresh.memory[0], fresh.weights[0], fresh.usage[0]
    if time == 0:
        return first.memory[row], first.weights[row], first.usage[row]
    return tape.memory[row, before], tape.weights[row, before], tape.usage[row, before]


@compiled()
def _access_back(heads, tape, row, time, old, to_reads, to_memory, to_weights, to_write, room):
    """Through reads, addresses and writes; what the heads are told receives its gradients in ``room.to_told``."""
    told, written, to_told = tape.told[row, time], tape.memory[row, time], room.to_told
    read_back(heads, to_reads, written, tape.weights[row, time], to_memory, to_weights)
    softmax_back(tape.weights[row, time], to_weights, 0, heads.readers, room.to_similarity)
    clear(to_told)
    content_back(
        told,
        0,
        heads.strengths,
        0,
        heads.readers,
        written,
        tape.scale[row, time],
        tape.similarity[row, time],
        tape.key_scales[row, time],
        room.to_similarity,
        room.scaled,
        room.squares,
        to_memory,
        to_told,
    )
    wrote, least_used = tape.write_weights[row, time], tape.least_used[row, time]
    write_back(told, heads, old, least_used, wrote, to_memory, to_write, to_weights, to_told)
    squash_back(tape.emitted[row, time], told, heads, to_told)


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
    for time in range(steps - 1, -1, -1):
        for r in range(rows):
            row = begin + r
            _, old, _ = _before(tape, row, time, starts, first[1], fresh[1])
            recall(work.before, r, inside, row, time, starts, first[0], fresh[0])
            to_memory, to_weights = to_first[1].memory[row], to_first[1].weights[row]
            if watched.memory.shape[0]:
                add_matrix(watched.memory[row, time], to_memory)
            if watched.weights.shape[0]:
                add_matrix(watched.weights[row, time], to_weights)
            clear_matrix(room.to_write)
            if watched.write_weights.shape[0]:
                add_matrix(watched.write_weights[row, time], room.to_write)
            add(to_reads[row, time], carried.reads[r])
            _access_back(heads, tape, row, time, old, carried.reads[r], to_memory, to_weights, room.to_write, room)
            copy(room.to_told, work.emitted[r])
            if watched.emitted.shape[0]:
                add(watched.emitted[row, time], work.emitted[r])
            copy(work.emitted[r], to_emitted[row, time])
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
