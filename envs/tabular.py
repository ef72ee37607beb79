"""Small random MDPs: the world must be found out, and remembered, over the episodes of a trial; after Duan et al. 2016.

Dimensions: B copies, S states, A actions, H steps of an episode, T steps of a trial.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from lukasa.envs.row_generators import RowGenerators
from lukasa.envs.streams import SpreadsSeeds
from lukasa.ground.settings import check_whole

START = 0
"""The state in which every episode begins; the states are alike, so it could be any."""

LARGEST_REWARD = 100.0
"""Bound of the observed reward: a normal variable has none, but one of 50 standard deviations never comes."""


class TabularMDP(gym.Env[np.ndarray, int]):
    """Explore a small random world for a few short episodes, then earn from it; Duan et al. 2016, "RL²", section 3.2.

    Description:
        Each trial draws a world of ten states and five actions: for each state and action the probabilities of the
        next state, from a flat Dirichlet distribution, and a mean reward, from a normal distribution with mean 1 and
        standard deviation 1. A trial consists of ``episodes`` episodes of ``horizon`` steps in that one world, each
        from the same first state. One Gymnasium episode is one trial, so an agent's memory lasts over all of them::

            step              0    1   ...   9  |  10   11  ...
            state             0    7         3  |   0    4
            flag shown        0    0         0  |   1    0        (horizon 10)

    Observation:
        ``states + actions + 2`` numbers, float32: the state (one-hot), the action before (one-hot), the reward before,
        and a flag, 1 where an episode of the trial has just ended and the next begins. At the start of a trial there
        is the first state alone. The observation after the last step carries the flag and the first state too.

    Action:
        ``Discrete(actions)``.

    Reward:
        The mean reward of state and action, plus normal noise with standard deviation 1.

    Termination and truncation:
        Terminates after ``episodes · horizon`` steps, the last of a trial. Never truncates.

    Score:
        The return of the trial. Chance episodes · horizon, what random actions earn. ``oracle`` knows the world and
        plans in it by value iteration; who has to find it out first earns less.

    Version history:
        v0: first version.

    Args:
        episodes: episodes in a trial; at least 1.
        horizon: H, steps in an episode; at least 1.
        states: S; at least 2.
        actions: A; at least 2.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, episodes: int = 10, horizon: int = 10, states: int = 10, actions: int = 5):
        _check_settings(episodes, horizon, states, actions)
        self.episodes, self.horizon, self.states, self.actions = episodes, horizon, states, actions
        self.length = episodes * horizon
        self.observation_space = _observation_space(states, actions)
        self.action_space = Discrete(actions)
        self._world: World | None = None
        self._policy: np.ndarray | None = None  # [H, S], planned when asked for
        self._state, self._time = START, self.length  # a trial that is over: reset comes first

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw the world of a new trial."""
        super().reset(seed=seed)
        self._world = _draw_world(self.np_random, self.length, self.states, self.actions)
        self._policy, self._state, self._time = None, START, 0
        observation = np.zeros(self.states + self.actions + 2, dtype=np.float32)
        observation[START] = 1
        return observation, {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Act once; at the end of an episode the state is the first of the next one."""
        if self._world is None or self._time == self.length:
            raise gym.error.ResetNeeded("TabularMDP: the trial is over, call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"TabularMDP: action {action!r} is not a whole number from 0 to {self.actions - 1}")
        world, here = self._world, (self._state, action)
        reward = float(world.rewards[here] + world.noise[self._time])
        self._state = int(_next_states(world.transitions[here], world.luck[self._time]))
        self._time += 1
        episode_over = self._time % self.horizon == 0
        if episode_over:
            self._state = START
        observation = np.zeros(self.states + self.actions + 2, dtype=np.float32)
        observation[[self._state, self.states + action]] = 1
        observation[-2:] = reward, episode_over
        return observation, reward, self._time == self.length, False, {}

    def oracle(self) -> int:
        """The action with the largest expected return of this episode, from the hidden world."""
        if self._world is None:
            raise gym.error.ResetNeeded("TabularMDP: there is no world yet, call reset() before oracle()")
        policy = self._policy
        if policy is None:
            policy = self._policy = plan(self._world.transitions[None], self._world.rewards[None], self.horizon)[0]
        return int(policy[self._time % self.horizon, self._state])


class TabularMDPVector(SpreadsSeeds, gym.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Many copies of ``TabularMDP`` in one NumPy program, with next-step autoreset.

    Equal to ``SyncVectorEnv`` over single environments with the same list of seeds.

    Attributes:
        world: the hidden world of every copy: transitions [B, S, A, S], mean rewards [B, S, A], luck and noise [B, T].

    Args:
        num_envs: number of copies.
        episodes: episodes in a trial; at least 1.
        horizon: H, steps in an episode; at least 1.
        states: S; at least 2.
        actions: A; at least 2.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, num_envs: int = 1, episodes: int = 10, horizon: int = 10, states: int = 10, actions: int = 5):
        check_whole("TabularMDP", "num_envs", num_envs, 1)
        _check_settings(episodes, horizon, states, actions)
        self.metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}
        self.num_envs, self.episodes, self.horizon = num_envs, episodes, horizon
        self.states, self.actions, self.length = states, actions, episodes * horizon
        self.single_observation_space = _observation_space(states, actions)
        self.single_action_space = Discrete(actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        shapes = (states, actions, states), (states, actions), (self.length,), (self.length,)
        self.world = World(*(np.zeros((num_envs, *shape)) for shape in shapes))
        self._rows = np.arange(num_envs)
        self._generators = RowGenerators(num_envs)
        self._state = np.full(num_envs, START)  # [B]
        self._time = np.full(num_envs, self.length)  # [B]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start every copy over; seed s gives the copies ``envs.copy_seeds(s, num_envs)``."""
        self._generators.seed(seed)
        self._start(self._rows)
        observations = np.zeros((self.num_envs, self.states + self.actions + 2), dtype=np.float32)
        observations[:, START] = 1
        return observations, {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Act once in every copy; copies whose trial ended in the step before start over instead."""
        if not self.action_space.contains(actions):
            raise ValueError(
                f"TabularMDP: expected {self.num_envs} actions, whole numbers from 0 to {self.actions - 1}"
            )
        starting = self._time == self.length
        here, now = (self._rows, self._state, actions), (self._rows, self._time - starting)
        rewards = np.where(starting, 0.0, self.world.rewards[here] + self.world.noise[now])
        self._state = _next_states(self.world.transitions[here], self.world.luck[now])
        self._time += 1
        self._start(np.flatnonzero(starting))
        episode_over = (self._time % self.horizon == 0) & ~starting
        self._state[episode_over] = START
        observations = np.zeros((self.num_envs, self.states + self.actions + 2), dtype=np.float32)
        observations[self._rows, self.states + actions] = ~starting
        observations[self._rows, self._state] = 1
        observations[:, -2], observations[:, -1] = rewards, episode_over
        return observations, rewards, self._time == self.length, np.zeros(self.num_envs, dtype=bool), {}

    def _start(self, rows: np.ndarray) -> None:
        for row in rows.tolist():
            drawn = _draw_world(self._generators[row], self.length, self.states, self.actions)
            for kept, one in zip(self.world, drawn, strict=True):
                kept[row] = one
        self._state[rows], self._time[rows] = START, 0


class World(NamedTuple):
    """What is hidden in a trial; copies have a leading [B]."""

    transitions: np.ndarray
    """[S, A, S], probability of each next state."""
    rewards: np.ndarray
    """[S, A], mean rewards."""
    luck: np.ndarray
    """[T], uniform numbers that choose the next state."""
    noise: np.ndarray
    """[T], what is added to the mean rewards."""


def plan(transitions: np.ndarray, rewards: np.ndarray, horizon: int) -> np.ndarray:
    """The policy with the largest expected return of an episode: value iteration backward from its last step.

    Args:
        transitions: [B, S, A, S], probability of each next state.
        rewards: [B, S, A], mean rewards.
        horizon: H, steps in an episode.

    Returns:
        [B, H, S], the action at each step of an episode in each state.
    """
    values = np.zeros(rewards.shape[:2])  # [B, S]
    policy = np.zeros((len(rewards), horizon, rewards.shape[1]), dtype=np.int64)
    for step in reversed(range(horizon)):
        action_values = rewards + (transitions @ values[:, None, :, None])[..., 0]  # [B, S, A]
        policy[:, step] = action_values.argmax(-1)
        values = action_values.max(-1)
    return policy


def _draw_world(generator: np.random.Generator, length: int, states: int, actions: int) -> World:
    return World(
        transitions=generator.dirichlet(np.ones(states), size=(states, actions)),
        rewards=generator.normal(1.0, 1.0, size=(states, actions)),
        luck=generator.random(length),
        noise=generator.normal(size=length),
    )


def _next_states(probabilities: np.ndarray, luck: Any) -> Any:
    """The state whose share of [0, 1] holds the luck: probabilities [..., S] and luck [...] to [...]."""
    # Without the last bound, which rounding may leave below 1 and below the luck.
    bounds = probabilities.cumsum(-1)[..., :-1]
    return (bounds <= np.asarray(luck)[..., None]).sum(-1)


def _observation_space(states: int, actions: int) -> Box:
    low, high = np.zeros(states + actions + 2, np.float32), np.ones(states + actions + 2, np.float32)
    low[-2], high[-2] = -LARGEST_REWARD, LARGEST_REWARD
    return Box(low, high, dtype=np.float32)


def _check_settings(episodes: int, horizon: int, states: int, actions: int) -> None:
    check_whole("TabularMDP", "episodes", episodes, 1)
    check_whole("TabularMDP", "horizon", horizon, 1)
    check_whole("TabularMDP", "states", states, 2)
    check_whole("TabularMDP", "actions", actions, 2)
