"""Targets of action values against a loop in float64 that looks at one step at a time."""

import math

import numpy as np
import pytest
import torch

from lukasa.agents.rllib.replay.targets import n_step_targets, rescaled, unscaled


def by_hand(rewards, values, last, terminated, steps, gamma):
    """The target of every step before the last observation of one row."""
    found = []
    for time in range(last):
        total, factor, step = 0.0, 1.0, time
        while step < last and step < time + steps:
            total += factor * rewards[step]
            factor *= gamma
            step += 1
        if not (terminated and step == last):
            total += factor * values[step]
        found.append(total)
    return found


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 9, 40])
def test_targets_are_those_of_a_loop(steps):
    random = np.random.default_rng(steps)
    rewards, values = random.normal(size=(2, 6, 9))
    last, terminated = np.array([1, 2, 5, 8, 8, 3]), np.array([True, False, True, False, True, False])
    found = n_step_targets(
        torch.tensor(rewards),
        torch.tensor(values),
        torch.tensor(last),
        torch.tensor(terminated),
        steps=steps,
        gamma=0.9,
    )
    for row in range(6):
        expected = by_hand(rewards[row], values[row], last[row], terminated[row], steps, 0.9)
        np.testing.assert_allclose(found[row, : last[row]], expected, rtol=1e-12)


def test_what_lies_behind_a_row_does_not_matter():
    rewards, values, last, over = torch.zeros(1, 6), torch.ones(1, 6), torch.tensor([3]), torch.tensor([False])
    clean = n_step_targets(rewards, values, last, over, steps=2, gamma=0.5)
    rewards[0, 3:], values[0, 4:] = math.nan, math.nan
    dirty = n_step_targets(rewards, values, last, over, steps=2, gamma=0.5)
    assert torch.equal(clean[:, :3], dirty[:, :3])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rescaling_is_undone(dtype):
    values = torch.tensor([-1e5, -30.0, -1.0, -1e-4, 0.0, 1e-4, 0.5, 7.0, 1e4], dtype=dtype)
    assert torch.allclose(unscaled(rescaled(values)), values, rtol=1e-3 if dtype == torch.float32 else 1e-9)
    x = 7.0
    assert math.isclose(float(rescaled(torch.tensor(x).double())), math.sqrt(8) - 1 + 1e-3 * x)
    assert (rescaled(values).diff() > 0).all()
