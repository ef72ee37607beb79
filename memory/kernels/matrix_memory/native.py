"""An operation as one autograd function around its compiled loops.

Legend: B batch, T time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.derivatives import differentiable_gradients, is_differentiated_again
from lukasa.memory.kernels.matrix_memory.operations import OPERATIONS


def run_loops(
    name: str, starts: Tensor | None, tensors: Sequence[Tensor], options: dict[str, Any]
) -> tuple[Tensor, ...]:
    """The results of an operation.

    Args:
        name: of the operation.
        starts: bool [B, T], or None.
        tensors: what it takes, the state behind what is given at every step.
        options: of the operation, by name.
    """
    whole = [tensor.contiguous() for tensor in tensors]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in whole):
        return _Operation.apply(name, options, starts, *whole)  # type: ignore[return-value]
    return OPERATIONS[name].forward(starts, whole, False, **options)[0]


class _Operation(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, name: str, options: dict[str, Any], starts: Tensor | None, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        results, kept = OPERATIONS[name].forward(starts, tensors, True, **options)
        ctx.name, ctx.options, ctx.given, ctx.made = name, options, len(tensors), len(results)
        ctx.save_for_backward(starts, *tensors, *results, *kept)
        return results

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        starts, *saved = ctx.saved_tensors
        tensors, rest, needed = saved[: ctx.given], saved[ctx.given :], ctx.needs_input_grad[3:]
        operation = OPERATIONS[ctx.name]
        if is_differentiated_again():
            found = differentiable_gradients(
                lambda *some: operation.equations(starts, *some, **ctx.options), tensors, needed, list(slopes)
            )
            return None, None, None, *found
        found = operation.backward(starts, tensors, rest[: ctx.made], rest[ctx.made :], slopes, **ctx.options)
        return None, None, None, *(one if wanted else None for one, wanted in zip(found, needed, strict=True))
