"""Whole sequences of a core with a sparse memory: one autograd function around compiled loops.

Nothing here imports Numba before a call runs.

Legend: B batch, T time, D input width, K output width, U hidden units that steer the heads, F read numbers, H heads,
C slots that a head reads, W word size.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from lukasa.memory.derivatives import refuse_second_derivatives
from lukasa.memory.kernels.sequence import packing
from lukasa.memory.kernels.sequence.carrying import Inside
from lukasa.memory.kernels.sequence.controller_steps import ControllerTape
from lukasa.memory.kernels.sequence.function import Given, through_output
from lukasa.memory.kernels.sequence.packing import Shape, numbers
from lukasa.memory.kernels.sequence.threads import ROWS, over_rows
from lukasa.memory.kernels.sparse_access import rows as row_loops
from lukasa.memory.kernels.sparse_access.hearing import answered
from lukasa.memory.kernels.sparse_access.scanning import Scanned
from lukasa.memory.sparse.indexes.compiling import call
from lukasa.memory.sparse.indexes.list_kernels import FILED
from lukasa.memory.sparse.indexes.packed_lists import PackedLists
from lukasa.memory.sparse.operations import Tape
from lukasa.memory.sparse.store import Store, refuse_disorder
from lukasa.memory.sparse.traffic import TRAFFIC

STEPS_AT_ONCE = 128
"""So many steps pass before the log of accesses is looked after."""
CACHED = 1 << 16
"""Bytes of an index beyond which rows run one after another, each with its own in the cache."""


class Plan(NamedTuple):
    """How a core runs."""

    shape: Shape
    fields: int  # of the state, that are tensors and carry gradients
    access: Any
    store: Store
    lists: PackedLists | Scanned
    tape: Tape
    given: Any  # answers of a listener; see ``hearing.given``


def run(plan: Plan, starts: Tensor | None, token: Tensor, tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    """The token after it, None where no gradient passes; outputs [B, T, K], the slots read last, the last state.

    Args:
        plan: of the core.
        starts: bool [B, T], where rows are reset.
        token: of the memory.
        tensors: in the order of ``Given``: inputs, weights, read weights, reads, and the controller's state.
    """
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (token, *tensors)):
        return _Sequence.apply(plan, starts, token, *tensors)  # type: ignore[return-value]
    given: Any = Given.of(plan, tensors)  # pyright: ignore[reportArgumentType]
    packed = packing.pack_layers(plan.shape, given.weights, given.interface)
    return None, *_forward(plan, starts, given, packed, keep=False)[0]


class _Sequence(torch.autograd.Function):
    """One operation on the tape of the memory, with all places of all its steps."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, starts: Tensor | None, token: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        given: Any = Given.of(plan, tensors)  # pyright: ignore[reportArgumentType]
        packed = packing.pack_layers(plan.shape, given.weights, given.interface)
        results, kept = _forward(plan, starts, given, packed, keep=True)
        ctx.plan, ctx.given, ctx.packed = plan, len(tensors), packed  # a change of weights since is refused
        ctx.position = plan.tape.append(plan.access.touched(kept[5:]))
        ctx.save_for_backward(starts, *tensors, *kept)
        ctx.mark_non_differentiable(results[1])
        return torch.empty_like(token), *results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        refuse_second_derivatives()
        later, outputs, _, *last = gradients
        if later is None and outputs is None and all(one is None for one in last):  # no gradient, not yet a pass
            return (None,) * (3 + ctx.given)
        starts, *saved = ctx.saved_tensors
        plan, tensors, kept, needed = ctx.plan, saved[: ctx.given], saved[ctx.given :], ctx.needs_input_grad[3:]
        if later is None:
            plan.tape.begin_pass(tensors[0], plan.store.layout.word_size)
        given, asked = Given.of(plan, tensors), Given.of(plan, needed)
        found = _backward(plan, ctx.position, starts, given, asked, ctx.packed, outputs, last, kept)
        token = plan.tape.mark() if ctx.needs_input_grad[2] else None
        return None, None, token, *(one if wanted else None for one, wanted in zip(found, needed, strict=True))


def _inside(shape: Shape, first: Sequence[Tensor]) -> list[Tensor]:
    """Hidden and cell vectors and reads, of the fields of a state: read weights, reads, the controller's."""
    return [part.contiguous() for part in packing.inside_tensors(shape, first[1], first[2:])]


def _fresh(inside: Sequence[Tensor]) -> Inside:
    """The state that every row begins with."""
    return Inside(*(numbers(torch.zeros_like(part[:1])) for part in inside))


def _resets(starts: Tensor | None) -> Any:
    return numbers(torch.zeros(0, 0, dtype=torch.bool) if starts is None else starts.contiguous())


def _rows_at_once(plan: Plan) -> int:
    """Many rows fetch the weights of the layers seldom; one at a time keeps its index in the cache."""
    filed = plan.lists.tables.counts[:, FILED]
    return 1 if len(filed) and int(filed.max()) * plan.lists.width > CACHED else ROWS


def _forward(
    plan: Plan, starts: Tensor | None, given: Given, packed: tuple[Any, Any], keep: bool
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The results but for the token; and hidden vectors, reads and the tapes, of every step where they are kept."""
    shape, access = plan.shape, plan.access
    rows, steps = given.inputs.shape[:2]
    projected = packing.project(shape, given.weights, given.inputs)
    slots = steps if keep or access.is_followed(plan.store) else min(steps, 2)
    inside, tape = packing.controller_tape(shape, projected, rows, slots), access.tape(projected, rows, slots)
    hidden = projected.new_empty(rows, steps, shape.steering * shape.size)
    reads = projected.new_empty(rows, steps, shape.reads)
    first = _inside(shape, given.first)
    arguments = (
        *packed,
        *(numbers(projected), _resets(starts), Inside(*map(numbers, first)), _fresh(first)),
        access.first(given.first[0]),
        ControllerTape(*map(numbers, inside)),
        access.loops.Tape(*map(numbers, tape)),
        *(numbers(hidden), numbers(reads)),
    )
    _run(plan, projected, arguments, steps)
    access.tell(plan.store, tape)
    TRAFFIC.reads += rows * steps * access.reads_a_step
    TRAFFIC.writes += rows * steps * access.writes_a_step
    weight, bias = given.output
    units = hidden.shape[2]
    outputs = torch.addmm(bias, hidden.flatten(0, 1), weight[:, :units].t())
    outputs = outputs.addmm_(reads.flatten(0, 1), weight[:, units:].t()).view(rows, steps, -1)
    last = (steps - 1) % slots
    ends = [part[:, :, last].transpose(0, 1).contiguous() for part in inside[:2]]
    read_slots, read_weights = access.last(tape, last)
    words = reads[:, -1].unflatten(1, (-1, access.word)).contiguous()
    state = (read_slots, read_weights, words, *ends[: packing.FIELDS[shape.kind]])
    return (outputs, *state), (hidden, reads, *inside, *tape)


def _run(plan: Plan, like: Tensor, arguments: Sequence[Any], steps: int) -> None:
    """All steps on the store, which is left in order whatever happens."""
    store, access = plan.store, plan.access
    peaks = np.full(store.layout.batch_size, store.bounds.peak)
    try:
        for first in range(0, steps, STEPS_AT_ONCE):
            stop = min(first + STEPS_AT_ONCE, steps)
            event_at = store.usage.begin_event(access.accesses_a_step * (stop - first))
            _Steps(plan, like, arguments, peaks, (first, stop, event_at)).run()
            store.usage.end_event()
    finally:
        access.finish()
        plan.lists.end_step()
        store.bounds.peak = float(peaks.max())
        store.stepped(torch.from_numpy(plan.lists.used.copy()))


class _Steps:
    """Some steps of all rows; a row that needs attention waits for it with the others of its block."""

    def __init__(self, plan: Plan, like: Tensor, arguments: Sequence[Any], peaks: Any, span: tuple[int, int, int]):
        self.plan, self.like, self.arguments, self.peaks, self.span = plan, like, arguments, peaks, span
        store, access, rows = plan.store, plan.access, plan.store.layout.batch_size
        store.usage.show_ahead(access.heads)
        self.memory = row_loops.memory(store, plan.lists, access.reads, plan.given)
        self.limits = np.array([store.bounds.limit, store.bounds.query_limit])
        self.status, self.reached = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        self.rooms = access.rooms(like, rows)

    def run(self) -> None:
        """Over the rows."""
        over_rows(self._block, len(self.status), _rows_at_once(self.plan))

    def _block(self, low: int, high: int) -> None:
        now, stop, event_at = self.span
        shape = self.plan.shape
        work = packing.room(shape, self.like, high - low, self.plan.access.interface)
        while now < stop:
            self._call(work, low, high, now, stop, event_at, self.limits)
            event_at += (int(self.reached[low]) - now) * self.plan.access.accesses_a_step
            now = int(self.reached[low])
            for row in range(low, high):
                if self.memory.outgrown[row]:
                    cast(PackedLists, self.plan.lists).renew(row)
                    self.memory.outgrown[row] = False
            if self.status[low:high].any():
                looked = self._look_closer(low, high, now)
                self._call(work, low, high, now, now + 1, event_at, np.full(2, np.inf))
                self.peaks[low:high] = looked
                now, event_at = now + 1, event_at + self.plan.access.accesses_a_step

    def _call(self, work: Any, low: int, high: int, now: int, stop: int, event_at: int, limits: Any) -> None:
        access = self.plan.access
        arguments = (*self.arguments, work, *self.rooms, self.peaks, limits, self.status, self.reached)
        call(
            access.loops.forward,
            self.like.dtype,
            low,
            high,
            now,
            stop,
            event_at,
            access.seen(self.memory),
            *arguments,
        )

    def _look_closer(self, low: int, high: int, now: int) -> list[float]:
        """What no number of the rows will exceed after a step that is yet to be made.

        Raises:
            UnstorableError: a number cannot be stored, or a key not looked for.
            ValueError: a listener's answers write a slot before those below it.
        """
        store, looked = self.plan.store, []
        for row in range(low, high):
            bounds = copy.copy(store.bounds)
            bounds.peak = float(self.peaks[row])
            slots, keep, words, keys = self.plan.access.about_to_write(self.arguments, self.rooms, now, row)
            refuse_disorder(slots, torch.from_numpy(self.plan.lists.used), store.layout.slots)
            bounds.admit(slots, keep, words, torch.from_numpy(self.plan.lists.used), store.gather)
            bounds.admit_queries(keys.masked_fill(answered(self.plan.given[now], row, self.plan.access.heads), 0))
            looked.append(bounds.peak)
        return looked


def _backward(
    plan: Plan,
    position: int,
    starts: Tensor | None,
    given: Given,
    asked: Given,
    packed: tuple[Any, Any],
    to_outputs: Tensor | None,
    to_last: Sequence[Tensor | None],
    kept: Sequence[Tensor],
) -> list[Tensor | None]:
    """The gradients of all that was given; those of the memory go to the tape."""
    shape, access = plan.shape, plan.access
    rows, steps = given.inputs.shape[:2]
    hidden, reads, inside, tape = *kept[:2], kept[2:5], kept[5:]
    to_hidden, to_reads, to_output = through_output(given, to_outputs, hidden, reads)
    to_fields = [
        torch.zeros_like(part, memory_format=torch.contiguous_format) if one is None else one.contiguous().clone()
        for part, one in zip(given.first, to_last, strict=True)
    ]
    to_read_weights, to_first = to_fields[0], _inside(shape, to_fields)
    to_received = hidden.new_empty(shape.layers, rows, steps, inside[2].shape[3])
    to_emitted = hidden.new_empty(steps, rows, len(given.interface[1]))
    first = _inside(shape, given.first)
    ids, (at,) = plan.tape.numbered((position,))
    arguments = (
        *packed,
        *(_resets(starts), Inside(*map(numbers, first)), _fresh(first), access.first(given.first[0])),
        ControllerTape(*map(numbers, inside)),
        access.loops.Tape(*map(numbers, tape)),
        *(numbers(plan.tape.gradient), numbers(ids), at, np.array(plan.tape.bounds())),
        *(numbers(to_hidden), numbers(to_reads), numbers(to_received), numbers(to_emitted)),
        *(Inside(*map(numbers, to_first)), numbers(to_read_weights)),
    )
    rooms = access.rooms_back(hidden, rows)

    def work(low: int, high: int) -> None:
        room = packing.room(shape, hidden, high - low, access.interface)
        call(access.loops_back.backward, hidden.dtype, low, high, *arguments, room, *rooms)

    over_rows(work, rows, ROWS)
    before, reads_before = _before(first, starts, inside, reads)
    sources = (given.inputs, inside[0], before, reads_before)
    needed = (asked.inputs, *asked.weights)
    to_inputs, to_weights = packing.controller_gradients(shape, given.weights, needed, to_received, *sources)
    told = to_emitted.transpose(0, 1).reshape(rows * steps, -1)
    to_interface = [told.t() @ hidden.flatten(0, 1) if asked.interface[0] else None, told.sum(0)]
    controller = to_first[: packing.FIELDS[shape.kind]]
    to_words = to_first[2].unflatten(1, (-1, access.word))
    return [to_inputs, *to_weights, *to_interface, *to_output, to_read_weights, to_words, *controller]


def _before(
    first: Sequence[Tensor], starts: Tensor | None, inside: Sequence[Tensor], reads: Tensor
) -> tuple[Tensor | None, Tensor]:
    """Hidden vectors [L, B, T, U] and reads [B, T, F] with which every step began."""
    reads_before = torch.cat([first[2].unsqueeze(1), reads[:, :-1]], 1)
    before = None
    if first[0].shape[1]:
        before = torch.cat([first[0].transpose(0, 1).unsqueeze(2), inside[0][:, :, :-1]], 2)
    if starts is not None:
        reads_before = reads_before.masked_fill(starts.unsqueeze(2), 0)
        before = None if before is None else before.masked_fill(starts.unsqueeze(2), 0)
    return before, reads_before
