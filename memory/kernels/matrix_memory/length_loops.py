"""Vectors divided by their length, compiled, forward and backward; see README.md.

Legend: R vectors, K numbers in each.
"""

from __future__ import annotations

import math

from lukasa.memory.kernels.sequence.compiling import compiled


@compiled("reassoc", entry=True)
def length_forward(begin, end, vectors, share, epsilon, out, shrinking):
    """Of the vectors from ``begin`` to ``end``: x / √(share |x|² + ε).

    Args:
        begin: the first vector.
        end: the last vector plus one.
        vectors: [R, K].
        share: of the squared length: 1, or 1 / K for its mean square.
        epsilon: ε.
        out: [R, K], receives them.
        shrinking: [R], receives what each was multiplied by.
    """
    one = vectors.dtype.type(1)
    for r in range(begin, end):
        row, here = vectors[r], out[r]
        total = vectors.dtype.type(0)
        for n in range(row.shape[0]):
            total += row[n] * row[n]
        scale = one / math.sqrt(share * total + epsilon)
        shrinking[r] = scale
        for n in range(row.shape[0]):
            here[n] = scale * row[n]


@compiled("reassoc", entry=True)
def length_backward(begin, end, out, shrinking, share, to_out, to_vectors):
    """The way back.

    Args:
        begin: the first vector.
        end: the last vector plus one.
        out: as ``length_forward`` left it, and so is ``shrinking``.
        shrinking: ...
        share: as before.
        to_out: [R, K].
        to_vectors: [R, K], receives the gradient of the vectors.
    """
    for r in range(begin, end):
        row, slope, told = out[r], to_out[r], to_vectors[r]
        along = out.dtype.type(0)
        for n in range(row.shape[0]):
            along += row[n] * slope[n]
        along *= share
        scale = shrinking[r]
        for n in range(row.shape[0]):
            told[n] = scale * (slope[n] - along * row[n])
