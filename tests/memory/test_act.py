"""Adaptive computation time around cores: against a loop written from the paper, and what becomes of their states.

Legend: B batch, T time, D input width, M most steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.act import ACT
from lukasa.memory.baselines import GRU
from tests.memory import core_rows
from tests.memory.core_oracles import arrays, controller_step, linear
from tests.memory.gradients import check_core_gradients
from tests.memory.oracles import Array, Named, sigmoid
from tests.memory.samples import Sampler, lively_core, reached_state

SMALL = core_rows.ACT
INPUTS = 2 * Sampler(1).normal(3, 5, 3)


def act(**options: Any) -> ACT:
    core = lively_core("act", **SMALL | options)
    assert isinstance(core, ACT)
    return core


def step(parameters: Named, x: Array, state: Named, epsilon: float, most: int) -> tuple[Array, Named, int, float]:
    """Graves 2016, section 2: one input of one row, thought about by an LSTM with an output of its own.

    Returns:
        The output, the state, N(t) and R(t).
    """
    inner = {name.removeprefix("core."): one for name, one in parameters.items() if name.startswith("core.")}
    probabilities: list[float] = []
    emitted, states = [], []
    while True:
        flag = 0.0 if probabilities else 1.0
        before = {f"controller.{name}": one for name, one in state.items()}
        hidden, after = controller_step(inner, np.concatenate([x, [flag]]), before)
        state = {name.removeprefix("controller."): one for name, one in after.items()}
        emitted.append(linear(inner, "output", hidden))
        states.append(state)
        h = float(sigmoid(linear(parameters, "halting.linear", emitted[-1]))[0])
        if sum(probabilities) + h >= 1 - epsilon or len(probabilities) + 1 == most:
            break
        probabilities.append(h)
    remainder = 1 - sum(probabilities)
    weights = [*probabilities, remainder]
    outputs = [linear(parameters, "output", one) for one in emitted]
    y = np.tensordot(weights, np.stack(outputs), 1)
    mean = {name: np.tensordot(weights, np.stack([one[name] for one in states]), 1) for name in state}
    return y, mean, len(weights), remainder


@pytest.mark.parametrize(
    "options",
    [{}, {"halting_bias": -0.4, "max_steps": 9}, {"epsilon": 0.5}, {"max_steps": 1}],
    ids=["plain", "long", "large epsilon", "one step"],
)
def test_outputs_states_and_costs_are_those_of_the_paper(options: dict[str, Any]):
    """Three rows of five inputs; rows take different numbers of steps, also the most there are."""
    core = act(**options, ponder_weight=0.25)
    parameters = {name: one.detach().numpy() for name, one in core.named_parameters()}
    state = reached_state(core, 3)
    with memory.record(core) as recording, memory.collect_auxiliary(core) as auxiliary:
        outputs, last = memory.unroll(core, INPUTS, state)
    ponder, (cost,) = recording.stacked()["ponder"], auxiliary.costs.values()
    cost, epsilon = torch.cat(cost, 1), options.get("epsilon", 0.01)
    seen: set[int] = set()
    for row in range(3):
        carried = {name: one[row] for name, one in arrays(state).items()}
        for time in range(5):
            x = INPUTS[row, time].numpy()
            y, carried, steps, remainder = step(parameters, x, carried, epsilon, core.max_steps)
            np.testing.assert_allclose(outputs[row, time].detach().numpy(), y, rtol=0, atol=1e-11)
            assert ponder[row, time] == steps
            assert cost[row, time].item() == pytest.approx(0.25 * (steps + remainder))
            seen.add(steps)
        for name, expected in carried.items():
            np.testing.assert_allclose(arrays(last)[name][row], expected, rtol=0, atol=1e-11)
    assert len(seen) >= min(2, core.max_steps), f"steps were {seen}: too much alike to see anything"


@pytest.mark.parametrize("core", ["lstm", "gru"])
def test_gradients_are_those_of_finite_differences(core: str):
    """Of what is thought, of when to halt, and of the state; the number of steps itself has none."""
    made = act(core=core, core_options={"size": 3}, size=3)
    check_core_gradients(made, INPUTS[:2, :2], reached_state(made, 2))


def test_state_of_marks_and_numbers_is_that_of_the_last_step_of_each_row():
    """A window counts thoughts: as if the inner core were given the input as often as the row thought about it."""
    core = act(core="snail", core_options=core_rows.SNAIL, max_steps=4)
    assert not core.averages
    state = core.initial_state(3)
    with memory.record(core) as recording:
        _, last = memory.unroll(core, INPUTS[:, :1], state)
    steps = recording.stacked()["ponder"][:, 0]
    assert len(set(steps.tolist())) > 1
    for row in range(3):
        given = INPUTS[row : row + 1, :1].expand(-1, int(steps[row]), -1)
        flags = torch.zeros_like(given[..., :1])
        flags[:, 0] = 1
        _, expected = memory.unroll(core.core, torch.cat([given, flags], 2), core.core.initial_state(1))
        torch.testing.assert_close(last.past[row], expected.past[0], rtol=0, atol=1e-12)
        assert torch.equal(last.filled[row], expected.filled[0])


def test_weightings_of_a_mean_state_are_still_weightings_and_are_recorded_as_such():
    core = act(core="dnc", core_options=core_rows.DNC, max_steps=5)
    assert core.averages
    with memory.record(core) as recording:
        _, state = memory.unroll(core, INPUTS)
    shown = recording.stacked()
    assert shown["ponder"].max() > 1
    torch.testing.assert_close(shown["read"][:, -1], state.read_weights, rtol=0, atol=1e-12)
    for name in ("read_weights", "write_weights", "usage", "links"):
        held = getattr(state, name)
        assert held.min() >= 0
        assert held.max() <= 1 + 1e-9
    assert state.links.sum(2).max() <= 1 + 1e-9
    assert state.links.diagonal(dim1=1, dim2=2).count_nonzero() == 0


class Paying(GRU):
    """A GRU whose every step costs 2 and is chosen with a probability of 1/e."""

    def forward(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        memory.add_cost(self, "step", inputs.new_full((len(inputs),), 2.0))
        memory.add_choice(self, inputs.new_full((len(inputs),), -1.0))
        return super().forward(inputs, state)


def test_costs_of_the_inner_core_are_averaged_and_its_choices_are_made_one_after_another():
    core = act(core=f"{__name__}:Paying", ponder_weight=0.0)
    with memory.collect_auxiliary(core) as auxiliary, memory.record(core) as recording:
        memory.unroll(core, INPUTS)
    ponder, log_probabilities = recording.stacked()["ponder"], auxiliary.log_probabilities()
    assert ponder.unique().numel() > 1
    assert list(auxiliary.costs) == ["step"]
    torch.testing.assert_close(torch.cat(auxiliary.costs["step"], 1), torch.full((3, 5), 2.0).double())
    torch.testing.assert_close(log_probabilities, -ponder.double())
    assert core.core.auxiliary is None
    assert core.core.recorder is None


def test_around_a_core_that_chooses_it_chooses():
    core = act(core="dntm", core_options={**core_rows.DNTM, "addressing": "reinforce"})
    assert core.chooses
    assert not act().chooses
    with memory.collect_auxiliary(core) as auxiliary:
        memory.unroll(core, INPUTS)
    found = auxiliary.log_probabilities()
    assert found is not None
    assert found.shape == (3, 5)


def test_paying_for_steps_makes_them_fewer():
    torch.manual_seed(0)
    core = memory.make_core("act", input_size=3, output_size=2, halting_bias=-2.0, ponder_weight=1.0, size=16)
    optimiser, costs = torch.optim.Adam(core.parameters(), lr=0.03), []
    for _ in range(60):
        with memory.collect_auxiliary(core) as auxiliary:
            memory.unroll(core, INPUTS.float())
        cost = auxiliary.cost()
        assert cost is not None
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()
        costs.append(cost.item())
    assert costs[0] > 6
    assert costs[-1] < 2.1, "one step, and what the second would have taken"


def test_it_may_be_put_around_itself():
    core = act(core="act", core_options={"core": "gru", "core_options": {"size": 4}, "size": 4})
    outputs, state = memory.unroll(core, INPUTS)
    assert outputs.shape == (3, 5, 2)
    assert state.hidden.shape == (3, 1, 4)


def test_thinking_within_thinking_is_paid_for_in_one_cost():
    inner = {"core": "gru", "core_options": {"size": 4}, "size": 4}
    costs = {}
    for outer, within in ((0.5, 0.0), (0.0, 0.5), (0.5, 0.5)):
        core = act(core="act", core_options={**inner, "ponder_weight": within}, ponder_weight=outer)
        with memory.collect_auxiliary(core) as auxiliary:
            memory.unroll(core, INPUTS)
        costs[outer, within] = auxiliary.cost()
    torch.testing.assert_close(costs[0.5, 0.5], costs[0.5, 0.0] + costs[0.0, 0.5])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"core": "sam"}, "option 'core' of core 'act' is 'sam': its memory is changed in place, and rows that have"),
        ({"core": "sdnc"}, "choose a dense core, such as 'dam' or 'dnc'"),
        ({"core": "lsmt"}, "unknown core 'lsmt': did you mean 'lstm'"),
        ({"core": "gru", "core_options": {"sise": 3}}, "unknown option of core 'gru': 'sise': did you mean 'size'"),
        ({"core": "gru", "core_options": {"size": 0}}, "option 'size' of core 'gru' is 0: expected a whole number"),
        ({"core_options": 3}, "option 'core_options' of core 'act' is 3: expected options by name, or None"),
        ({"epsilon": 1.0}, "option 'epsilon' of core 'act' is 1: expected a number between 0 and 1"),
        ({"ponder_weight": -1.0}, "option 'ponder_weight' of core 'act' is -1: expected 0 or more"),
        ({"max_steps": 0}, "option 'max_steps' of core 'act' is 0: expected a whole number of at least 1"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], told: str):
    with pytest.raises(ValueError, match=told):
        memory.make_core("act", input_size=3, output_size=2, **options)


DENSE = {name: row for name, row in core_rows.ROWS.items() if not row.sparse and row.core != "act"}


@pytest.mark.parametrize("row", DENSE.values(), ids=DENSE)
def test_any_dense_core_can_be_inside(row: core_rows.Row):
    """A row thinks beside others what it would alone, also where it began anew; all gradients are finite."""
    core = act(core=row.core, core_options=row.options, ponder_weight=0.1)
    inputs, starts = INPUTS[:, :4], torch.zeros(3, 4, dtype=torch.bool)
    starts[1, 2] = True
    with memory.collect_auxiliary(core) as auxiliary, memory.record(core) as recording:
        outputs, _ = memory.unroll(core, inputs, None, starts)
    ponder, cost = recording.stacked()["ponder"], auxiliary.cost()
    assert ponder.max() > 1
    assert cost is not None
    assert all(part.shape[:2] == (3, 4) for part in recording.stacked().values())
    slopes = torch.autograd.grad(outputs.square().sum() + cost, list(core.parameters()), materialize_grads=True)
    assert all(slope.isfinite().all() for slope in slopes)
    for index in range(3):
        this = slice(index, index + 1)
        alone, _ = memory.unroll(core, inputs[this], None, starts[this])
        torch.testing.assert_close(alone, outputs[this], **core_rows.CLOSE)
