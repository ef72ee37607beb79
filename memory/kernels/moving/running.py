"""A network that moves stacks or lists over a sequence as one autograd function around the compiled loops.

Legend: B batch, T time, K output width, H hidden units, V of them that the next step reads (H or 0), S structures, N
elements of each, E of them that are read, W numbers of an element, A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lukasa.memory.controllers import NoState
from lukasa.memory.core import State
from lukasa.memory.derivatives import differentiable_gradients, is_differentiated_again
from lukasa.memory.kernels.moving import loops
from lukasa.memory.kernels.moving.loops import Tape, Weights
from lukasa.memory.kernels.moving.places import Layout
from lukasa.memory.kernels.sequence.compiling import call
from lukasa.memory.kernels.sequence.packing import numbers
from lukasa.memory.kernels.sequence.threads import over_rows
from lukasa.memory.stacks.mover import EMPTY, HiddenState
from lukasa.memory.states import reset_rows

ROWS = 16
"""At most so many rows at once."""
PARTS = ("hidden.weight", "elements.weight", "actions.weight", "actions.bias", "words.weight", "words.bias")
"""Parameters of the controller that the function takes, in the order of ``Given``."""


class Given(NamedTuple):
    """What a sequence is made from: tensors, or whether their gradients are asked for."""

    driven: Any  # [T, B, H], U x of every step
    across: Any  # [H, V], R
    reading: Any  # [H, S E W], P
    deciding: Any  # [S A, H], A
    deciding_bias: Any  # [S A]
    wording: Any  # [S W, H], D
    wording_bias: Any  # [S W]
    stored: Any  # [B, S, N, W], before the first step
    hidden: Any  # [B, V]


class Plan(NamedTuple):
    """How a core runs."""

    places: Sequence[int]  # the elements that are read, of N
    list: bool  # rather than stacks
    rounded: bool
    reference: Callable[[Tensor | None, Given], Sequence[Tensor]]  # the equations


def run_core(core: Any, inputs: Tensor, state: State, starts: Tensor | None) -> tuple[Tensor, State]:
    """Outputs [B, T, K] and the last state."""
    mover, first = core.controller, state[0]
    driven = mover.inputs(inputs.transpose(0, 1).contiguous())
    carried = driven.new_zeros(driven.shape[1], 0) if mover.hidden is None else state.controller.hidden
    across = driven.new_zeros(driven.shape[2], 0) if mover.hidden is None else mover.hidden.weight
    # parameters, or what functional_call has put in their place
    weights = [attrgetter(name)(mover) for name in PARTS[1:]]
    plan = Plan(core.places, core.kind == "list", core.rounded, _Stepwise(core).results)
    resets = None if starts is None else starts.t().contiguous()
    hidden, stored = _run(plan, resets, Given._make((driven, across, *weights, first, carried)))
    controller = NoState() if mover.hidden is None else HiddenState(hidden[-1].clone())
    return core.output(hidden).transpose(0, 1), core.state(stored, controller)


def _run(plan: Plan, starts: Tensor | None, given: Given) -> Sequence[Tensor]:
    """Hidden vectors [T, B, H], and what is stored last [B, S, N, W]."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given):
        return _Sequence.apply(plan, starts, *given)  # type: ignore[return-value]
    return _forward(plan, starts, given, keep=False)[0]


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: Plan, starts: Tensor | None, *tensors: Tensor) -> tuple[Tensor, ...]:
        results, tape = _forward(plan, starts, Given(*tensors), keep=True)
        ctx.plan = plan
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(starts, *tape, *tensors)
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        starts, *saved = ctx.saved_tensors
        count = len(Tape._fields)
        tape, tensors, needed = Tape(*saved[:count]), saved[count:], ctx.needs_input_grad[2:]
        if is_differentiated_again():
            return None, None, *_differentiable(ctx.plan, starts, tensors, needed, gradients)
        found = _backward(ctx.plan, starts, Given(*tensors), tape, gradients)
        return None, None, *(one if wanted else None for one, wanted in zip(found, needed, strict=True))


def _forward(plan: Plan, starts: Tensor | None, given: Given, keep: bool) -> tuple[tuple[Tensor, Tensor], Tape]:
    """The results, and what backward needs where all steps are to be kept."""
    (steps, rows, units), (_, structures, elements, size) = given.driven.shape, given.stored.shape
    new, kept, first = given.driven.new_empty, steps if keep else 1, given.stored.contiguous()
    held = torch.empty(steps + 1, rows, dtype=torch.int64)
    held[0] = _stretch(plan, first)
    reach = min(int(held[0].max()) + steps, _furthest(plan, elements))
    layout, shift = _layout(plan, given, reach)
    tape = Tape(
        new(steps + 1 if keep else 2, rows * structures, (_elements(plan, reach) + 2) * size),
        held,
        new(kept, rows, given.hidden.shape[1] + given.reading.shape[1]),
        new(kept, rows, structures * (layout.actions + size)),
        new(steps, rows, units),
    )
    last = torch.full_like(first, EMPTY)
    receiving, emitting = _matrices(given)
    bias = torch.cat([given.deciding_bias, given.wording_bias])
    weights = Weights(*map(_array, (receiving.t(), emitting.t(), bias)))
    arrays = weights, _array(given.driven), _resets(starts), _array(first.flatten(2).flatten(0, 1))
    results = Tape(*map(numbers, tape)), numbers(last.view(rows * structures, -1))
    _over_rows(loops.forward, given, layout, shift, *arrays, _array(given.hidden), *results)
    return (tape.hidden, last), tape


def _backward(plan: Plan, starts: Tensor | None, given: Given, tape: Tape, gradients: Sequence[Tensor | None]) -> Given:
    """The gradients of all that was given."""
    (steps, rows, _), (_, structures, elements, size) = given.driven.shape, given.stored.shape
    furthest = _furthest(plan, elements)
    reach = tape.stored.shape[2] // size - 2
    reach = reach // 2 if plan.list else reach
    layout, _ = _layout(plan, given, reach)
    last = gradients[1]
    further = reach if last is None else furthest  # what is stored beyond is never read, and has no other gradient
    to_hidden = (
        torch.zeros_like(tape.hidden)
        if gradients[0] is None
        else gradients[0].clone(memory_format=torch.contiguous_format)
    )
    live = torch.full((rows,), layout.least if last is None else further)
    to_stored = tape.stored.new_zeros(2, rows, structures, _elements(plan, further) + 2, size)
    if last is not None:
        to_stored[0, :, :, 1:-1] = last
    to_told, to_driven = torch.zeros_like(tape.told[0]), torch.empty_like(tape.hidden)
    to_emitted = torch.empty_like(tape.emitted)
    nothing = given.driven.new_empty(0)
    weights = Weights(*map(_array, (*_matrices(given), nothing)))
    parts = (to_hidden, live, to_stored.view(2, rows * structures, -1), to_told, to_driven, to_emitted)
    arrays = weights, _resets(starts), Tape(*map(numbers, tape)), *map(numbers, parts)
    _over_rows(loops.backward, given, layout, further - reach if plan.list else 0, *arrays)
    shift = _furthest(plan, elements) - further if plan.list else 0
    to_first = torch.zeros_like(given.stored)
    to_first[:, :, shift : shift + _elements(plan, further)] = to_stored[steps % 2, :, :, 1:-1]
    weight_gradients = _weight_gradients(given, tape, to_driven, to_emitted)
    return Given._make((to_driven, *weight_gradients, to_first, to_told[:, : given.hidden.shape[1]]))


def _weight_gradients(given: Given, tape: Tape, to_driven: Tensor, to_emitted: Tensor) -> Sequence[Tensor]:
    """Of R, P, A and D, and of the biases of the last two."""
    emitted, actions, carried = to_emitted.flatten(0, 1).t(), len(given.deciding), given.hidden.shape[1]
    receiving = to_driven.flatten(0, 1).t() @ tape.told.flatten(0, 1)
    emitting, bias = emitted @ tape.hidden.flatten(0, 1), emitted.sum(1)
    across = receiving[:, :carried]
    return across, receiving[:, carried:], emitting[:actions], bias[:actions], emitting[actions:], bias[actions:]


def _furthest(plan: Plan, elements: int) -> int:
    """How many elements a stack has, or a list on either side of its head."""
    return elements // 2 if plan.list else elements


def _elements(plan: Plan, reach: int) -> int:
    """How many elements reach so far."""
    return 2 * reach + 1 if plan.list else reach


def _least(plan: Plan) -> int:
    """How far what is read reaches."""
    return len(plan.places) // 2 if plan.list else len(plan.places)


def _stretch(plan: Plan, stored: Tensor) -> Tensor:
    """How far it reaches that anything is stored, in each row [B]; at least as far as is read."""
    held = (stored != EMPTY).any(3).any(1)  # [B, N]
    places = torch.arange(held.shape[1])
    reach = (places - held.shape[1] // 2).abs() if plan.list else places + 1
    return (held * reach).amax(1).clamp_min(_least(plan))


def _layout(plan: Plan, given: Given, reach: int) -> tuple[Layout, int]:
    """How structures of so many elements lie, and how many more a list has on the left."""
    _, structures, elements, size = given.stored.shape
    shift = _furthest(plan, elements) - reach if plan.list else 0
    places = numbers(torch.tensor(plan.places) - shift)
    actions = len(given.deciding) // structures
    head = reach if plan.list else -1
    return Layout(head, size, structures, actions, plan.rounded, _least(plan), places), shift


def _matrices(given: Given) -> tuple[Tensor, Tensor]:
    """What makes hidden units of what they are told [H, V + S E W], and what is emitted of them [S (A + W), H]."""
    return torch.cat([given.across, given.reading], 1), torch.cat([given.deciding, given.wording])


def _over_rows(function: Any, given: Given, *arguments: Any) -> None:
    """Call a compiled function for all rows."""
    kind = given.driven.dtype
    over_rows(lambda begin, end: call(function, kind, begin, end, *arguments), given.driven.shape[1], ROWS)


def _array(tensor: Tensor) -> Any:
    return numbers(tensor.contiguous())


def _resets(starts: Tensor | None) -> Any:
    return numbers(torch.zeros(0, 0, dtype=torch.bool) if starts is None else starts)


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
        results = plan.reference(starts, Given(*some))
        return [results[index] for index in arrived]

    return differentiable_gradients(reference, tensors, needed, [one for one in gradients if one is not None])


class _Stepwise(nn.Module):
    """The equations of a core over a sequence, with the results of the function."""

    def __init__(self, core: Any):
        super().__init__()
        self.core = core

    def results(self, starts: Tensor | None, given: Given) -> Sequence[Tensor]:
        """From other weights than the core's own."""
        parts = zip(PARTS, (given.across, *given[2:7]), strict=True)
        named = {f"core.controller.{name}": weight for name, weight in parts if weight.shape[-1]}
        return functional_call(self, named, (starts, given.driven, given.stored, given.hidden))

    def forward(self, starts: Tensor | None, driven: Tensor, stored: Tensor, hidden: Tensor) -> Sequence[Tensor]:
        mover, found = self.core.controller, []
        state = self.core.state(stored, NoState() if mover.hidden is None else HiddenState(hidden))
        fresh = self.core.initial_state(len(stored))
        for time, received in enumerate(driven.unbind(0)):
            if starts is not None:
                state = reset_rows(state, fresh, starts[time])
            held, before = state[0], state.controller
            units, moves, carried = mover.advance(received, self.core.read(held), before, self.core.rounded)
            state = self.core.state(self.core.moved(held, moves), carried)
            found.append(units)
        return torch.stack(found), state[0]
