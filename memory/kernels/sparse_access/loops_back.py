"""Compiled: the gradients of what SAM does to its memory in a step. Importing this needs Numba.

Legend: B batch, H heads, W word size, C slots that a head reads.
"""

from __future__ import annotations

import numpy as np

from lukasa.memory.kernels.sparse_access.loops import sigmoid, softplus
from lukasa.memory.sparse.indexes.compiling import compiled
from lukasa.memory.sparse.indexes.lanes import dot


@compiled
def content_backward(
    cosines, row_scale, copies, unit_key, key_scale, weights, strength, to_weights, to_words, to_key, gradient, ids
):
    """From the gradient of what a head read those of its key and strength; those of the rows add up by ``ids``."""
    reads, size = copies.shape
    through, mean = np.empty(reads, weights.dtype), 0.0
    for c in range(reads):
        through[c] = dot(copies[c], 0, to_words, 0, size) + to_weights[c]
        mean += weights[c] * through[c]
    to_strength, sharpness = 0.0, softplus(strength)
    to_key[:] = 0
    for c in range(reads):
        to_similarity = weights[c] * (through[c] - mean)
        to_strength += to_similarity * cosines[c]
        to_dot = to_similarity * sharpness * row_scale[c]
        along = to_dot * row_scale[c] * cosines[c]
        place = ids[c]
        for d in range(size):
            to_key[d] += to_dot * copies[c, d]
            if place > 0:
                gradient[place, d] += to_dot * unit_key[d] - along * copies[c, d] + weights[c] * to_words[d]
    for d in range(size):
        to_key[d] = (to_key[d] - sharpness * to_strength * unit_key[d]) * key_scale
    return to_strength


@compiled
def backward(
    interface, read_weights, write_weights, weights, gates, unit_keys, key_scale, row_scale, copies, cosines,
    to_weights, to_words, gradient, ids, write_at, read_at, to_interface, to_read_weights, low, high,
):  # fmt: skip
    """Gradients of a step for the batch rows from ``low`` to ``high``; the memory's gradient is changed in place."""
    heads, reads = weights.shape[1], weights.shape[2]
    size = copies.shape[2]
    for b in range(low, high):
        for h in range(heads):
            g, mine = b * heads + h, read_at + h * reads
            strength = interface[b, 2 * heads * size + h]
            to_strength = content_backward(
                cosines[g], row_scale[g], copies[g], unit_keys[g], key_scale[g, 0], weights[b, h], strength,
                to_weights[b, h], to_words[b, h], to_interface[b, h * size : (h + 1) * size], gradient,
                ids[b, mine : mine + reads],
            )  # fmt: skip
            to_interface[b, 2 * heads * size + h] = to_strength * sigmoid(strength)
        write_back(
            b, interface, read_weights, write_weights, gates, gradient, ids, write_at, to_interface, to_read_weights
        )


@compiled
def write_back(
    b, interface, read_weights, write_weights, gates, gradient, ids, write_at, to_interface, to_read_weights
):  # fmt: skip
    """From the gradient of the memory to those of words, gates and earlier read weights; what is erased passes none."""
    heads, reads = read_weights.shape[1], read_weights.shape[2]
    size = gradient.shape[1]
    for h in range(heads):
        word = interface[b, (heads + h) * size : (heads + h + 1) * size]
        to_word = to_interface[b, (heads + h) * size : (heads + h + 1) * size]
        to_word[:] = 0
        write_gate, interpolation, to_read, to_oldest = gates[b, h], gates[b, heads + h], 0.0, 0.0
        for c in range(reads + 1):
            into = gradient[ids[b, write_at + h * (reads + 1) + c]]
            for d in range(size):
                to_word[d] += write_weights[b, h, c] * into[d]
            to_weight = dot(into, 0, word, 0, size)
            if c < reads:
                to_read += to_weight * read_weights[b, h, c]
                to_read_weights[b, h, c] = to_weight * (write_gate * interpolation)
            else:
                to_oldest = to_weight
        to_read -= to_oldest
        at = 2 * heads * size + heads + h
        to_interface[b, at] = (to_oldest + interpolation * to_read) * write_gate * (1 - write_gate)
        to_interface[b, at + heads] = write_gate * to_read * interpolation * (1 - interpolation)
    for h in range(heads):
        place = ids[b, write_at + h * (reads + 1) + reads]
        if place > 0:
            gradient[place, :] = 0
