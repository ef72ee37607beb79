"""A whole sequence as one autograd function around the compiled loops.

Legend: B batch, T time, D input width, K output width, U hidden units that steer the heads, F read numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lukasa.memory.derivatives import differentiable_gradients, is_differentiated_again
from lukasa.memory.kernels.sequence import packing
from lukasa.memory.kernels.sequence.compiling import call
from lukasa.memory.kernels.sequence.controller_steps import ControllerTape
from lukasa.memory.kernels.sequence.native_state import as_arrays, from_native, to_native
from lukasa.memory.kernels.sequence.packing import Shape, numbers
from lukasa.memory.kernels.sequence.threads import over_rows


class Plan(NamedTuple):
    """How a core runs.

    Attributes:
        shape: of the controller.
        access: of the memory.
        reference: the equations; takes ``starts`` and the tensors of the function, and gives its results.
        fields: how many tensors a state has.
        recording: whether what a recording shows is a result as well.
    """

    shape: Shape
    access: Any
    reference: Callable[..., Sequence[Tensor]]
    fields: int
    recording: bool


class Given(NamedTuple):
    """What the function is given, in parts: tensors, or whether their gradients are asked for."""

    inputs: Any  # [B, T, D]
    weights: tuple[Any, ...]  # of the controller
    interface: tuple[Any, ...]  # weight and bias
    output: tuple[Any, ...]  # weight and bias
    first: tuple[Any, ...]  # the fields of the state before the first step
    fresh: tuple[Any, ...]  # of the state to which rows are reset, in one row; none where nothing is reset

    @classmethod
    def of(cls, plan: Plan, parts: Sequence[Any]) -> Given:
        """The parts one after another."""
        weights = 1 + plan.shape.parameters
        interface, output, first = weights + 2, weights + 4, weights + 4 + plan.fields
        cuts = [(1, weights), (weights, interface), (interface, output), (output, first), (first, len(parts))]
        return cls(parts[0], *(tuple(parts[begin:end]) for begin, end in cuts))


def run(plan: Plan, starts: Tensor | None, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Outputs [B, T, K], the fields of the last state, and what is to be recorded.

    Args:
        plan: of the core.
        starts: bool [B, T], where rows are reset.
        tensors: in the order of ``Given``.
    """
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return _Sequence.apply(plan, starts, *tensors)  # type: ignore[return-value]
    given = Given.of(plan, tensors)
    return _forward(
        plan, starts, given, packing.pack_layers(plan.shape, given.weights, given.interface), keep=plan.recording
    )[0]


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: Plan, starts: Tensor | None, *tensors: Tensor) -> tuple[Tensor, ...]:
        given = Given.of(plan, tensors)
        packed = packing.pack_layers(plan.shape, given.weights, given.interface)
        results, kept = _forward(plan, starts, given, packed, keep=True)
        ctx.plan, ctx.given, ctx.packed = plan, len(tensors), packed  # a change of weights since is refused
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(starts, *tensors, *kept)
        shown = results[1 + plan.fields :]
        constant = [results[1 + index] for index in plan.access.constant]
        constant += [shown[index] for index in plan.access.constant_shown if shown]
        ctx.mark_non_differentiable(*constant)
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        starts, *saved = ctx.saved_tensors
        plan, tensors, kept, needed = ctx.plan, saved[: ctx.given], saved[ctx.given :], ctx.needs_input_grad[2:]
        if is_differentiated_again():
            return None, None, *_differentiable(plan, starts, tensors, needed, gradients)
        parts = Given.of(plan, tensors), Given.of(plan, needed)
        found = _backward(plan, starts, *parts, ctx.packed, gradients, kept)
        return None, None, *(one if wanted else None for one, wanted in zip(found, needed, strict=True))


def _differentiable(
    plan: Plan,
    starts: Tensor | None,
    tensors: Sequence[Tensor],
    needed: Sequence[bool],
    gradients: Sequence[Tensor | None],
) -> tuple[Tensor | None, ...]:
    """The gradients by way of the equations."""
    arrived = [index for index, gradient in enumerate(gradients) if gradient is not None]

    def reference(*some: Tensor) -> list[Tensor]:
        results = plan.reference(starts, *some)
        return [results[index] for index in arrived]

    return differentiable_gradients(reference, tensors, needed, [one for one in gradients if one is not None])


def _resets(plan: Plan, given: Given, starts: Tensor | None) -> tuple[Any, tuple[Any, Any]]:
    """Where rows are reset, and to what; some row stands there where nothing is."""
    fresh = given.fresh or tuple(part[:1] for part in given.first)
    where = torch.zeros(0, 0, dtype=torch.bool) if starts is None else starts.contiguous()
    return numbers(where), as_arrays(plan.access, to_native(plan.shape, plan.access, fresh))


def _over_rows(plan: Plan, function: Any, arguments: Sequence[Any], given: Given, steps: int = 0) -> None:
    """Call a compiled function for all rows, each block with room of its own to work in.

    Args:
        plan: of the core.
        function: compiled.
        arguments: of it, between the rows and the room.
        given: what the sequence is given.
        steps: of the sequence, on the way back.
    """
    like, interface = given.inputs, len(given.interface[1])
    left: list[Any] = []  # room that a block has done with

    def work(begin: int, end: int) -> None:
        try:
            room = left.pop()
        except IndexError:
            room = plan.access.room(like, end - begin, steps)  # no later block has more rows
        call(function, like.dtype, begin, end, *arguments, packing.room(plan.shape, like, end - begin, interface), room)
        left.append(room)

    over_rows(work, len(like), plan.access.rows_at_once(like))


def _forward(
    plan: Plan, starts: Tensor | None, given: Given, packed: tuple[Any, Any], keep: bool
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The results; and hidden vectors, reads and the tapes, of every step where all are to be kept."""
    shape, access = plan.shape, plan.access
    rows, steps = given.inputs.shape[:2]
    projected = packing.project(shape, given.weights, given.inputs)
    slots = steps if keep else min(steps, 2)
    inside, tape = packing.controller_tape(shape, projected, rows, slots), access.tape(projected, rows, slots)
    hidden = projected.new_empty(rows, steps, shape.steering * shape.size)
    reads = projected.new_empty(rows, steps, shape.reads)
    resets, fresh = _resets(plan, given, starts)
    arguments = (
        access.heads,
        *packed,
        numbers(projected),
        resets,
        as_arrays(access, to_native(shape, access, given.first)),
        fresh,
        ControllerTape(*map(numbers, inside)),
        access.compiled.Tape(*map(numbers, tape)),
        numbers(hidden),
        numbers(reads),
    )
    _over_rows(plan, access.compiled.forward, arguments, given)
    weight, bias = given.output
    units = hidden.shape[2]
    outputs = torch.addmm(bias, hidden.flatten(0, 1), weight[:, :units].t())
    outputs = outputs.addmm_(reads.flatten(0, 1), weight[:, units:].t()).view(rows, steps, -1)
    last = (steps - 1) % slots
    ends = [part[:, :, last].transpose(0, 1).contiguous() for part in inside[:2]]
    state = from_native(shape, access, [*access.last(tape, last), *ends, reads[:, -1].contiguous()])
    watched = access.watched(tape) if plan.recording else []
    kept = [part.new_empty(0, *part.shape[1:]) if i in access.passing else part for i, part in enumerate(tape)]
    return (outputs, *state, *watched), (hidden, reads, *inside, *kept)


def _backward(
    plan: Plan,
    starts: Tensor | None,
    given: Given,
    asked: Given,
    packed: tuple[Any, Any],
    gradients: Sequence[Tensor | None],
    kept: Sequence[Tensor],
) -> list[Tensor | None]:
    """The gradients of all that was given."""
    shape, access = plan.shape, plan.access
    rows, steps = given.inputs.shape[:2]
    hidden, reads, inside, tape = *kept[:2], kept[2:5], kept[5:]
    to_hidden, to_reads, to_output = through_output(given, gradients[0], hidden, reads)
    to_first = _last_gradients(plan, given, asked, gradients[1 : 1 + plan.fields])
    to_fresh = access.fresh_gradients(to_first, asked.fresh) if starts is not None else [one[:0] for one in to_first]
    to_received = hidden.new_empty(shape.layers, rows, steps, inside[2].shape[3])
    to_emitted = hidden.new_empty(rows, steps, len(given.interface[1]))
    resets, fresh = _resets(plan, given, starts)
    arguments = (
        access.heads,
        *packed,
        resets,
        as_arrays(access, to_native(shape, access, given.first)),
        fresh,
        ControllerTape(*map(numbers, inside)),
        access.compiled.Tape(*map(numbers, tape)),
        _watched_gradients(plan, tape, gradients[1 + plan.fields :]),
        numbers(to_hidden),
        numbers(to_reads),
        numbers(to_received),
        numbers(to_emitted),
        as_arrays(access, to_first),
        as_arrays(access, to_fresh),
    )
    _over_rows(plan, access.compiled.backward, arguments, given, steps)
    before, reads_before = _before(plan, given, starts, inside, reads)
    needed = (asked.inputs, *asked.weights)
    sources = (given.inputs, inside[0], before, reads_before)
    to_inputs, to_weights = packing.controller_gradients(shape, given.weights, needed, to_received, *sources)
    told = to_emitted.flatten(0, 1)
    to_interface = [told.t() @ hidden.flatten(0, 1) if asked.interface[0] else None, told.sum(0)]
    found = [to_inputs, *to_weights, *to_interface, *to_output, *from_native(shape, access, to_first)]
    if starts is not None:
        found += from_native(shape, access, [part.sum(0, keepdim=True) for part in to_fresh])
    return found


def through_output(
    given: Given, gradient: Tensor | None, hidden: Tensor, reads: Tensor
) -> tuple[Tensor, Tensor, list[Tensor | None]]:
    """From the gradient of the outputs to those of hidden vectors and reads, and of the output layer."""
    weight, units = given.output[0], hidden.shape[2]
    if gradient is None:
        return torch.zeros_like(hidden), torch.zeros_like(reads), [None, None]
    told = gradient.flatten(0, 1)
    to_weight = torch.cat([told.t() @ hidden.flatten(0, 1), told.t() @ reads.flatten(0, 1)], 1)
    to_hidden, to_reads = (told @ weight[:, :units]).view_as(hidden), (told @ weight[:, units:]).view_as(reads)
    return to_hidden, to_reads, [to_weight, told.sum(0)]


def _last_gradients(plan: Plan, given: Given, asked: Given, gradients: Sequence[Tensor | None]) -> list[Tensor]:
    """Those of the last state, in memory of their own; zeros where none came."""

    def zeros(index: int) -> Tensor:
        unasked = not asked.first[index] and not (asked.fresh and asked.fresh[index])
        some = given.first[index][:0] if unasked and index in plan.access.passing_gradients else given.first[index]
        return torch.zeros_like(some, memory_format=torch.contiguous_format)

    fields = [
        zeros(index) if gradient is None or index in plan.access.constant else gradient
        for index, gradient in enumerate(gradients)
    ]
    theirs = {gradient.data_ptr() for gradient in gradients if gradient is not None}
    native = to_native(plan.shape, plan.access, fields)
    return [part.clone() if part.data_ptr() in theirs else part for part in native]


def _watched_gradients(plan: Plan, tape: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> Any:
    """Those of what was recorded; of no rows where none came."""
    shown = plan.access.watched(tape)
    gradients = gradients or [None] * len(shown)
    parts = [part[:0] if gradient is None else gradient for part, gradient in zip(shown, gradients, strict=True)]
    return plan.access.compiled.Watched(*(numbers(part.contiguous()) for part in parts))


def _before(
    plan: Plan, given: Given, starts: Tensor | None, inside: Sequence[Tensor], reads: Tensor
) -> tuple[Tensor | None, Tensor]:
    """Hidden vectors [L, B, T, H] and reads [B, T, F] with which every step began."""
    first = to_native(plan.shape, plan.access, given.first)
    fresh = to_native(plan.shape, plan.access, given.fresh) if starts is not None else first
    reads_before = torch.cat([first[-1].unsqueeze(1), reads[:, :-1]], 1)
    if starts is not None:
        reads_before = torch.where(starts.unsqueeze(2), fresh[-1].unsqueeze(1), reads_before)
    if not first[-3].shape[1]:
        return None, reads_before
    before = torch.cat([first[-3].transpose(0, 1).unsqueeze(2), inside[0][:, :, :-1]], 2)
    if starts is not None:
        before = torch.where(starts.unsqueeze(2), fresh[-3].transpose(0, 1).unsqueeze(2), before)
    return before, reads_before
