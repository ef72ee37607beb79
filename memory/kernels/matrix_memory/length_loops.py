"""Vectors divided by their length, compiled, forward and backward; see README.md.

Legend: R vectors, K numbers in each.
"""

from __future__ import annotations

import math

from lukasa.memory.kernels.sequence.arithmetic import sigmoid
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


@compiled("reassoc", entry=True)
def gated_forward(begin, end, vectors, gates, out, share, epsilon, shrinking):
    """Of the vectors from ``begin`` to ``end``: x / √(share |x|² + ε) times z σ(z) of their gates z.

    Args:
        begin: the first vector.
        end: the last vector plus one.
        vectors: [R, K].
        gates: [R, K].
        out: [R, K], receives them.
        share: of the squared length.
        epsilon: ε.
        shrinking: [R], receives what each was multiplied by.
    """
    one = vectors.dtype.type(1)
    for r in range(begin, end):
        row, gate, here = vectors[r], gates[r], out[r]
        total = vectors.dtype.type(0)
        for n in range(row.shape[0]):
            total += row[n] * row[n]
        scale = one / math.sqrt(share * total + epsilon)
        shrinking[r] = scale
        for n in range(row.shape[0]):
            here[n] = scale * row[n] * (gate[n] * sigmoid(gate[n]))


@compiled("reassoc", entry=True)
def gated_backward(begin, end, vectors, gates, to_out, to_vectors, to_gates, share, shrinking):
    """The way back.

    Args:
        begin: the first vector.
        end: the last vector plus one.
        vectors: as before, and so are ``gates``, ``share`` and ``shrinking``.
        gates: ...
        to_out: [R, K].
        to_vectors: [R, K], receives the gradient of the vectors.
        to_gates: [R, K], likewise.
        share: ...
        shrinking: ...
    """
    one = vectors.dtype.type(1)
    for r in range(begin, end):
        row, gate, slope, told, opened = vectors[r], gates[r], to_out[r], to_vectors[r], to_gates[r]
        scale = shrinking[r]
        for n in range(row.shape[0]):
            share_open = sigmoid(gate[n])
            opening = gate[n] * share_open
            told[n] = slope[n] * opening
            opened[n] = slope[n] * (scale * row[n]) * (share_open + opening * (one - share_open))
        along = vectors.dtype.type(0)
        for n in range(row.shape[0]):
            along += told[n] * row[n]
        along *= share * scale * scale
        for n in range(row.shape[0]):
            told[n] = scale * (told[n] - along * row[n])
