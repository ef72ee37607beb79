"""The best predictor of dynamic n-grams, and the numbers its docstring states."""

import math
from collections import Counter

import pytest
import torch

from lukasa.tasks.ngrams import NGrams


def draw(count: int, seed: int = 0, **options):
    return NGrams(**options).sample(count, torch.Generator().manual_seed(seed))


def test_optimum_is_that_of_counting():
    batch = draw(3)
    for row in range(3):
        bits = batch.targets[row, :, 0].int().tolist()
        seen, cost = Counter(), 0.0
        for step, bit in enumerate(bits):
            context = tuple(bits[step - 5 : step])
            if step < 5:
                cost += 1.0
                continue
            ones, zeros = seen[context, 1], seen[context, 0]
            chance_of_one = (ones + 0.5) / (zeros + ones + 1)
            cost -= math.log2(chance_of_one if bit else 1 - chance_of_one)
            seen[context, bit] += 1
        assert NGrams().optimum_bits(batch)[row].item() == pytest.approx(cost, rel=1e-9)


def test_mean_and_spread_of_the_optimum_are_as_documented():
    costs = torch.cat([NGrams().optimum_bits(draw(1000, seed)) for seed in range(4)])
    error = costs.std().item() / len(costs) ** 0.5
    assert costs.mean().item() == pytest.approx(NGrams().spec.best, abs=4 * error)
    assert error < 0.6
    assert costs.std().item() == pytest.approx(36, abs=2)


def test_first_bits_are_fair_and_later_ones_depend_on_the_context():
    batch = draw(2000)
    bits = batch.targets[..., 0]
    assert bits[:, :5].mean().item() == pytest.approx(0.5, abs=0.02)
    # Arcsine probabilities: a context's next bit agrees with its next but one more often than not, E[p^2 + q^2] = 3/4.
    agree = total = 0
    for row in bits.int().tolist()[:300]:
        last: dict = {}
        for step in range(5, len(row)):
            context = tuple(row[step - 5 : step])
            if context in last:
                agree += last[context] == row[step]
                total += 1
            last[context] = row[step]
    assert agree / total > 0.7


def test_optimum_of_other_sizes_is_not_claimed():
    assert math.isnan(NGrams(length=50).spec.best)
