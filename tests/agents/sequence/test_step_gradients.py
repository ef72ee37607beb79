"""Which steps an output depends on: against one backward pass for each output, and against differences."""

import sys

import pytest
import torch

from lukasa import memory
from lukasa.agents.sequence import affordable, log_odds, step_gradients
from lukasa.agents.sequence.step_gradients import ALL, MEMORY

MODULE = sys.modules["lukasa.agents.sequence.step_gradients"]  # its name is that of the function too
SMALL = {"slots": 6, "word_size": 4, "controller_size": 8}
CORES = {
    "ntm": SMALL,
    "dnc": {**SMALL, "read_heads": 2},
    "sam": {**SMALL, "slots": 8192, "heads": 1, "reads": 2, "index": "exact"},
    "gru": {"size": 8},
    "mingru": {},
}


def small_core(name):
    torch.manual_seed(0)
    return memory.make_core(name, input_size=3, output_size=2, **CORES[name])


def readout(outputs):
    return outputs.square().sum(-1)


@pytest.mark.parametrize("name", CORES)
def test_all_ways_are_those_of_a_backward_pass_for_each_output(name):
    core, inputs, chosen = small_core(name), torch.randn(7, 3), [2, 6]
    found = step_gradients(core, inputs, readout, chosen)[ALL]
    for row, step in zip(found, chosen, strict=True):
        leaf = inputs[None].clone().requires_grad_()
        outputs, _ = memory.unroll(core, leaf)
        (gradient,) = torch.autograd.grad(readout(outputs[0, step]), leaf)
        torch.testing.assert_close(row, gradient[0].norm(dim=-1), rtol=1e-4, atol=1e-6)
        assert (row[step + 1 :] == 0).all()


def test_through_the_memory_alone_the_controller_hands_nothing_on():
    core, inputs = small_core("ntm"), torch.randn(5, 3)
    found = step_gradients(core, inputs, readout, [4])
    assert set(found) == {ALL, MEMORY}
    assert (found[MEMORY][0, :4] > 0).any()
    assert not torch.allclose(found[ALL], found[MEMORY])
    blind = memory.without(core, "memory")  # then the controller is the only way, and it is cut
    found = step_gradients(blind, inputs, readout, [4])
    assert (found[ALL][0] > 0).all()
    assert (found[MEMORY][0, :4] == 0).all()
    assert found[MEMORY][0, 4] > 0


def test_core_without_a_controller_of_its_own_has_one_way():
    assert set(step_gradients(small_core("gru"), torch.randn(4, 3), readout, [3])) == {ALL}


def test_outputs_that_do_not_fit_at_once_are_the_same(monkeypatch):
    core, inputs = small_core("ntm"), torch.randn(6, 3)
    whole = step_gradients(core, inputs, readout, [1, 3, 5])
    monkeypatch.setattr(MODULE, "MOST_NUMBERS", 1)
    for way, norms in step_gradients(core, inputs, readout, [1, 3, 5]).items():
        torch.testing.assert_close(norms, whole[way])


def test_parameters_get_no_gradient():
    core = small_core("ntm")
    step_gradients(core, torch.randn(3, 3), readout, [2])
    assert all(parameter.grad is None for parameter in core.parameters())


def test_work_is_bounded(monkeypatch):
    core = small_core("ntm")
    assert affordable(core, 10, 5) == 5
    monkeypatch.setattr(MODULE, "MOST_WORK", 10 * 256 * 3)
    assert affordable(core, 10, 5) == 3
    assert affordable(core, 10_000, 5) == 1


def test_log_odds_do_not_saturate():
    logits = torch.tensor([[0.0, 40.0, 0.0]], requires_grad=True)
    odds = log_odds(logits)
    (gradient,) = torch.autograd.grad(odds.sum(), logits)
    probability = torch.softmax(torch.tensor([1.0, 3.0, 0.5]), 0)
    torch.testing.assert_close(log_odds(torch.tensor([1.0, 3.0, 0.5])), probability[1].logit())
    torch.testing.assert_close(log_odds(torch.tensor([1.0, 3.0, 0.5]), torch.tensor(2)), probability[2].logit())
    assert gradient[0, 1] == 1
