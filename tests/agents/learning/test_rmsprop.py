import math
import random

import pytest
import torch

from lukasa.agents.learning import GravesRMSProp


def oracle(weights, gradients, rate, decay, momentum, epsilon):
    """Equations 38 to 41 of Graves 2013, one number at a time."""
    n, g, delta = [0.0] * len(weights), [0.0] * len(weights), [0.0] * len(weights)
    for step in gradients:
        for i, slope in enumerate(step):
            n[i] = decay * n[i] + (1 - decay) * slope**2
            g[i] = decay * g[i] + (1 - decay) * slope
            delta[i] = momentum * delta[i] - rate * slope / math.sqrt(n[i] - g[i] ** 2 + epsilon)
            weights[i] = weights[i] + delta[i]
    return weights


@pytest.mark.parametrize("settings", [{}, {"lr": 0.03, "decay": 0.8, "momentum": 0.5, "epsilon": 1e-3}])
def test_updates_equal_the_equations_of_the_paper(settings):
    randomness = random.Random(0)
    start = [randomness.gauss(0, 1) for _ in range(4)]
    # Large, small, constant and vanishing gradients: variance above, below and at epsilon.
    steps = [[randomness.gauss(0, 5), randomness.gauss(0, 1e-3), 0.7, 0.0] for _ in range(40)]
    weights = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
    optimizer = GravesRMSProp([weights], **settings)
    for step in steps:
        weights.grad = torch.tensor(step, dtype=torch.float64)
        optimizer.step()
    numbers = {"lr": 1e-4, "decay": 0.95, "momentum": 0.9, "epsilon": 1e-4} | settings
    expected = oracle(start, steps, numbers["lr"], numbers["decay"], numbers["momentum"], numbers["epsilon"])
    torch.testing.assert_close(weights.detach(), torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)


def test_rounding_of_a_constant_gradient_stays_finite():
    weights = torch.nn.Parameter(torch.zeros(50))
    optimizer = GravesRMSProp([weights], epsilon=1e-12)
    for _ in range(500):
        weights.grad = torch.linspace(100, 5000, 50)
        optimizer.step()
    assert torch.isfinite(weights).all()


def test_parameter_without_gradient_stays():
    weights = torch.nn.Parameter(torch.ones(2))
    GravesRMSProp([weights]).step()
    assert weights.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("wrong", [{"decay": 1.0}, {"momentum": -0.1}, {"lr": 0.0}, {"epsilon": 0.0}])
def test_number_out_of_range_is_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
        GravesRMSProp([torch.nn.Parameter(torch.ones(1))], **wrong)
