"""Actions out of what a head puts out: the likeliest, or drawn by a key of each session.

What is drawn depends on the session's key and on how many steps it has taken, so that the same session draws the same
actions alone or among thousands, and after it was saved and restored.

Legend: n sessions, L numbers that a head puts out, C choices of one action, R real numbers of one action.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lukasa.agents.policy.actions import ActionLayout
from lukasa.agents.policy.masks import MASKED

STEP, NUMBER = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)
"""Odd constants that keep steps and numbers apart (Steele et al. 2014, the gamma of SplitMix64, and another)."""


def likeliest(layout: ActionLayout, logits: Tensor) -> np.ndarray:
    """Flat actions [n, C + R]: of each choice the likeliest option, of each number the mean."""
    choices = logits.split([*layout.options, layout.numbers, layout.numbers], -1)
    best = [one.argmax(-1, keepdim=True).to(logits.dtype) for one in choices[: len(layout.options)]]
    return torch.cat([*best, choices[-2]], -1).numpy()


def drawn(layout: ActionLayout, logits: Tensor, keys: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Flat actions [n, C + R], drawn from the policy.

    Args:
        layout: of the actions.
        logits: [n, L], of all options, then means, then log deviations.
        keys: uint64 [n].
        steps: int64 [n].
    """
    total = sum(layout.options)
    chances = torch.from_numpy(uniform(keys, steps, total + layout.numbers))
    # the largest of logits with Gumbel noise is drawn with the probabilities of a softmax (Maddison et al. 2014)
    noisy = logits[:, :total].double() - (-chances[:, :total].log()).log()
    best = [one.argmax(-1, keepdim=True).double() for one in noisy.split(layout.options, -1)] if total else []
    means, deviations = logits[:, total:].split([layout.numbers] * 2, -1)
    numbers = means + deviations.exp() * torch.special.ndtri(chances[:, total:]).to(means.dtype)
    return torch.cat([*best, numbers], -1).numpy()


def greedy_or_any(values: Tensor, epsilon: float, keys: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Flat actions [n, 1]: that of the largest value [n, A], or with probability epsilon any that is not masked."""
    chances = uniform(keys, steps, 2)
    allowed = (values > MASKED / 2).numpy()
    count = allowed.sum(1)
    rank = np.minimum((chances[:, 1] * count).astype(np.int64), count - 1)
    anything = np.take_along_axis(np.argsort(~allowed, axis=1, kind="stable"), rank[:, None], axis=1)[:, 0]
    return np.where(chances[:, 0] < epsilon, anything, values.argmax(-1).numpy()).astype(np.float32)[:, None]


def uniform(keys: np.ndarray, steps: np.ndarray, count: int) -> np.ndarray:
    """Numbers between 0 and 1, both excluded: float64 [n, count], of keys and steps [n]."""
    with np.errstate(over="ignore"):
        own = mixed(keys + steps.astype(np.uint64) * STEP)
        bits = mixed(own[:, None] + (np.arange(1, count + 1, dtype=np.uint64) * NUMBER)[None])
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def mixed(bits: np.ndarray) -> np.ndarray:
    """Whole numbers of 64 bits, thoroughly stirred: the finaliser of SplitMix64."""
    with np.errstate(over="ignore"):
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
