"""The recurrence of a Legendre Memory Unit as one autograd function around the compiled loops.

Legend: B batch, b rows of it, T time, H hidden units, M memories, d order of the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.derivatives import differentiable_gradients, is_differentiated_again
from lukasa.memory.kernels.lmu import loops
from lukasa.memory.kernels.lmu.loops import States, Weights
from lukasa.memory.kernels.lmu.reference import Given, by_steps
from lukasa.memory.kernels.sequence.compiling import call
from lukasa.memory.kernels.sequence.packing import numbers
from lukasa.memory.kernels.sequence.threads import over_rows

ROWS = 16
"""At most so many rows at once: what they carry stays in the processor's cache beside the weights."""


def run(starts: Tensor | None, transition: Tensor, entry: Tensor, given: Given) -> tuple[Tensor, Tensor]:
    """As ``reference.by_steps``."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given):
        return _Unit.apply(starts, transition, entry, *given)  # type: ignore[return-value]
    return _shown(*_forward(starts, transition, entry, given))


class _Unit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, starts: Tensor | None, transition: Tensor, entry: Tensor, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        kept = _forward(starts, transition, entry, Given(*tensors))
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(starts, transition, entry, *kept, *tensors)
        return _shown(*kept)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        starts, transition, entry, hidden, memory, *tensors = ctx.saved_tensors
        needed = ctx.needs_input_grad[3:]
        if is_differentiated_again():
            return None, None, None, *_differentiable(starts, transition, entry, tensors, needed, gradients)
        found = _backward(starts, transition, entry, Given(*tensors), (hidden, memory), gradients)
        return None, None, None, *(one if wanted else None for one, wanted in zip(found, needed, strict=True))


def _shown(hidden: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """What is returned of a tape [T + 1, B, ...]: [B, T, ...], in memory of its own."""
    return hidden[1:].transpose(0, 1).contiguous(), memory[1:].transpose(0, 1).contiguous()


def _forward(starts: Tensor | None, transition: Tensor, entry: Tensor, given: Given) -> tuple[Tensor, Tensor]:
    """Hidden vectors [T + 1, B, H] and memories [T + 1, B, M d] from before the first step on."""
    rows, steps, _ = given.encoded.shape
    hidden = given.encoded.new_empty(steps + 1, rows, given.hidden.shape[1])
    memory = given.encoded.new_empty(steps + 1, rows, given.memory.shape[1])
    hidden[0], memory[0] = given.hidden, given.memory
    matrices = (given.hidden_encoder, given.memory_encoder, given.hidden_kernel, given.memory_kernel, transition)
    weights = Weights(*map(_array, (*(matrix.t() for matrix in matrices), entry.view(1, -1))))
    if not given.hidden.shape[1]:
        weights = _without_hidden(weights, given)
    tape = _states(hidden, memory, len(entry))
    arguments = (weights, _time_first(given.encoded), _time_first(given.driven), _resets(starts), tape)
    _over_rows(loops.forward, given, *arguments)
    return hidden, memory


def _without_hidden(weights: Weights, given: Given) -> Weights:
    """Matrices from the memory into hidden units that are none, and from there into the memory: without rows."""
    nothing = given.encoded.new_empty
    return weights._replace(
        memory_encoder=numbers(nothing(0, given.encoded.shape[2])), memory_kernel=numbers(nothing(0, 0))
    )


def _backward(
    starts: Tensor | None,
    transition: Tensor,
    entry: Tensor,
    given: Given,
    tape: tuple[Tensor, Tensor],
    gradients: Sequence[Tensor | None],
) -> Given:
    """The gradients of all that was given."""
    hidden, memory = tape
    to_states = [
        torch.zeros_like(like[1:]) if gradient is None else gradient.transpose(0, 1).contiguous()
        for gradient, like in zip(gradients, tape, strict=True)
    ]
    to_first = torch.zeros_like(hidden[:1]), torch.zeros_like(memory[:1])
    to_encoded = memory.new_empty(given.encoded.transpose(0, 1).shape)
    to_driven = torch.empty_like(hidden[1:])
    matrices = (given.hidden_encoder, given.memory_encoder, given.hidden_kernel, given.memory_kernel, transition)
    weights = Weights(*map(_array, (*matrices, entry.view(1, -1))))
    order = len(entry)
    arguments = (numbers(hidden), _states(to_states[0], to_states[1], order), _states(to_first[0], to_first[1], order))
    _over_rows(loops.backward, given, weights, _resets(starts), *arguments, numbers(to_encoded), numbers(to_driven))
    before = [part[:-1] for part in tape]
    if starts is not None:
        before = [part.masked_fill(starts.t().unsqueeze(2), 0) for part in before]
    into_memory, into_hidden = to_encoded.flatten(0, 1).t(), to_driven.flatten(0, 1).t()
    hidden_before, memory_before = (part.flatten(0, 1) for part in before)
    return Given(
        to_encoded.transpose(0, 1),
        to_driven.transpose(0, 1),
        into_memory @ hidden_before,
        into_memory @ memory_before if len(given.memory_encoder) else torch.zeros_like(given.memory_encoder),
        into_hidden @ hidden_before,
        into_hidden @ memory[1:].flatten(0, 1),
        to_first[0][0],
        to_first[1][0],
    )


def _over_rows(function: Any, given: Given, *arguments: Any) -> None:
    """Call a compiled function for all rows, each block with room of its own to work in."""
    like, count = given.encoded, given.encoded.shape[2]
    hidden, memory = given.hidden.shape[1], given.memory.shape[1]

    def work(begin: int, end: int) -> None:
        rows = end - begin
        room = _states(like.new_empty(1, rows, hidden), like.new_empty(1, rows, memory), memory // count)
        call(function, like.dtype, begin, end, *arguments, room, numbers(like.new_empty(rows, count)))

    over_rows(work, len(like), ROWS)


def _states(hidden: Tensor, memory: Tensor, order: int) -> States:
    return States(numbers(hidden), numbers(memory), numbers(memory.view(len(memory), -1, order)))


def _time_first(tensor: Tensor) -> Any:
    return _array(tensor.transpose(0, 1))


def _array(tensor: Tensor) -> Any:
    return numbers(tensor.contiguous())


def _resets(starts: Tensor | None) -> Any:
    return numbers(torch.zeros(0, 0, dtype=torch.bool) if starts is None else starts.t().contiguous())


def _differentiable(
    starts: Tensor | None,
    transition: Tensor,
    entry: Tensor,
    tensors: Sequence[Tensor],
    needed: Sequence[bool],
    gradients: Sequence[Tensor | None],
) -> tuple[Tensor | None, ...]:
    """The gradients by way of the equations."""
    arrived = [index for index, gradient in enumerate(gradients) if gradient is not None]

    def reference(*some: Tensor) -> list[Tensor]:
        results = by_steps(starts, transition, entry, some)
        return [results[index] for index in arrived]

    return differentiable_gradients(reference, tensors, needed, [one for one in gradients if one is not None])
