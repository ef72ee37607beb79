"""The recurrence as one autograd function around the compiled loops.

Legend: B batch, T time, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.derivatives import differentiable_gradients, is_differentiated_again
from lukasa.memory.kernels.scan import loops
from lukasa.memory.kernels.scan.reference import by_steps
from lukasa.memory.kernels.sequence.compiling import call
from lukasa.memory.kernels.sequence.packing import numbers
from lukasa.memory.kernels.sequence.threads import over_rows

WIDTH = 64
"""Channels of an item where there are fewer rows than threads: whole vectors, of any processor."""
AT_ONCE = 16
"""Items of one call."""


def run(
    paired: bool, starts: Tensor | None, a: Tensor, b: Tensor, first: Tensor, fresh: Tensor
) -> tuple[Tensor, Tensor]:
    """As ``reference.by_steps``."""
    tensors = (a, b, first, fresh)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return _Scan.apply(paired, starts, *tensors)  # type: ignore[return-value]
    return _forward(paired, starts, *tensors)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, paired: bool, starts: Tensor | None, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        states, last = _forward(paired, starts, *tensors)
        ctx.paired = paired
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(starts, states, *tensors)
        return states, last

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        starts, states, *tensors = ctx.saved_tensors
        needed = ctx.needs_input_grad[2:]
        if is_differentiated_again():
            return None, None, *_differentiable(ctx.paired, starts, tensors, needed, gradients)
        found = _backward(ctx.paired, starts, tensors, states, gradients)
        return None, None, *(one if wanted else None for one, wanted in zip(found, needed, strict=True))


def _forward(
    paired: bool, starts: Tensor | None, a: Tensor, b: Tensor, first: Tensor, fresh: Tensor
) -> tuple[Tensor, Tensor]:
    states = torch.empty_like(b, memory_format=torch.contiguous_format)
    function = loops.complex_forward if paired else loops.forward
    given = (_over_time(a), b, first, fresh)
    _over_items(function, paired, states, *arrays_of(*given), resets_of(starts), numbers(states))
    return states, states[:, -1].clone()


def _backward(
    paired: bool, starts: Tensor | None, tensors: Sequence[Tensor], states: Tensor, gradients: Sequence[Tensor | None]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of a, b, the first state and the fresh one."""
    a, _, first, fresh = tensors
    to_states, to_last = gradients
    # what arrives is left as it is; what becomes the gradient of the first state has memory of its own
    arrived = torch.zeros_like(states) if to_states is None else to_states
    to_first = torch.zeros_like(first) if to_last is None else to_last.clone(memory_format=torch.contiguous_format)
    to_first = to_first.contiguous()
    to_a = states.new_zeros(len(states), 1, states.shape[2]) if a.dim() == 1 else torch.empty_like(states)
    to_b, to_fresh = torch.empty_like(states), states.new_zeros(first.shape)
    function = loops.complex_backward if paired else loops.backward
    given = (*arrays_of(_over_time(a), first, fresh), resets_of(starts), *arrays_of(states, arrived))
    _over_items(function, paired, states, *given, *map(numbers, (to_a, to_b, to_first, to_fresh)))
    return to_a.sum((0, 1)) if a.dim() == 1 else to_a, to_b, to_first, to_fresh


def _over_items(function: Any, paired: bool, states: Tensor, *arguments: Any) -> None:
    """Call a compiled function for all rows and channels, over threads."""
    rows, channels = len(states), states.shape[2] // (2 if paired else 1)
    width = channels if rows >= torch.get_num_threads() else min(WIDTH, channels)

    def work(begin: int, end: int) -> None:
        call(function, states.dtype, begin, end, width, *arguments)

    over_rows(work, rows * -(-channels // width), AT_ONCE)


def _over_time(a: Tensor) -> Tensor:
    return a.view(1, 1, -1) if a.dim() == 1 else a


def arrays_of(*tensors: Tensor) -> list[Any]:
    """Tensors as arrays whose numbers lie one behind another."""
    return [numbers(tensor.contiguous()) for tensor in tensors]


def resets_of(starts: Tensor | None) -> Any:
    """Where rows are reset, as the compiled functions take it: [0, 0] where nothing is."""
    return numbers(torch.zeros(0, 0, dtype=torch.bool) if starts is None else starts.contiguous())


def _differentiable(
    paired: bool,
    starts: Tensor | None,
    tensors: Sequence[Tensor],
    needed: Sequence[bool],
    gradients: Sequence[Tensor | None],
) -> tuple[Tensor | None, ...]:
    """The gradients by way of the equations."""
    arrived = [index for index, gradient in enumerate(gradients) if gradient is not None]

    def reference(*some: Tensor) -> list[Tensor]:
        results = by_steps(paired, starts, *some)
        return [results[index] for index in arrived]

    return differentiable_gradients(reference, tensors, needed, [one for one in gradients if one is not None])
