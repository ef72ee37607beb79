import doctest
import math

import numpy as np
import pytest
from scipy import stats

from lukasa.ground import statistics
from lukasa.ground.statistics import (
    bootstrap_band,
    bootstrap_interval,
    mean_interval,
    ratio_interval,
    share_interval,
    share_ratio_interval,
    wilson_interval,
)

RANDOM = np.random.default_rng(0)


def test_examples():
    assert doctest.testmod(statistics).failed == 0


@pytest.mark.parametrize(("right", "count"), [(0, 1), (1, 1), (0, 20), (20, 20), (1, 20), (57, 100), (999, 1000)])
def test_wilson_is_scipys(right, count):
    theirs = stats.binomtest(right, count).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right / count, count) == pytest.approx((theirs.low, theirs.high), abs=3e-5)


@pytest.mark.parametrize("right", [0, 1, 13, 40])
def test_share_of_whole_successes_is_wilsons_whatever_the_scale(right):
    values = [1.0] * right + [0.0] * (40 - right)
    ours = share_interval(values)
    assert ours == pytest.approx(wilson_interval(right / 40, 40))
    assert share_interval([100 * one for one in values], 100) == pytest.approx([100 * end for end in ours])


def test_share_stays_between_its_ends_and_has_a_width_at_them():
    low, high = share_interval([1.0] * 999 + [0.8])  # ± 1.96 standard errors would end above 1
    assert 0.99 < low < 0.9998 < high <= 1
    assert share_interval([0.0] * 50) == pytest.approx((0, 0.0713), abs=1e-4)
    assert share_interval([1.0])[0] == pytest.approx(0.2065, abs=1e-4)


def test_share_of_items_that_hang_together_counts_sequences_rather_than_items():
    together = [10.0, 0.0] * 20  # ten items of a sequence, all right or all wrong
    assert share_ratio_interval(together, [10] * 40) == pytest.approx(wilson_interval(0.5, 40))
    alike = [5.0] * 40
    assert share_ratio_interval(alike, [10] * 40) == pytest.approx(wilson_interval(0.5, 40))


def test_mean_is_plus_minus_the_standard_error():
    values = RANDOM.normal(3, 2, 30)
    half = 1.96 * stats.sem(values)
    assert mean_interval(values.tolist()) == pytest.approx((values.mean() - half, values.mean() + half))
    assert mean_interval([2.0]) == (2.0, 2.0)


def test_ratio_is_that_of_its_parts():
    # Two kinds of sequences: 1 of 4 items, 1 of 1 item; the standard error by hand.
    value = 16 / 40
    error = math.sqrt(8 * ((1 - value * 4) ** 2 + (1 - value) ** 2) * 16 / 15) / 40
    assert ratio_interval([1.0, 1.0] * 8, [4, 1] * 8) == pytest.approx((value - 1.96 * error, value + 1.96 * error))


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
def test_bootstrap_is_scipys_percentile_bootstrap(seeds):
    values = RANDOM.normal(size=seeds)
    found = stats.bootstrap((values,), np.mean, n_resamples=10_000, method="percentile", rng=1)
    low, high = bootstrap_interval(values.tolist())
    tolerance = 0.05 * values.std()
    assert (low, high) == pytest.approx(tuple(found.confidence_interval), abs=tolerance)


def test_band_is_the_interval_at_every_place_and_always_the_same():
    values = RANDOM.normal(size=(4, 450))  # more places than are held at once
    low, high = bootstrap_band(values)
    assert low.shape == high.shape == (450,)
    assert (low[7], high[7]) == pytest.approx(bootstrap_interval(values[:, 7].tolist()))
    assert (low[449], high[449]) == pytest.approx(bootstrap_interval(values[:, 449].tolist()))
    np.testing.assert_array_equal(bootstrap_band(values), (low, high))
    assert bootstrap_interval([1.0]) is None
