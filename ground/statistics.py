"""95 % confidence intervals: of means, of shares such as success rates, and of a mean over seeds.

Dimensions: n values, T places along a curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Z = 1.96
"""Standard errors to either side that hold 95 % of a normal distribution."""
LEVELS = (2.5, 97.5)
RESAMPLES = 10_000
_AT_ONCE = 2_000_000
"""Resampled means held at a time."""

Interval = tuple[float, float]


def mean_interval(values: Sequence[float] | np.ndarray) -> Interval:
    """The interval of a mean, ± 1.96 standard errors; without width for one value.

    Args:
        values: at least one, without bounds, such as returns of episodes.

    Example:
        >>> low, high = mean_interval([1.0, 3.0] * 50)
        >>> round(low, 2), round(high, 2)
        (1.8, 2.2)
    """
    return ratio_interval(values, [1] * len(values))


def share_interval(values: Sequence[float], whole: float = 1.0) -> Interval:
    """The interval of a mean of shares, such as successes of episodes (0 or 1): Wilson's.

    Unlike ± 1.96 standard errors it stays between 0 and the whole, and has a width where all values are 0 or all are 1.

    Args:
        values: at least one, each between 0 and ``whole``.
        whole: 100 for percentages.

    Example:
        >>> low, high = share_interval([1.0] * 10)
        >>> round(low, 2), high
        (0.72, 1.0)
    """
    return share_ratio_interval(values, [1] * len(values), whole)


def wilson_interval(share: float, count: float) -> Interval:
    """Wilson's score interval of a binomial share (Wilson 1927).

    Args:
        share: of successes, between 0 and 1.
        count: trials, above 0; need not be whole.

    Example:
        >>> low, high = wilson_interval(0.5, 100)
        >>> round(low, 3), round(high, 3)
        (0.404, 0.596)
    """
    shrunk = 1 + Z**2 / count
    middle = (share + Z**2 / (2 * count)) / shrunk
    half = Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / shrunk
    # At the ends the formula meets 0 and 1 but for rounding.
    return (max(0.0, middle - half) if share > 0 else 0.0), (min(1.0, middle + half) if share < 1 else 1.0)


def ratio_interval(totals: Sequence[float] | np.ndarray, counts: Sequence[float]) -> Interval:
    """The interval of a ratio of two sums, such as bits by sequences or mistakes by items.

    The standard error is that of a ratio estimator (Cochran 1977, section 2.11); with counts of 1 it is that of a mean.

    Args:
        totals: of each independent part, such as a sequence.
        counts: of each part; not all 0.
    """
    number, value = len(totals), float(np.sum(totals)) / float(np.sum(counts))
    if number < 2:
        return value, value
    half = Z * _ratio_error(totals, counts, value) * math.sqrt(number / (number - 1))
    return value - half, value + half


def share_ratio_interval(totals: Sequence[float], counts: Sequence[float], whole: float = 1.0) -> Interval:
    """The interval of a ratio between 0 and ``whole``, such as percent of items that are right: Wilson's.

    Items of one part need not be independent, so trials are counted as the number that would explain the spread between
    parts (Korn and Graubard 1998), and as the number of parts where there is no spread. With items of 0 and 1, one in
    each part, that is the number of items.

    Args:
        totals: of each independent part, such as a sequence; between 0 and ``whole`` times its count.
        counts: items of each part; not all 0.
        whole: 100 for percentages.
    """
    value = float(np.sum(totals)) / float(np.sum(counts))
    error, share = _ratio_error(totals, counts, value) / whole, min(1.0, max(0.0, value / whole))
    spread = share * (1 - share)
    trials = spread / error**2 if error > 1e-12 and spread > 0 else len(totals)
    low, high = wilson_interval(share, trials)
    return whole * low, whole * high


def bootstrap_interval(values: Sequence[float]) -> Interval | None:
    """The interval of a mean over seeds: the percentile bootstrap; None for fewer than two seeds.

    Args:
        values: one of each seed.

    Example:
        >>> bootstrap_interval([0.0, 1.0])
        (0.0, 1.0)
    """
    if len(values) < 2:
        return None
    low, high = bootstrap_band(np.asarray(values, dtype=np.float64)[:, None])
    return float(low[0]), float(high[0])


def bootstrap_band(values: np.ndarray, resamples: int = RESAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """The percentile bootstrap of the mean over seeds along a curve (Efron and Tibshirani 1993, chapter 13).

    The same values give the same band: the resamples are always the same ones.

    Args:
        values: [n, T].
        resamples: how often n seeds are drawn from the n there are.

    Returns:
        Lower and upper ends, [T] each.
    """
    seeds, places = values.shape
    drawn = np.random.default_rng(0).integers(0, seeds, (resamples, seeds))
    shares = np.stack([(drawn == seed).sum(1) for seed in range(seeds)], 1) / seeds  # [resamples, n]
    step = max(1, _AT_ONCE // resamples)
    ends = [np.percentile(shares @ values[:, start : start + step], LEVELS, axis=0) for start in range(0, places, step)]
    low, high = np.concatenate(ends, 1)
    return low, high


def _ratio_error(totals: Sequence[float] | np.ndarray, counts: Sequence[float], value: float) -> float:
    """The standard error of a ratio, without the correction for few parts."""
    residuals = np.asarray(totals, dtype=np.float64) - value * np.asarray(counts, dtype=np.float64)
    return math.sqrt(float(np.sum(residuals**2))) / float(np.sum(counts))
