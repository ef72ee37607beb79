"""Memories that are a matrix, over a whole sequence with resets inside it."""

from lukasa.memory.kernels.matrix_memory.interface import (
    convolution,
    gated,
    hadamard,
    of_length,
    rank_one,
    stabilise,
    trace,
)

__all__ = ["convolution", "gated", "hadamard", "of_length", "rank_one", "stabilise", "trace"]
