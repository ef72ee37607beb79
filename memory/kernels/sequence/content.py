"""Content-based addressing, compiled, for one row of a batch: C(M, k, β) of Graves et al. 2014 and 2016, and back.

The memory lies as [W, N], so that every loop over slots runs over neighbours.

Legend: H heads, N slots, W word size.
"""

from __future__ import annotations

import numpy as np

from lukasa.memory.addressing import NORM_EPSILON
from lukasa.memory.kernels.sequence.algebra import add_some_products, clear, dot, inner, largest, total
from lukasa.memory.kernels.sequence.arithmetic import exponential
from lukasa.memory.kernels.sequence.compiling import compiled


@compiled()
def softmax(x, i, y, j):
    """Of row i of a matrix into row j of another, by way of the largest."""
    top = largest(x, i)
    for n in range(x.shape[1]):
        y[j, n] = exponential(x[i, n] - top)
    scale = y.dtype.type(1) / total(y, j)
    for n in range(x.shape[1]):
        y[j, n] *= scale


@compiled()
def row_scales(squares, scale):
    """1 / √(|m|² + ε) of each slot, of the squared lengths [N]."""
    epsilon, one = scale.dtype.type(NORM_EPSILON), scale.dtype.type(1)
    for n in range(scale.shape[0]):
        scale[n] = one / np.sqrt(squares[n] + epsilon)


@compiled()
def memory_scales(memory, squares, scale):
    """The same of a memory [W, N]."""
    clear(squares)
    for w in range(memory.shape[0]):
        for n in range(scale.shape[0]):
            squares[n] += memory[w, n] * memory[w, n]
    row_scales(squares, scale)


@compiled()
def content_weights(told, keys, strengths, first, last, memory, scale, similarity, content, key_scales, scaled):
    """C(M, k, β) of the heads from ``first`` to ``last``.

    Args:
        told: [I], what the heads are told.
        keys: where in it the keys of all heads lie.
        strengths: likewise.
        first: the first head.
        last: the last one plus one.
        memory: [W, N].
        scale: [N], 1 / |m|.
        similarity: [H, N], receives the cosines times β.
        content: [H, N], receives the weights.
        key_scales: [H, ...], receives 1 / |k| at the first place.
        scaled: [H, W], to work in.
    """
    word, one, epsilon = memory.shape[0], scale.dtype.type(1), scale.dtype.type(NORM_EPSILON)
    for h in range(first, last):
        square = scale.dtype.type(0)
        for w in range(word):
            square += told[keys + h * word + w] * told[keys + h * word + w]
        key_scales[h, 0] = one / np.sqrt(square + epsilon)
        factor = key_scales[h, 0] * told[strengths + h]
        for w in range(word):
            scaled[h, w] = told[keys + h * word + w] * factor
        for n in range(scale.shape[0]):
            similarity[h, n] = scale.dtype.type(0)
    add_some_products(similarity, first, scaled, first, last - first, memory)
    for h in range(first, last):
        for n in range(scale.shape[0]):
            similarity[h, n] *= scale[n]
        softmax(similarity, h, content, h)


@compiled()
def softmax_back(content, to_content, first, last, to_similarity):
    """From the gradients of the weights to those of the similarities, for the heads from ``first`` to ``last``."""
    for h in range(first, last):
        along = dot(content, h, to_content, h)
        for n in range(content.shape[1]):
            to_similarity[h, n] = content[h, n] * (to_content[h, n] - along)


@compiled()
def content_back(
    told,
    keys,
    strengths,
    first,
    last,
    memory,
    scale,
    similarity,
    key_scales,
    to_similarity,
    scaled,
    work,
    to_memory,
    to_told,
):
    """From the gradients of the similarities to those of the memory, which are added, and of keys and strengths.

    Args:
        told: as in ``content_weights``, with all up to ``key_scales``.
        keys: likewise.
        strengths: likewise.
        first: likewise.
        last: likewise.
        memory: likewise.
        scale: likewise.
        similarity: likewise.
        key_scales: likewise.
        to_similarity: [H, N]; replaced.
        scaled: [2, H, W], to work in.
        work: [N], likewise.
        to_memory: [W, N].
        to_told: [I].
    """
    word, slots, zero = memory.shape[0], scale.shape[0], scale.dtype.type(0)
    clear(work)
    for h in range(first, last):
        factor = key_scales[h, 0] * told[strengths + h]
        for n in range(slots):
            work[n] -= to_similarity[h, n] * similarity[h, n]
            to_similarity[h, n] *= scale[n]
        for w in range(word):
            scaled[0, h, w] = told[keys + h * word + w] * factor
    for n in range(slots):
        work[n] *= scale[n] * scale[n]
    for w in range(word):
        mine, theirs = memory[w], to_memory[w]
        for n in range(slots):
            theirs[n] += work[n] * mine[n]
        for h in range(first, last):
            to, key = to_similarity[h], scaled[0, h, w]
            scaled[1, h, w] = inner(to, mine)
            for n in range(slots):
                theirs[n] += to[n] * key
    for h in range(first, last):
        along = zero
        for w in range(word):
            along += scaled[1, h, w] * told[keys + h * word + w]
        along *= key_scales[h, 0]
        to_told[strengths + h] = along
        factor = told[strengths + h] * key_scales[h, 0]
        for w in range(word):
            key = told[keys + h * word + w]
            to_told[keys + h * word + w] = (scaled[1, h, w] - key * (along * key_scales[h, 0])) * factor
