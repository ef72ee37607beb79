"""A matrix that decays and is written by outer products, compiled, forward and backward; see README.md.

A pair is one head of one row of the batch: pairs need nothing of one another. The matrix lies as [K, V], so that every
loop over V runs over neighbours.

Legend: B batch, T time, H heads, K key size, V value size, N steps from one checkpoint to the next, C checkpoints.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.matrix_memory.rows import add_rows, copy_all
from lukasa.memory.kernels.sequence.algebra import inner
from lukasa.memory.kernels.sequence.compiling import compiled


class Given(NamedTuple):
    """What the recurrence reads, or the gradients of it."""

    keys: Any  # [B, T, H, K]
    queries: Any  # [B, T, H, K]
    values: Any  # [B, T, H, V]
    decay: Any  # [B, T, H]
    strength: Any  # [B, T, H]


class Tape(NamedTuple):
    """What backward needs beside the arguments; empty where it is not to come."""

    found: Any  # [B, T, H, V], p: what the memory held under the key; [0, 0, 0, 0] without the delta rule
    matrices: Any  # [C, B, H, K, V], before every N-th step


class Room(NamedTuple):
    """Room to work in."""

    found: Any  # [V]
    written: Any  # [V]
    to_written: Any  # [V]
    to_found: Any  # [V]
    shared: Any  # [V]
    keys: Any  # [K]
    matrices: Any  # [N, K, V], before each step since a checkpoint


@compiled()
def _clear(vector):
    for n in range(vector.shape[0]):
        vector[n] = 0


@compiled()
def _clear_all(matrix):
    for i in range(matrix.shape[0]):
        _clear(matrix[i])


@compiled()
def _add_rows_twice(matrix, weights, others, out, other):
    """The same with two vectors of weights, in one pass over the matrix."""
    count, width = matrix.shape
    whole = count - count % 4
    for i in range(0, whole, 4):
        a, b, c, d = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        e, f, g, h = others[i], others[i + 1], others[i + 2], others[i + 3]
        for j in range(width):
            p, q, r, s = matrix[i, j], matrix[i + 1, j], matrix[i + 2, j], matrix[i + 3, j]
            out[j] += (a * p + b * q) + (c * r + d * s)
            other[j] += (e * p + f * q) + (g * r + h * s)
    for i in range(whole, count):
        a, e = weights[i], others[i]
        for j in range(width):
            out[j] += a * matrix[i, j]
            other[j] += e * matrix[i, j]


@compiled()
def _decay_and_write(matrix, decay, key, written):
    """S = a S + k uᵀ, in place: a loop that might read what it has written is no vector loop."""
    for i in range(matrix.shape[0]):
        weight = key[i]
        for j in range(matrix.shape[1]):
            matrix[i, j] = decay * matrix[i, j] + weight * written[j]


@compiled()
def _next(matrix, decay, key, written, out):
    """The same into another matrix."""
    for i in range(matrix.shape[0]):
        weight = key[i]
        for j in range(matrix.shape[1]):
            out[i, j] = decay * matrix[i, j] + weight * written[j]


@compiled()
def _written(value, found, decay, strength, delta, out):
    """The vector that is written: u = b (v − a p), or b v without the delta rule."""
    if delta:
        for j in range(out.shape[0]):
            out[j] = strength * (value[j] - decay * found[j])
    else:
        for j in range(out.shape[0]):
            out[j] = strength * value[j]


@compiled(entry=True)
def rank_one_forward(begin, end, delta, given, starts, state, reads, tape, room):
    """Run the pairs from ``begin`` to ``end`` over all steps.

    Args:
        begin: the first pair.
        end: the last pair plus one.
        delta: whether what the memory holds under a key is taken away first.
        given: keys, queries, values and gates.
        starts: bool [B, T], or [0, 0] where nothing is reset.
        state: [B, H, K, V], the first matrices; receives the last.
        reads: [B, T, H, V], receives what the queries find.
        tape: receives what backward needs.
        room: to work in.
    """
    heads, steps = given.keys.shape[2], given.keys.shape[1]
    every = room.matrices.shape[0]
    for pair in range(begin, end):
        b, h = pair // heads, pair % heads
        matrix = state[b, h]
        for t in range(steps):
            if tape.matrices.shape[0] and t % every == 0:
                copy_all(matrix, tape.matrices[t // every, b, h])
            if starts.shape[0] and starts[b, t]:
                _clear_all(matrix)
            key, query, read = given.keys[b, t, h], given.queries[b, t, h], reads[b, t, h]
            decay, strength = given.decay[b, t, h], given.strength[b, t, h]
            # S_t q = a S_{t-1} q + (k · q) u, so that one pass over the matrix does for both reads
            _clear(read)
            if delta:
                found = tape.found[b, t, h] if tape.found.shape[0] else room.found
                _clear(found)
                _add_rows_twice(matrix, key, query, found, read)
                _written(given.values[b, t, h], found, decay, strength, True, room.written)
            else:
                add_rows(matrix, query, read)
                _written(given.values[b, t, h], read, decay, strength, False, room.written)
            near = inner(key, query)
            for j in range(read.shape[0]):
                read[j] = decay * read[j] + near * room.written[j]
            _decay_and_write(matrix, decay, key, room.written)


@compiled("reassoc")
def _rows_against(matrix, gradient, read, found, written, of_read, of_found, of_written):
    """Row by row S g and S w of the matrix S, and G u of its gradient G: three vectors [K]."""
    for i in range(matrix.shape[0]):
        row, slope = matrix[i], gradient[i]
        first = second = third = matrix.dtype.type(0)
        for j in range(row.shape[0]):
            first += row[j] * read[j]
            second += row[j] * found[j]
            third += slope[j] * written[j]
        of_read[i] = first
        of_found[i] = second
        of_written[i] = third


@compiled("reassoc")
def _overlap(matrix, gradient):
    """The sum of G ∘ S."""
    a, b = matrix.reshape(-1), gradient.reshape(-1)
    found = matrix.dtype.type(0)
    for n in range(a.shape[0]):
        found += a[n] * b[n]
    return found


@compiled()
def _carry_back(gradient, decay, query, read, key, found):
    """G = a (G + q gᵀ) + k wᵀ."""
    for i in range(gradient.shape[0]):
        first, second = decay * query[i], key[i]
        for j in range(gradient.shape[1]):
            gradient[i, j] = decay * gradient[i, j] + (first * read[j] + second * found[j])


@compiled()
def _again(delta, given, starts, tape, room, b, h, first, last):
    """The matrices before each step from ``first`` on, once more from the checkpoint there."""
    copy_all(tape.matrices[first // room.matrices.shape[0], b, h], room.matrices[0])
    for t in range(first, last):
        before = room.matrices[t - first]
        if starts.shape[0] and starts[b, t]:
            _clear_all(before)
        if t + 1 < last:
            decay, strength = given.decay[b, t, h], given.strength[b, t, h]
            found = tape.found[b, t, h] if delta else room.found
            _written(given.values[b, t, h], found, decay, strength, delta, room.written)
            _next(before, decay, given.keys[b, t, h], room.written, room.matrices[t + 1 - first])


@compiled(entry=True)
def rank_one_backward(begin, end, delta, given, starts, tape, to_reads, to_state, to_given, room):
    """From the gradients of what the pairs from ``begin`` to ``end`` gave to those of what they were given.

    Args:
        begin: the first pair.
        end: the last pair plus one.
        delta: as in ``rank_one_forward``, and so are ``given`` and ``starts``.
        given: ...
        starts: ...
        tape: as that left it.
        to_reads: [B, T, H, V].
        to_state: [B, H, K, V], the gradients of the last matrices, which become those of the first.
        to_given: receives the gradients of ``given``.
        room: to work in.
    """
    heads, steps, every = given.keys.shape[2], given.keys.shape[1], room.matrices.shape[0]
    for pair in range(begin, end):
        b, h = pair // heads, pair % heads
        gradient = to_state[b, h]
        for segment in range((steps - 1) // every, -1, -1):
            first = segment * every
            last = min(first + every, steps)
            _again(delta, given, starts, tape, room, b, h, first, last)
            for t in range(last - 1, first - 1, -1):
                _step_back(delta, given, tape, to_reads[b, t, h], gradient, to_given, room, b, t, h, t - first)
                if starts.shape[0] and starts[b, t]:
                    _clear_all(gradient)


@compiled()
def _step_back(delta, given, tape, to_read, gradient, to_given, room, b, t, h, place):
    """One step: leaves in ``gradient`` that of the matrix before it."""
    key, query, value = given.keys[b, t, h], given.queries[b, t, h], given.values[b, t, h]
    decay, strength, matrix = given.decay[b, t, h], given.strength[b, t, h], room.matrices[place]
    to_key, to_query, to_value = to_given.keys[b, t, h], to_given.queries[b, t, h], to_given.values[b, t, h]
    found = tape.found[b, t, h] if delta else room.found
    written, to_written, to_found, shared = room.written, room.to_written, room.to_found, room.shared
    _written(value, found, decay, strength, delta, written)
    near = inner(key, query)
    # of the vector written: (G + q gᵀ)ᵀ k
    for j in range(to_written.shape[0]):
        to_written[j] = near * to_read[j]
    add_rows(gradient, key, to_written)
    for j in range(to_value.shape[0]):
        to_value[j] = strength * to_written[j]
    if delta:
        for j in range(to_found.shape[0]):
            to_found[j] = -decay * to_value[j]
            shared[j] = value[j] - decay * found[j]
        of_strength = inner(to_written, shared)
        of_decay = -inner(to_value, found)
    else:
        _clear(to_found)
        of_strength = inner(to_written, value)
        of_decay = key.dtype.type(0)
    of_decay += _overlap(matrix, gradient)
    # until the next lines, to_query is S g, to_key S w
    _rows_against(matrix, gradient, to_read, to_found, written, to_query, to_key, room.keys)
    of_decay += inner(query, to_query)
    said = inner(to_read, written)
    for i in range(key.shape[0]):
        to_key[i] += room.keys[i] + query[i] * said
        to_query[i] = decay * to_query[i] + key[i] * said
    to_given.decay[b, t, h] = of_decay
    to_given.strength[b, t, h] = of_strength
    _carry_back(gradient, decay, query, to_read, key, to_found)
