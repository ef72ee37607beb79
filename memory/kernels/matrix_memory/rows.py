"""Compiled sums over the rows of one matrix.

Legend: K rows, V numbers in a row.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.compiling import compiled


@compiled()
def copy_all(source, target):
    """Write a matrix over another."""
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            target[i, j] = source[i, j]


@compiled()
def add_rows(matrix, weights, out):
    """Add to ``out`` [V] the rows of a matrix [K, V], each times its weight."""
    count, width = matrix.shape
    whole = count - count % 4
    for i in range(0, whole, 4):
        a, b, c, d = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        for j in range(width):
            out[j] += (a * matrix[i, j] + b * matrix[i + 1, j]) + (c * matrix[i + 2, j] + d * matrix[i + 3, j])
    for i in range(whole, count):
        a = weights[i]
        for j in range(width):
            out[j] += a * matrix[i, j]
