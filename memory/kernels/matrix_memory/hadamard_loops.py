"""A matrix that is calibrated entry by entry (Le et al. 2025), compiled, forward and backward; see README.md.

A pair is one head of one row of the batch. The matrix lies as [K, V], so that every loop over V runs over neighbours.

Legend: B batch, T time, H heads, K key size, V value size, N steps from one checkpoint to the next, C checkpoints.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.matrix_memory.rows import add_rows, copy_all
from lukasa.memory.kernels.sequence.algebra import inner
from lukasa.memory.kernels.sequence.arithmetic import hyperbolic_tangent
from lukasa.memory.kernels.sequence.compiling import compiled


class Given(NamedTuple):
    """What the recurrence reads, or the gradients of it."""

    keys: Any  # [B, T, H, K]
    queries: Any  # [B, T, H, K]
    values: Any  # [B, T, H, V]
    theta: Any  # [B, T, H, V]
    calibration: Any  # [B, T, H, K], v_c


class Room(NamedTuple):
    """Room to work in."""

    matrices: Any  # [N, K, V], before each step since a checkpoint
    bends: Any  # [N, K, V], tanh(θ ⊗ v_c) of each of these steps


@compiled()
def _clear_all(matrix):
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            matrix[i, j] = 0


@compiled()
def _bend(theta, calibration, out):
    """The tanh of θ ⊗ v_c."""
    for i in range(out.shape[0]):
        weight = calibration[i]
        for j in range(out.shape[1]):
            out[i, j] = hyperbolic_tangent(weight * theta[j])


@compiled()
def _write(matrix, bends, key, value):
    """M ∘ (1 + bends) + k vᵀ, in place: a loop that might read what it has written is no vector loop."""
    for i in range(matrix.shape[0]):
        weight = key[i]
        for j in range(matrix.shape[1]):
            matrix[i, j] = (matrix[i, j] + matrix[i, j] * bends[i, j]) + weight * value[j]


@compiled()
def _next(matrix, bends, key, value, out):
    """The same into another matrix."""
    for i in range(matrix.shape[0]):
        weight = key[i]
        for j in range(matrix.shape[1]):
            out[i, j] = (matrix[i, j] + matrix[i, j] * bends[i, j]) + weight * value[j]


@compiled(entry=True)
def hadamard_forward(begin, end, given, starts, state, reads, checkpoints, room):
    """Run the pairs from ``begin`` to ``end`` over all steps.

    Args:
        begin: the first pair.
        end: the last pair plus one.
        given: keys, queries, values and what calibrates.
        starts: bool [B, T], or [0, 0] where nothing is reset.
        state: [B, H, K, V], the first matrices; receives the last.
        reads: [B, T, H, V], receives what the queries find.
        checkpoints: [C, B, H, K, V], receives the matrix before every N-th step; none where C is 0.
        room: to work in.
    """
    steps, heads, every = given.keys.shape[1], given.keys.shape[2], room.matrices.shape[0]
    for pair in range(begin, end):
        b, h = pair // heads, pair % heads
        matrix = state[b, h]
        for t in range(steps):
            if checkpoints.shape[0] and t % every == 0:
                copy_all(matrix, checkpoints[t // every, b, h])
            if starts.shape[0] and starts[b, t]:
                _clear_all(matrix)
            read = reads[b, t, h]
            _bend(given.theta[b, t, h], given.calibration[b, t, h], room.bends[0])
            _write(matrix, room.bends[0], given.keys[b, t, h], given.values[b, t, h])
            for j in range(read.shape[0]):
                read[j] = 0
            add_rows(matrix, given.queries[b, t, h], read)


@compiled(entry=True)
def hadamard_backward(begin, end, given, starts, checkpoints, to_reads, to_state, to_given, room):
    """From the gradients of what the pairs from ``begin`` to ``end`` gave to those of what they were given.

    Args:
        begin: the first pair.
        end: the last pair plus one.
        given: as in ``hadamard_forward``, and so are ``starts`` and ``checkpoints``.
        starts: ...
        checkpoints: ...
        to_reads: [B, T, H, V].
        to_state: [B, H, K, V], the gradients of the last matrices, which become those of the first.
        to_given: receives the gradients of ``given``.
        room: to work in.
    """
    steps, heads, every = given.keys.shape[1], given.keys.shape[2], room.matrices.shape[0]
    for pair in range(begin, end):
        b, h = pair // heads, pair % heads
        gradient = to_state[b, h]
        for segment in range((steps - 1) // every, -1, -1):
            first, last = segment * every, min(segment * every + every, steps)
            copy_all(checkpoints[segment, b, h], room.matrices[0])
            for t in range(first, last):
                place = t - first
                if starts.shape[0] and starts[b, t]:
                    _clear_all(room.matrices[place])
                _bend(given.theta[b, t, h], given.calibration[b, t, h], room.bends[place])
                if t + 1 < last:
                    key, value = given.keys[b, t, h], given.values[b, t, h]
                    _next(room.matrices[place], room.bends[place], key, value, room.matrices[place + 1])
            for t in range(last - 1, first - 1, -1):
                _step_back(given, to_reads[b, t, h], gradient, to_given, room, b, t, h, t - first)
                if starts.shape[0] and starts[b, t]:
                    _clear_all(gradient)


@compiled()
def _arrive(gradient, query, read):
    """G + q gᵀ."""
    for i in range(gradient.shape[0]):
        weight = query[i]
        for j in range(gradient.shape[1]):
            gradient[i, j] += weight * read[j]


@compiled("reassoc")
def _rows_against(matrix, bends, gradient, read, value, to_query, to_key):
    """Row by row (M ∘ C) g of the calibrated matrix, and G v of the gradient: two vectors [K]."""
    for i in range(matrix.shape[0]):
        row, bend, slope = matrix[i], bends[i], gradient[i]
        first = second = matrix.dtype.type(0)
        for j in range(row.shape[0]):
            first += (row[j] + row[j] * bend[j]) * read[j]
            second += slope[j] * value[j]
        to_query[i] = first
        to_key[i] = second


@compiled()
def _through_tanh(matrix, bends, gradient):
    """Bends become the gradient of θ ⊗ v_c, and the gradient that of the matrix before."""
    one = matrix.dtype.type(1)
    for i in range(matrix.shape[0]):
        bend, slope, row = bends[i], gradient[i], matrix[i]
        for j in range(row.shape[0]):
            row[j] = slope[j] * row[j] * (one - bend[j] * bend[j])
        for j in range(row.shape[0]):
            slope[j] += slope[j] * bend[j]


@compiled("reassoc")
def _times(matrix, vector, out):
    """The product of a matrix [K, V] and a vector [V]."""
    for i in range(matrix.shape[0]):
        found = matrix.dtype.type(0)
        for j in range(matrix.shape[1]):
            found += matrix[i, j] * vector[j]
        out[i] = found


@compiled()
def _step_back(given, to_read, gradient, to_given, room, b, t, h, place):
    """One step: leaves in ``gradient`` that of the matrix before it, and nothing of that matrix."""
    key, query, value = given.keys[b, t, h], given.queries[b, t, h], given.values[b, t, h]
    to_key, to_query, to_value = to_given.keys[b, t, h], to_given.queries[b, t, h], to_given.values[b, t, h]
    to_theta, matrix, bends = to_given.theta[b, t, h], room.matrices[place], room.bends[place]
    _arrive(gradient, query, to_read)
    _rows_against(matrix, bends, gradient, to_read, value, to_query, to_key)
    said = inner(value, to_read)
    for i in range(key.shape[0]):
        to_query[i] += key[i] * said
    for j in range(value.shape[0]):
        to_value[j] = 0
        to_theta[j] = 0
    add_rows(gradient, key, to_value)
    _through_tanh(matrix, bends, gradient)
    add_rows(matrix, given.calibration[b, t, h], to_theta)
    _times(matrix, given.theta[b, t, h], to_given.calibration[b, t, h])
