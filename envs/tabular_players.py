"""The classical players of tabular MDPs, many trials at once.

A player chooses its policy at the start of an episode: a function of the environment (its settings; only the oracle
looks at the hidden world), of what it has seen in each trial, and of a random generator. It returns the action for
each step of the episode and each state. What it believes starts from the distribution the worlds are drawn from.

Dimensions: B trials, S states, A actions, H steps of an episode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lukasa.envs.tabular import START, TabularMDPVector, plan


class Steps(NamedTuple):
    """What a player has seen of each trial."""

    moves: np.ndarray
    """[B, S, A, S], how often each state followed a state and an action."""
    tries: np.ndarray
    """[B, S, A], how often each action was taken in each state."""
    earned: np.ndarray
    """[B, S, A], the sum of the rewards it brought."""


TabularPlayer = Callable[[TabularMDPVector, Steps, np.random.Generator], np.ndarray]
"""Environment, what was seen, generator to the policies of the next episode [B, H, S]."""


def random_action(env: TabularMDPVector, seen: Steps, generator: np.random.Generator) -> np.ndarray:
    """Any action: the level of chance."""
    return generator.integers(env.actions, size=(env.num_envs, env.horizon, env.states))


def value_iteration(env: TabularMDPVector, seen: Steps, generator: np.random.Generator) -> np.ndarray:
    """The best policy in the hidden world: an oracle that no learner can equal."""
    return plan(env.world.transitions, env.world.rewards, env.horizon)


def psrl(env: TabularMDPVector, seen: Steps, generator: np.random.Generator) -> np.ndarray:
    """The best policy in a world drawn from the posterior; Osband et al. 2013, "PSRL"."""
    shares = generator.standard_gamma(seen.moves + 1.0)  # normalised they are Dirichlet
    transitions = shares / shares.sum(-1, keepdims=True)
    rewards = generator.normal(_mean_rewards(seen), 1 / np.sqrt(1 + seen.tries))
    return plan(transitions, rewards, env.horizon)


def greedy(env: TabularMDPVector, seen: Steps, generator: np.random.Generator) -> np.ndarray:
    """The best policy in the mean of the posterior."""
    shares = seen.moves + 1.0
    return plan(shares / shares.sum(-1, keepdims=True), _mean_rewards(seen), env.horizon)


def epsilon_greedy(
    env: TabularMDPVector, seen: Steps, generator: np.random.Generator, epsilon: float = 0.1
) -> np.ndarray:
    """Greedy, but any action in a share ``epsilon`` of the steps."""
    explores = generator.random((env.num_envs, env.horizon, env.states)) < epsilon
    return np.where(explores, random_action(env, seen, generator), greedy(env, seen, generator))


def play_tabular(env: TabularMDPVector, player: TabularPlayer, seed: int) -> np.ndarray:
    """Play one trial in every copy; the player sees states, its actions and their rewards, as an agent does.

    Returns:
        [B], the return of each trial.
    """
    generator = np.random.default_rng([seed, 1])  # apart from the copies' own
    env.reset(seed=seed)
    rows, shape = np.arange(env.num_envs), (env.num_envs, env.states, env.actions)
    seen = Steps(np.zeros((*shape, env.states)), np.zeros(shape), np.zeros(shape))
    returns = np.zeros(env.num_envs)
    for _ in range(env.episodes):
        policy, state = player(env, seen, generator), np.full(env.num_envs, START)
        for step in range(env.horizon):
            actions = policy[rows, step, state]
            observations, rewards, *_ = env.step(actions)
            seen.tries[rows, state, actions] += 1
            seen.earned[rows, state, actions] += rewards
            following = observations[:, : env.states].argmax(-1)
            if step < env.horizon - 1:  # where the last step of an episode led does not show
                seen.moves[rows, state, actions, following] += 1
            state, returns = following, returns + rewards
    return returns


def _mean_rewards(seen: Steps) -> np.ndarray:
    """Posterior means [B, S, A] for a normal prior with mean 1 and variance 1, and noise of variance 1."""
    return (1 + seen.earned) / (1 + seen.tries)
