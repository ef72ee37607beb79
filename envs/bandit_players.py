"""The classical players of Bernoulli bandits, many trials at once.

A player is a function of the environment (its settings; only the oracle looks at the hidden chances), of what it has
seen in each trial, and of a random generator. It returns the arm to pull in each trial.

Dimensions: B trials, K arms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lukasa.envs.bandits import BanditVector
from lukasa.envs.gittins import gittins_indexes


class Pulls(NamedTuple):
    """What a player has seen of each trial."""

    wins: np.ndarray
    """[B, K], how often each arm paid."""
    losses: np.ndarray
    """[B, K], how often it did not."""
    made: int
    """Pulls made, the same in every trial."""


BanditPlayer = Callable[[BanditVector, Pulls, np.random.Generator], np.ndarray]
"""Environment, what was seen, generator to the arms to pull [B]."""


def random_arm(env: BanditVector, seen: Pulls, generator: np.random.Generator) -> np.ndarray:
    """Any arm: the level of chance."""
    return generator.integers(env.arms, size=env.num_envs)


def best_arm(env: BanditVector, seen: Pulls, generator: np.random.Generator) -> np.ndarray:
    """The arm with the largest hidden chance: an oracle that no learner can equal."""
    return env.chances.argmax(-1)


def gittins(env: BanditVector, seen: Pulls, generator: np.random.Generator) -> np.ndarray:
    """The arm with the largest Gittins index for the pulls that are left; nearly the best a learner can do."""
    return _argmax(gittins_indexes(env.pulls)[env.pulls - seen.made][seen.wins, seen.losses], generator)


def thompson_sampling(env: BanditVector, seen: Pulls, generator: np.random.Generator) -> np.ndarray:
    """Each arm with the probability that it is the best; Thompson 1933, from a uniform prior."""
    return generator.beta(seen.wins + 1, seen.losses + 1).argmax(-1)


def ucb1(
    env: BanditVector, seen: Pulls, generator: np.random.Generator, exploration: float = math.sqrt(2)
) -> np.ndarray:
    """The largest upper confidence bound; Auer et al. 2002, "UCB1": mean + sqrt(2 ln n / n_j), each arm tried once.

    Args:
        env: the trials.
        seen: what was seen of them.
        generator: breaks ties.
        exploration: factor of sqrt(ln n / n_j).
    """
    tried = seen.wins + seen.losses
    often = np.maximum(tried, 1)  # an arm never tried has no mean, and comes first anyway
    bounds = seen.wins / often + exploration * np.sqrt(math.log(max(seen.made, 1)) / often)
    return _argmax(np.where(tried == 0, np.inf, bounds), generator)


def greedy(env: BanditVector, seen: Pulls, generator: np.random.Generator) -> np.ndarray:
    """The largest mean after what was seen, from a uniform prior."""
    return _argmax((seen.wins + 1) / (seen.wins + seen.losses + 2), generator)


def epsilon_greedy(env: BanditVector, seen: Pulls, generator: np.random.Generator, epsilon: float = 0.1) -> np.ndarray:
    """Greedy, but any arm in a share ``epsilon`` of the pulls."""
    explores = generator.random(env.num_envs) < epsilon
    return np.where(explores, random_arm(env, seen, generator), greedy(env, seen, generator))


def play_bandit(env: BanditVector, player: BanditPlayer, seed: int) -> np.ndarray:
    """Play one trial in every copy; the player sees what an agent sees, its last pulls and what they paid.

    Returns:
        [B], the return of each trial.
    """
    generator = np.random.default_rng([seed, 1])  # apart from the copies' own
    env.reset(seed=seed)
    wins, losses = np.zeros((2, env.num_envs, env.arms), dtype=np.int64)
    for made in range(env.pulls):
        observations, *_ = env.step(player(env, Pulls(wins, losses, made), generator))
        pulled, paid = observations[:, :-2] == 1, observations[:, -2:-1] == 1
        wins += pulled & paid
        losses += pulled & ~paid
    return wins.sum(-1).astype(np.float64)


def _argmax(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The column of the largest value in each row, any of them where several are."""
    largest = values == values.max(-1, keepdims=True)
    return (largest * generator.random(values.shape)).argmax(-1)
