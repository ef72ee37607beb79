"""The recurrence of minGRU with its gates as one autograd function around the compiled loops.

Legend: B batch, T time, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.derivatives import differentiable_gradients, is_differentiated_again
from lukasa.memory.kernels.scan import gated_loops
from lukasa.memory.kernels.scan.gated_loops import Gates
from lukasa.memory.kernels.scan.native import arrays_of, resets_of
from lukasa.memory.kernels.sequence.compiling import call
from lukasa.memory.kernels.sequence.packing import numbers
from lukasa.memory.kernels.sequence.threads import over_rows

ROWS = 16
"""At most so many rows at once."""
Reference = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Emitted and the first state to all states and the last one, in plain operations."""


def run(
    reference: Reference, positive: bool, starts: Tensor | None, emitted: Tensor, first: Tensor
) -> tuple[Tensor, Tensor]:
    """All states [B, T, H] and the last one [B, H].

    Args:
        reference: the same in plain operations, for derivatives of the gradient.
        positive: whether the candidate is above 0.
        starts: bool [B, T], where a state is replaced by zeros before the step; None where none is.
        emitted: [B, T, 2 H], the linear functions of the gate and of the candidate.
        first: [B, H].
    """
    if torch.is_grad_enabled() and (emitted.requires_grad or first.requires_grad):
        return _Gated.apply(reference, positive, starts, emitted, first)  # type: ignore[return-value]
    return _forward(positive, starts, emitted, first)


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, reference: Reference, positive: bool, starts: Tensor | None, emitted: Tensor, first: Tensor
    ) -> tuple[Tensor, Tensor]:
        states, last = _forward(positive, starts, emitted, first)
        ctx.reference, ctx.positive = reference, positive
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(starts, states, emitted, first)
        return states, last

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        starts, states, *tensors = ctx.saved_tensors
        needed = ctx.needs_input_grad[3:]
        if is_differentiated_again():
            arrived = [index for index, gradient in enumerate(gradients) if gradient is not None]

            def reference(*some: Tensor) -> list[Tensor]:
                results = ctx.reference(*some)
                return [results[index] for index in arrived]

            told = [one for one in gradients if one is not None]
            return None, None, None, *differentiable_gradients(reference, tensors, needed, told)
        found = _backward(ctx.positive, starts, tensors, states, gradients)
        return None, None, None, *(one if wanted else None for one, wanted in zip(found, needed, strict=True))


def _forward(positive: bool, starts: Tensor | None, emitted: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    states = emitted.new_empty(*emitted.shape[:2], first.shape[1])
    given, begun = arrays_of(emitted, first)

    def work(begin: int, end: int) -> None:
        arguments = (given, positive, begun, resets_of(starts), numbers(states), _room(first))
        call(gated_loops.forward, first.dtype, begin, end, *arguments)

    over_rows(work, len(first), ROWS)
    return states, states[:, -1].clone()


def _room(like: Tensor) -> Gates:
    return Gates(*(numbers(like.new_empty(like.shape[1])) for _ in Gates._fields))


def _backward(
    positive: bool, starts: Tensor | None, tensors: Sequence[Tensor], states: Tensor, gradients: Sequence[Tensor | None]
) -> tuple[Tensor, Tensor]:
    """The gradients of what was emitted and of the first state."""
    emitted, first = tensors
    to_states, to_last = gradients
    arrived = torch.zeros_like(states) if to_states is None else to_states
    to_first = torch.zeros_like(first) if to_last is None else to_last.clone(memory_format=torch.contiguous_format)
    to_first = to_first.contiguous()
    to_emitted = torch.empty_like(emitted, memory_format=torch.contiguous_format)
    given, begun, reached, told = arrays_of(emitted, first, states, arrived)
    results = numbers(to_emitted), numbers(to_first)

    def work(begin: int, end: int) -> None:
        room = _room(first), numbers(first.new_empty(first.shape[1])), numbers(first.new_zeros(first.shape[1]))
        arguments = (given, positive, begun, resets_of(starts), reached, told, *results, *room)
        call(gated_loops.backward, first.dtype, begin, end, *arguments)

    over_rows(work, len(first), ROWS)
    return to_emitted, to_first
