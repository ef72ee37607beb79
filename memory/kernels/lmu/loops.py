"""A Legendre Memory Unit over a sequence, compiled, forward and backward, for some rows of a batch.

Time comes first: a step of all rows is one matrix. Where a row is reset it begins from zeros. What belongs to hidden
units has no rows where H is 0, and then costs nothing.

Legend: B batch, b rows of the batch worked on together, T time, H hidden units, M memories, d order of the memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.algebra import add, add_products, add_some_products, clear, copy, dot
from lukasa.memory.kernels.sequence.arithmetic import hyperbolic_tangent
from lukasa.memory.kernels.sequence.compiling import compiled


class Weights(NamedTuple):
    """One row for each number that goes in, forward; one for each that comes out, backward."""

    hidden_encoder: Any  # [H, M], or [M, H]
    memory_encoder: Any  # [M d, M], or [M, M d]; no rows where H is 0
    hidden_kernel: Any  # [H, H]
    memory_kernel: Any  # [M d, H], or [H, M d]; no rows where H is 0
    transition: Any  # [d, d], transposed forward
    entry: Any  # [1, d]


class States(NamedTuple):
    """Hidden vectors and memories; the latter seen in two ways."""

    hidden: Any  # [T + 1, B, H] of a sequence from before its first step, [1, b, H] of what is worked on
    memory: Any  # [T + 1, B, M d]
    memories: Any  # [T + 1, B M, d], the same numbers


@compiled()
def _forget(states, starts, time, begin):
    """Rows that are reset hold nothing."""
    if starts.shape[0]:
        for r in range(states.memory.shape[1]):
            if starts[time, begin + r]:
                clear(states.hidden[0, r])
                clear(states.memory[0, r])


@compiled(entry=True)
def forward(begin, end, weights, encoded, driven, starts, tape, room, told):
    """Run the rows from ``begin`` to ``end`` over all steps.

    Args:
        begin: the first row.
        end: the last row plus one.
        weights: as they multiply forward.
        encoded: [T, B, M].
        driven: [T, B, H].
        starts: bool [T, B], or [0, 0] where nothing is reset.
        tape: with the first state; receives the others.
        room: to work in.
        told: [b, M], to work in.
    """
    rows, count = end - begin, encoded.shape[2]
    entry = weights.entry[0]
    for time in range(encoded.shape[0]):
        for r in range(rows):
            copy(tape.hidden[time, begin + r], room.hidden[0, r])
            copy(tape.memory[time, begin + r], room.memory[0, r])
            copy(encoded[time, begin + r], told[r])
        _forget(room, starts, time, begin)
        add_products(told, room.hidden[0], weights.hidden_encoder)
        add_products(told, room.memory[0], weights.memory_encoder)
        for r in range(rows):
            copy(driven[time, begin + r], tape.hidden[time + 1, begin + r])
            for m in range(count):
                memory, new = tape.memories[time + 1, (begin + r) * count + m], told[r, m]
                for i in range(memory.shape[0]):
                    memory[i] = new * entry[i]
        first = begin * count
        add_some_products(tape.memories[time + 1], first, room.memories[0], 0, rows * count, weights.transition)
        hidden = tape.hidden[time + 1]
        add_some_products(hidden, begin, room.hidden[0], 0, rows, weights.hidden_kernel)
        add_some_products(hidden, begin, tape.memory[time + 1], begin, rows, weights.memory_kernel)
        for r in range(rows):
            here = hidden[begin + r]
            for j in range(here.shape[0]):
                here[j] = hyperbolic_tangent(here[j])


@compiled(entry=True)
def backward(begin, end, weights, starts, hidden, to_states, to_first, to_encoded, to_driven, room, told):
    """From the gradients of the states to those of what the steps received.

    Args:
        begin: the first row.
        end: the last row plus one.
        weights: as they multiply backward.
        starts: as in ``forward``.
        hidden: [T + 1, B, H], as ``forward`` left it.
        to_states: what arrives from outside, [T, ...].
        to_first: [1, B, ...], receives the gradient of the first state; zeros at first.
        to_encoded: [T, B, M], receives the gradient of what went into the memories.
        to_driven: [T, B, H], receives that of what went into the hidden vectors.
        room: to work in.
        told: [b, M], to work in.
    """
    rows, count = end - begin, to_encoded.shape[2]
    one = to_encoded.dtype.type(1)
    carried = to_first
    for time in range(to_encoded.shape[0] - 1, -1, -1):
        for r in range(rows):
            row = begin + r
            add(to_states.hidden[time, row], carried.hidden[0, row])
            here, new, to_here = hidden[time + 1, row], room.hidden[0, r], carried.hidden[0, row]
            for j in range(here.shape[0]):
                new[j] = to_here[j] * (one - here[j] * here[j])
            copy(new, to_driven[time, row])
            copy(carried.memory[0, row], room.memory[0, r])
            add(to_states.memory[time, row], room.memory[0, r])
        add_products(room.memory[0], room.hidden[0], weights.memory_kernel)
        for r in range(rows):
            for m in range(count):
                told[r, m] = dot(room.memories[0], r * count + m, weights.entry, 0)
            copy(told[r], to_encoded[time, begin + r])
            clear(carried.hidden[0, begin + r])
            clear(carried.memory[0, begin + r])
        add_some_products(carried.hidden[0], begin, room.hidden[0], 0, rows, weights.hidden_kernel)
        add_some_products(carried.hidden[0], begin, told, 0, rows, weights.hidden_encoder)
        add_some_products(carried.memories[0], begin * count, room.memories[0], 0, rows * count, weights.transition)
        add_some_products(carried.memory[0], begin, told, 0, rows, weights.memory_encoder)
        if starts.shape[0]:
            for row in range(begin, end):
                if starts[time, row]:
                    clear(carried.hidden[0, row])
                    clear(carried.memory[0, row])
