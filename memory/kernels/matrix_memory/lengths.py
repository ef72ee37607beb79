"""From tensors to the compiled loops over vectors and back: those that need nothing of other steps.

Import this module only where a loop is about to run: Numba takes a second to import.

Legend: R vectors, K numbers in each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.kernels.matrix_memory import length_loops, reference
from lukasa.memory.kernels.sequence.compiling import call
from lukasa.memory.kernels.sequence.packing import numbers
from lukasa.memory.kernels.sequence.threads import over_rows

Tensors = Sequence[Tensor]

MANY = 8192
"""Vectors that a call works on, where each is short."""


def _share(vectors: Tensor, mean: bool) -> Any:
    """What the squared length counts, as a number of the same kind."""
    return numbers(vectors).dtype.type(1 / vectors.shape[-1] if mean else 1)


def length_forward(_: Tensor | None, tensors: Tensors, keep: bool, mean: bool) -> Any:
    """Vectors of length 1, or of mean square 1."""
    (vectors,) = tensors
    out, shrinking = torch.empty_like(vectors), vectors.new_empty(vectors.shape[:-1])
    share = _share(vectors, mean)
    arrays = (
        numbers(vectors.view(-1, vectors.shape[-1])),
        share,
        type(share)(reference.SMALL_MEAN if mean else reference.SMALL),
    )
    results = numbers(out.view(-1, out.shape[-1])), numbers(shrinking.view(-1))
    over_rows(
        lambda begin, end: call(length_loops.length_forward, vectors.dtype, begin, end, *arrays, *results),
        shrinking.numel(),
        MANY,
    )
    return (out,), (shrinking,) if keep else ()


def length_backward(_: Any, tensors: Tensors, results: Tensors, kept: Tensors, slopes: Tensors, mean: bool) -> Tensors:
    """The way back."""
    width = tensors[0].shape[-1]
    made = torch.empty_like(tensors[0])
    arrays = numbers(results[0].view(-1, width)), numbers(kept[0].view(-1)), _share(made, mean)
    ends = numbers(slopes[0].contiguous().view(-1, width)), numbers(made.view(-1, width))
    over_rows(
        lambda begin, end: call(length_loops.length_backward, made.dtype, begin, end, *arrays, *ends),
        kept[0].numel(),
        MANY,
    )
    return (made,)


def gated_forward(_: Tensor | None, tensors: Tensors, keep: bool) -> Any:
    """The same of mean square 1, times SiLU of their gates."""
    reads, gates = tensors
    out, shrinking = torch.empty_like(reads), reads.new_empty(reads.shape[:-1])
    flat = [numbers(one.view(-1, reads.shape[-1])) for one in (reads, gates, out)]
    share = _share(reads, True)
    small = type(share)(reference.SMALL_MEAN)
    over_rows(
        lambda begin, end: call(
            length_loops.gated_forward, out.dtype, begin, end, *flat, share, small, numbers(shrinking.view(-1))
        ),
        shrinking.numel(),
        MANY,
    )
    return (out,), (shrinking,) if keep else ()


def gated_backward(_: Any, tensors: Tensors, __: Tensors, kept: Tensors, slopes: Tensors) -> Tensors:
    """The way back."""
    made = [torch.empty_like(one) for one in tensors]
    width = made[0].shape[-1]
    flat = [numbers(one.contiguous().view(-1, width)) for one in (*tensors, slopes[0], *made)]
    over_rows(
        lambda begin, end: call(
            length_loops.gated_backward,
            made[0].dtype,
            begin,
            end,
            *flat,
            _share(made[0], True),
            numbers(kept[0].view(-1)),
        ),
        kept[0].numel(),
        MANY,
    )
    return made
