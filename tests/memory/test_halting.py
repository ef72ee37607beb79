"""Adaptive computation time against a loop transcribed from Graves 2016, section 2."""

import math

import pytest
import torch

from lukasa.memory.halting import Halting, HaltingUnit, begin, halt, ponder_cost

EPSILON = 0.01
# A row each: halts at once, exactly at 1 − ε, after three steps, and never by itself.
PROBABILITIES = [
    [0.995, 0.3, 0.2, 0.6],
    [0.5, 0.49, 0.7, 0.1],
    [0.2, 0.4, 0.9, 0.9],
    [0.1, 0.05, 0.1, 0.2],
]


def loop(row, epsilon=EPSILON):
    """N, R and p^n of one input, where h^n for n = 1 … M are given."""
    most = len(row)
    n_of_t = next((n for n in range(1, most + 1) if sum(row[:n]) >= 1 - epsilon), most)
    remainder = 1.0 - sum(row[: n_of_t - 1])
    weights = [row[n - 1] if n < n_of_t else remainder if n == n_of_t else 0.0 for n in range(1, most + 1)]
    return n_of_t, remainder, weights


def run(probabilities, running=None, epsilon=EPSILON):
    """Weights [B, M] and the halting after all steps."""
    here = torch.ones(len(probabilities), dtype=torch.bool) if running is None else running
    halting, weights, most = begin(here, probabilities.dtype), [], probabilities.shape[1]
    for step in range(most):
        one, halting = halt(probabilities[:, step], halting, epsilon, last=step == most - 1)
        weights.append(one)
    return torch.stack(weights, 1), halting


def test_weights_steps_and_remainders_equal_the_paper():
    weights, halting = run(torch.tensor(PROBABILITIES, dtype=torch.float64))
    for row, given in enumerate(PROBABILITIES):
        steps, remainder, expected = loop(given)
        assert int(halting.steps[row]) == steps
        torch.testing.assert_close(weights[row].tolist(), expected)
        torch.testing.assert_close(float(halting.remainder[row]), remainder)
        torch.testing.assert_close(float(ponder_cost(halting)[row]), steps + remainder)
    assert halting.steps.tolist() == [1, 2, 3, 4]
    assert not halting.running.any()


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_a_distribution(seed):
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.rand(50, 7, generator=generator, dtype=torch.float64) ** 3
    weights, halting = run(probabilities)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(1), torch.ones(50, dtype=torch.float64))
    for row in range(50):
        assert loop(probabilities[row].tolist())[0] == int(halting.steps[row])


def test_who_takes_no_part_takes_no_step():
    running = torch.tensor([True, False, True, False])
    weights, halting = run(torch.tensor(PROBABILITIES), running)
    assert not weights[~running].any()
    assert halting.steps.tolist() == [1, 0, 3, 0]
    assert not ponder_cost(halting)[~running].any()


def test_one_step_at_most_gives_it_all_the_weight():
    weights, halting = run(torch.full((2, 1), 0.3))
    assert weights.tolist() == [[1.0], [1.0]]
    assert ponder_cost(halting).tolist() == [2.0, 2.0]


def test_weights_and_cost_have_right_gradients():
    probabilities = torch.tensor(PROBABILITIES, dtype=torch.float64)
    probabilities[1, 1] = 0.6  # away from the threshold, where N jumps
    assert torch.autograd.gradcheck(
        lambda some: (run(some)[0], ponder_cost(run(some)[1])), probabilities.requires_grad_()
    )


def test_the_cost_raises_the_probabilities_before_the_last_step():
    probabilities = torch.tensor(PROBABILITIES, requires_grad=True)
    ponder_cost(run(probabilities)[1]).sum().backward()
    expected = [[-1.0 if n < loop(row)[0] else 0.0 for n in range(1, 5)] for row in PROBABILITIES]
    assert probabilities.grad.tolist() == expected


def test_the_unit_is_a_sigmoid_of_the_state():
    torch.manual_seed(0)
    unit = HaltingUnit(3).double()
    states = torch.randn(2, 4, 3, dtype=torch.float64)
    with torch.no_grad():
        weights, halting = unit(states, begin(torch.ones(2, 4, dtype=torch.bool), torch.float64), last=False)
        for row in range(2):
            for place in range(4):
                h = 1.0  # the bias
                for number in range(3):
                    h += float(unit.linear.weight[0, number]) * float(states[row, place, number])
                h = 1 / (1 + math.exp(-h))
                torch.testing.assert_close(float(weights[row, place]), h if h < 0.99 else 1.0)
                assert bool(halting.running[row, place]) == (h < 0.99)


def test_a_unit_learns_to_halt_early():
    torch.manual_seed(0)
    unit, states = HaltingUnit(3, bias=-3.0), torch.randn(8, 3)
    optimizer = torch.optim.Adam(unit.parameters(), 0.1)

    def cost():
        halting = begin(torch.ones(8, dtype=torch.bool), torch.float32)
        for step in range(10):
            _, halting = unit(states, halting, last=step == 9)
        return ponder_cost(halting)

    before = cost().mean()
    for _ in range(50):
        optimizer.zero_grad()
        cost().mean().backward()
        optimizer.step()
    assert before > 9
    assert cost().mean() < 4


def test_epsilon_is_between_0_and_1():
    with pytest.raises(ValueError, match="epsilon is 1: expected a number between 0 and 1"):
        HaltingUnit(3, epsilon=1.0)


def test_the_remainder_of_a_row_that_goes_on_is_what_it_has_left():
    halting = Halting(torch.tensor([0.25]), torch.tensor([1]), torch.tensor([True]))
    assert halting.remainder.tolist() == [0.75]
