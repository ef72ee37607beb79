"""What a core hands out beside its outputs is minimised with the loss.

Dimensions: B rows, T steps.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lukasa import memory
from lukasa.agents.sequence import SequenceLearner, evaluate
from lukasa.agents.sequence.learner import Shown
from lukasa.agents.sequence.reinforce import reinforce_loss
from lukasa.memory.baselines import GRU
from lukasa.tasks.copying import Copy


class Dear(GRU):
    """Pays 2 for every step, times a number of its own."""

    def __init__(self, *sizes: int, size: int = 4):
        super().__init__(*sizes, size=size)
        self.price = nn.Parameter(torch.ones(()))

    def forward(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        memory.add_cost(self, "price", 2 * self.price.expand(len(inputs)))
        return super().forward(inputs, state)


COPY = Copy(min_length=2, max_length=3)


def shown(rows: int) -> Shown:
    return Shown(COPY.sample(rows, torch.Generator().manual_seed(1)), None)


@pytest.mark.parametrize("chunk", [None, 3])
def test_costs_of_a_core_are_those_of_the_steps_of_its_sequences(chunk: int | None):
    core = Dear(COPY.spec.input_size, COPY.spec.output_size)
    batch = shown(4)
    with memory.step_by_step():
        learned = SequenceLearner(core, COPY.spec, chunk=chunk).learn(batch)
    torch.testing.assert_close(core.price.grad, 2 * batch.batch.lengths.float().mean())
    plain = GRU(COPY.spec.input_size, COPY.spec.output_size, size=4)
    plain.load_state_dict(core.state_dict(), strict=False)
    alike = SequenceLearner(plain, COPY.spec, chunk=chunk).learn(batch)
    assert learned.loss == pytest.approx(alike.loss)  # what is reported is the task's alone
    torch.testing.assert_close(core.output.weight.grad, plain.output.weight.grad)


def test_the_expected_gradient_of_reinforce_is_that_of_the_expected_loss():
    """Every outcome of 3 rows with 2 steps of 2 choices each, enumerated."""
    logits = torch.tensor([[0.3, -0.2], [0.1, 0.8], [-0.5, 0.4]], dtype=torch.float64, requires_grad=True)
    # One that is small, so that advantages are not divided.
    table = 0.1 * torch.randn(3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inside = torch.tensor([[True, True], [True, True], [True, False]])

    def sure(row: int, choices: tuple[int, int]) -> Tensor:
        chosen = torch.stack([nn.functional.logsigmoid(logits[row, t] * (2 * c - 1)) for t, c in enumerate(choices)])
        return torch.where(inside[row], chosen, 0)

    def loss(row: int, choices: tuple[int, int]) -> Tensor:
        return table[row, choices[0], choices[1] if inside[row, 1] else 0]

    pairs = list(itertools.product(range(2), repeat=2))
    expected, estimate = torch.zeros((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    for outcome in itertools.product(pairs, repeat=3):
        logs = torch.stack([sure(row, choices) for row, choices in enumerate(outcome)])
        losses = torch.stack([loss(row, choices) for row, choices in enumerate(outcome)])
        # The second choice of the last row does not count: as probable either way.
        probability = logs.sum().exp() / 2
        expected = expected + probability * losses.mean()
        estimate = estimate + probability.detach() * reinforce_loss(logs, losses, inside)
    (wanted,) = torch.autograd.grad(expected, logits, retain_graph=True)
    (found,) = torch.autograd.grad(estimate, logits)
    assert wanted.abs().max() > 1e-3
    torch.testing.assert_close(found, wanted)


def test_what_does_not_count_may_be_improbable():
    logs = torch.tensor([[-1.0, -torch.inf], [-1.0, -2.0]], requires_grad=True)
    inside = torch.tensor([[True, False], [True, True]])
    reinforce_loss(logs, torch.tensor([1.0, 2.0]), inside).backward()
    assert logs.grad is not None
    assert logs.grad.isfinite().all()


def workbench() -> memory.Core:
    torch.manual_seed(0)
    sizes = {"input_size": COPY.spec.input_size, "output_size": COPY.spec.output_size}
    return memory.make_core("workbench", **sizes, addressing="reinforce", slots=6, word_size=4, controller_size=5)


def test_one_row_alone_leaves_no_baseline():
    with pytest.raises(ValueError, match="take a batch size of at least 2"):
        SequenceLearner(workbench(), COPY.spec).learn(shown(1))


def test_a_core_that_chooses_learns_where_to_look_from_the_loss():
    core = workbench()
    SequenceLearner(core, COPY.spec).learn(shown(8))
    keys = core.get_parameter("interface.weight").grad
    assert keys is not None
    assert keys[:5].abs().max() > 0


def test_evaluation_draws_nothing_and_leaves_training_as_it_was():
    core, batch = workbench(), COPY.sample(8, torch.Generator().manual_seed(1))
    losses = {evaluate(core, COPY.spec, [batch]).loss for _ in range(3)}
    assert len(losses) == 1
    assert core.training
