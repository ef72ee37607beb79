"""How every core computes, whatever it is: one battery over the table of core_rows.py.

Legend: B batch, T time, D input width.
"""

import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.controllers import Kind
from lukasa.memory.sparse import UnstorableError
from tests.memory.core_rows import (
    CLOSE,
    EVERY_CORE,
    EVERY_CORE_IN_SHORT,
    ROWS,
    SAME,
    Row,
    assert_same_state,
    make,
    numbers,
    rows_of,
    sequences,
    watched,
)
from tests.memory.samples import reached_state


def all_gradients(core: memory.Core, loss: Tensor, *leaves: Tensor) -> list[Tensor]:
    wanted = [*leaves, *(parameter for parameter in core.parameters() if parameter.requires_grad)]
    return list(torch.autograd.grad(loss, wanted, materialize_grads=True))


def test_every_core_and_every_controller_has_a_row():
    assert {row.core for row in ROWS.values()} == set(memory.CORES)
    for name in memory.CORES:
        if "controller" in memory.core_options(name):
            kinds = {row.options.get("controller", "lstm") for row in ROWS.values() if row.core == name}
            offered = {*get_args(memory.core_options(name)["controller"].annotation)}
            assert kinds >= {"lstm", "gru", "feedforward"} & offered, name
            assert kinds <= {*get_args(Kind)}, name
    assert sum(row.options.get("controller") == "attention" for row in ROWS.values()) >= 3


@EVERY_CORE
def test_rows_of_the_initial_state_are_identical(row: Row):
    core = make(row)
    together, alone = core.initial_state(4), core.initial_state(1)
    for index in range(4):
        assert_same_state(rows_of(core, together, slice(index, index + 1)), alone, **SAME)


@EVERY_CORE
def test_reset_equals_a_fresh_start(row: Row):
    """Row 0 is reset at the first step and in the middle, row 1 twice in a row and at the end, row 2 never."""
    core, inputs, state = make(row), sequences(), reached_state(make(row), 3)
    resets = {0: [0, 3], 1: [1, 2, 5], 2: []}
    starts = torch.zeros(3, 6, dtype=torch.bool)
    for index, times in resets.items():
        starts[index, times] = True
    outputs, last = memory.unroll(core, inputs, memory.fork_state(state), starts)
    for index, times in resets.items():
        this = slice(index, index + 1)
        parts, carried = [], rows_of(core, state, this)
        for begin, end in zip([0, *times], [*times, 6], strict=True):
            if begin in times:
                carried = None
            if begin < end:
                part, carried = memory.unroll(core, inputs[this, begin:end], carried)
                parts.append(part)
        torch.testing.assert_close(outputs[this], torch.cat(parts, 1), **CLOSE)
        assert_same_state(rows_of(core, last, this), carried, **CLOSE)


@EVERY_CORE
def test_no_gradient_crosses_a_reset(row: Row):
    core, inputs = make(row), sequences().requires_grad_()
    state, leaves = watched(row, core, reached_state(core, 3))
    starts = torch.zeros(3, 6, dtype=torch.bool)
    starts[1, 3] = True
    outputs, _ = memory.unroll(core, inputs, state, starts)
    to_inputs, *to_fields = torch.autograd.grad(
        outputs[1, 3:].square().sum(), [inputs, *leaves.values()], materialize_grads=True
    )
    assert to_inputs[1, :3].count_nonzero() == 0
    assert to_inputs[1, 3:].count_nonzero() > 0
    assert all(gradient.count_nonzero() == 0 for gradient in to_fields)


@EVERY_CORE
def test_starts_that_are_never_set_change_nothing(row: Row):
    core, inputs = make(row), sequences()
    starts = torch.zeros(3, 6, dtype=torch.bool)
    (outputs, last), (expected, expected_last) = memory.unroll(core, inputs, None, starts), memory.unroll(core, inputs)
    torch.testing.assert_close(outputs, expected, **SAME)
    assert_same_state(last, expected_last, **SAME)


@EVERY_CORE
def test_rows_do_not_mix(row: Row):
    core, inputs, state = make(row), sequences(), reached_state(make(row), 3)
    outputs, last = memory.unroll(core, inputs, memory.fork_state(state))
    for index in range(3):
        this = slice(index, index + 1)
        alone, alone_last = memory.unroll(core, inputs[this], rows_of(core, state, this))
        torch.testing.assert_close(outputs[this], alone, **CLOSE)
        assert_same_state(rows_of(core, last, this), alone_last, **CLOSE)


@EVERY_CORE
def test_no_gradient_crosses_between_rows(row: Row):
    core, inputs = make(row), sequences().requires_grad_()
    state, leaves = watched(row, core, reached_state(core, 3))
    outputs, last = memory.unroll(core, inputs, state)
    loss = outputs[1].square().sum() + sum((end[1].square().sum() for end in numbers(last)), torch.tensor(0.0))
    for gradient in torch.autograd.grad(loss, [inputs, *leaves.values()], materialize_grads=True):
        assert gradient[[0, 2]].count_nonzero() == 0
        assert gradient[1].count_nonzero() > 0


@EVERY_CORE
def test_step_equals_unroll(row: Row):
    """Outputs, the last state, and the gradients of inputs, parameters and first state."""
    core, start = make(row), reached_state(make(row), 3)
    results = []
    for stepwise in (True, False):
        inputs, (state, leaves) = sequences().requires_grad_(), watched(row, core, start)
        if stepwise:
            steps, carried = [], state
            for x in inputs.unbind(1):
                output, carried = core(x, carried)
                steps.append(output)
            outputs = torch.stack(steps, 1)
        else:
            outputs, carried = memory.unroll(core, inputs, state)
        ends = [end.square().sum() for end in numbers(carried)]
        loss = outputs.square().sum() + sum(ends, torch.tensor(0.0))
        gradients = all_gradients(core, loss, inputs, *leaves.values())
        results.append((outputs, memory.state_to_dict(carried), gradients))
    torch.testing.assert_close(results[0], results[1], rtol=1e-10, atol=1e-10)  # gradients of hundreds in six steps


@EVERY_CORE
def test_two_halves_equal_the_whole(row: Row):
    core, inputs = make(row), sequences()
    whole, last = memory.unroll(core, inputs)
    first, between = memory.unroll(core, inputs[:, :2])
    second, end = memory.unroll(core, inputs[:, 2:], between)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, **CLOSE)
    assert_same_state(end, last, **CLOSE)


@EVERY_CORE
def test_nan_in_a_reset_row_does_not_survive(row: Row):
    """Neither in the values, nor in any gradient; a sparse memory does not take it to begin with."""
    core, inputs = make(row), sequences()
    state = reached_state(core, 3)
    bad = {name: tensor.clone() for name, tensor in memory.state_to_dict(state).items()}
    for tensor in bad.values():
        if tensor.is_floating_point():
            tensor[1] = math.nan
    if row.sparse:
        with pytest.raises(UnstorableError, match="row 1, slot 0 would hold nan"):
            memory.state_from_dict(core, bad)
        return
    state, leaves = watched(row, core, memory.state_from_dict(core, bad))
    starts = torch.zeros(3, 6, dtype=torch.bool)
    starts[1, 0] = True
    outputs, last = memory.unroll(core, inputs, state, starts)
    assert all(tensor.isfinite().all() for tensor in (outputs, *memory.state_to_dict(last).values()))
    torch.testing.assert_close(outputs[1:2], memory.unroll(core, inputs[1:2])[0], **CLOSE)
    gradients = all_gradients(core, outputs.square().sum(), *leaves.values())
    assert all(gradient.isfinite().all() for gradient in gradients)


@EVERY_CORE
def test_nan_met_in_a_sequence_ends_with_the_reset(row: Row):
    core, inputs = make(row), sequences()
    inputs[1, 1] = math.nan
    starts = torch.zeros(3, 6, dtype=torch.bool)
    starts[1, 2] = True
    if row.sparse:
        with pytest.raises(UnstorableError, match=r"row 1, slot . would hold nan"):
            memory.unroll(core, inputs, None, starts)
        return
    outputs, last = memory.unroll(core, inputs, None, starts)
    assert outputs[1, 1].isnan().any()
    assert outputs[1, 2:].isfinite().all()
    assert outputs[[0, 2]].isfinite().all()
    assert all(tensor.isfinite().all() for tensor in memory.state_to_dict(last).values())


@EVERY_CORE
def test_gradient_reaches_every_state_field_and_every_parameter(row: Row):
    core = make(row)
    state, leaves = watched(row, core, reached_state(core, 3))
    outputs, _ = memory.unroll(core, sequences(), state)
    for name, field in leaves.items():
        (gradient,) = torch.autograd.grad(outputs.square().sum(), field, retain_graph=True)
        for index in range(3):
            assert gradient[index].count_nonzero() > 0, name
    outputs, _ = memory.unroll(core, sequences())
    outputs.square().sum().backward()
    for name, parameter in core.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.count_nonzero() > 0, name


def recall_loss(core: memory.Core) -> Tensor:
    """One of four symbols, three blanks, then a question: which symbol was it? Cross-entropy in nats; chance is ln 4.

    Input: [B = 4, T = 5, D = 5], one row for each symbol; the last feature asks.
    """
    inputs = torch.zeros(4, 5, 5)
    inputs[range(4), 0, range(4)] = 1
    inputs[:, 4, 4] = 1
    outputs, _ = memory.unroll(core, inputs)
    return torch.nn.functional.cross_entropy(outputs[:, -1], torch.arange(4))


@EVERY_CORE_IN_SHORT
def test_learns_to_recall_its_first_input(row: Row):
    """A core without a memory answers all four rows alike, so it can do no better than chance."""
    torch.manual_seed(0)
    core = memory.make_core(row.core, input_size=5, output_size=4, **row.options)
    optimiser = torch.optim.Adam(core.parameters(), lr=0.02)
    losses = []
    for _ in range(400 if row.remembers else 50):
        loss = recall_loss(core)
        losses.append(loss.item())
        if losses[-1] < 0.1:
            break
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(core.parameters(), 2.0)  # else rounding decides whether an RMC learns it
        optimiser.step()
    assert losses[-1] < 0.1 if row.remembers else min(losses) > math.log(4) - 1e-3
