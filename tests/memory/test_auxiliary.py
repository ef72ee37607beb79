"""Costs and choices that a core hands out to whoever trains it.

Legend: B batch, T time.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.baselines import GRU


class Paying(GRU):
    """A GRU that pays for the length of its input, and chooses."""

    def forward(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        memory.add_cost(self, "length", inputs.norm(dim=1))
        memory.add_cost(self, "one", torch.ones(len(inputs)))
        memory.add_choice(self, -inputs[:, 0])
        return super().forward(inputs, state)


class Whole(GRU):
    """A GRU that takes whole sequences, with resets inside, and pays for them."""

    resets_inside = True

    def sequence(self, inputs: Tensor, state: Any, starts: Tensor | None = None) -> tuple[Tensor, Any]:
        memory.add_cost(self, "starts", torch.zeros(inputs.shape[:2]) if starts is None else starts.float())
        outputs, state = super().sequence(inputs, state)
        return outputs, state


INPUTS = torch.arange(24.0).reshape(2, 4, 3)


def test_nothing_is_collected_of_a_core_that_has_nothing():
    core = memory.make_core("ntm", input_size=3, output_size=2, slots=4, word_size=3)
    with memory.collect_auxiliary(core) as auxiliary:
        memory.unroll(core, INPUTS)
    assert auxiliary.cost() is None
    assert auxiliary.log_probabilities() is None


@pytest.mark.parametrize("wrapped", [False, True])
def test_costs_of_single_steps_are_averaged_over_those_that_count(wrapped: bool):
    core: memory.Core = Paying(3, 2, size=4)
    core = memory.without(core, "memory") if wrapped else core
    with memory.collect_auxiliary(core) as auxiliary, memory.step_by_step():
        memory.unroll(core, INPUTS)
    torch.testing.assert_close(auxiliary.cost(), INPUTS.norm(dim=2).mean() + 1)
    torch.testing.assert_close(auxiliary.log_probabilities(), -INPUTS[:, :, 0])
    inside = torch.tensor([[True, True, False, False], [True, True, True, True]])
    torch.testing.assert_close(auxiliary.cost(inside), INPUTS.norm(dim=2)[inside].mean() + 1)
    with pytest.raises(ValueError, match=r"cost 'length' was handed out for steps \[2, 4\]: expected \[2, 5\]"):
        auxiliary.cost(torch.ones(2, 5, dtype=torch.bool))


def test_a_step_that_does_not_count_may_cost_anything():
    core = Paying(3, 2, size=4)
    with memory.collect_auxiliary(core) as auxiliary:
        memory.add_cost(core, "any", torch.tensor([[1.0, torch.inf], [3.0, torch.nan]]))
    assert auxiliary.cost(torch.tensor([[True, False], [True, False]])) == 2


def test_collecting_ends_with_its_block():
    core = Paying(3, 2, size=4)
    with pytest.raises(RuntimeError, match="stop"), memory.collect_auxiliary(core):
        raise RuntimeError("stop")
    assert core.auxiliary is None
    memory.add_cost(core, "any", torch.zeros(2))


def test_a_core_that_resets_inside_is_given_the_starts():
    core, starts = Whole(3, 2, size=4), torch.zeros(2, 4, dtype=torch.bool)
    starts[1, 2] = True
    for given, cost in ((None, 0), (torch.zeros_like(starts), 0), (starts, 1 / 8)):
        with memory.collect_auxiliary(core) as auxiliary:
            memory.unroll(core, INPUTS, core.initial_state(2), given)
        assert auxiliary.cost() == cost
    assert memory.why_slow(core, INPUTS) == (
        "this call runs the whole sequence at once, rows that are reset inside it included"
    )


def test_a_core_says_whether_it_chooses_wrapped_or_not():
    core = memory.make_core("gru", input_size=3, output_size=2)
    assert not core.chooses
    core.chooses = True
    assert memory.without(core, "memory").chooses
    assert not memory.without(memory.make_core("gru", input_size=3, output_size=2), "memory").chooses
