"""Bernoulli bandits: which arm is good must be found out, and remembered, anew in every trial; after Duan et al. 2016.

Dimensions: B copies, K arms, N pulls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from lukasa.envs.row_generators import RowGenerators
from lukasa.envs.streams import SpreadsSeeds
from lukasa.ground.settings import check_whole


class Bandit(gym.Env[np.ndarray, int]):
    """Pull one of several arms, N times, and keep to the good ones; Duan et al. 2016, "RL²", section 3.1.

    Description:
        Each trial draws for every arm a probability of paying, uniform on [0, 1], which never shows. An arm that is
        pulled pays 1 with its probability and 0 otherwise. One Gymnasium episode is one trial, so an agent's memory
        lasts from its first pull to its last::

            pull         0    1    2    3
            arm          2    0    2    2
            pays         1    0    1    0
            shown next   2:1  0:0  2:1  2:0

    Observation:
        ``arms + 2`` numbers, float32, each 0 or 1: the arm pulled before (one-hot), what it paid, and whether an
        episode of the trial has just ended. In the paper's terms each pull is an episode of its own, so the last
        number is 1 after every pull. In the first observation all are 0.

    Action:
        ``Discrete(arms)``, the arm to pull.

    Reward:
        What the arm pays, 0 or 1.

    Termination and truncation:
        Terminates after ``pulls`` pulls. Never truncates.

    Score:
        The return of the trial. Chance pulls / 2. ``oracle`` knows the best arm and earns pulls · arms / (arms + 1)
        on average, which nobody reaches who has to find it; the listed best is what the Gittins index earns.

    Version history:
        v0: first version.

    Args:
        pulls: N, pulls in a trial; at least 1.
        arms: K; at least 2.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, pulls: int = 100, arms: int = 10):
        _check_settings(pulls, arms)
        self.pulls, self.arms = pulls, arms
        self.observation_space = _observation_space(arms)
        self.action_space = Discrete(arms)
        self.chances = np.zeros(arms)
        self._luck = np.zeros(pulls)
        self._time = pulls  # a trial that is over: reset comes first

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw the arms of a new trial."""
        super().reset(seed=seed)
        self.chances, self._luck = _draw_trial(self.np_random, self.pulls, self.arms)
        self._time = 0
        return np.zeros(self.arms + 2, dtype=np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Pull one arm."""
        if self._time == self.pulls:
            raise gym.error.ResetNeeded("Bandit: the trial is over, call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"Bandit: action {action!r} is not a whole number from 0 to {self.arms - 1}")
        reward = float(self._luck[self._time] < self.chances[action])
        self._time += 1
        observation = np.zeros(self.arms + 2, dtype=np.float32)
        observation[[action, -1]] = 1
        observation[-2] = reward
        return observation, reward, self._time == self.pulls, False, {}

    def oracle(self) -> int:
        """The best arm, from the hidden probabilities."""
        return int(self.chances.argmax())


class BanditVector(SpreadsSeeds, gym.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Many copies of ``Bandit`` in one NumPy program, with next-step autoreset.

    Equal to ``SyncVectorEnv`` over single environments with the same list of seeds.

    Attributes:
        chances: [B, K], the hidden probability of each arm to pay.

    Args:
        num_envs: number of copies.
        pulls: N, pulls in a trial; at least 1.
        arms: K; at least 2.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, num_envs: int = 1, pulls: int = 100, arms: int = 10):
        check_whole("Bandit", "num_envs", num_envs, 1)
        _check_settings(pulls, arms)
        self.metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}
        self.num_envs, self.pulls, self.arms = num_envs, pulls, arms
        self.single_observation_space = _observation_space(arms)
        self.single_action_space = Discrete(arms)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.chances = np.zeros((num_envs, arms))
        self._rows = np.arange(num_envs)
        self._generators = RowGenerators(num_envs)
        self._luck = np.zeros((num_envs, pulls))  # [B, N]
        self._time = np.full(num_envs, pulls)  # [B]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start every copy over; seed s gives the copies ``envs.copy_seeds(s, num_envs)``."""
        self._generators.seed(seed)
        self._start(self._rows)
        return np.zeros((self.num_envs, self.arms + 2), dtype=np.float32), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Pull one arm in every copy; copies whose trial ended in the step before start over instead."""
        if not self.action_space.contains(actions):
            raise ValueError(f"Bandit: expected {self.num_envs} actions, whole numbers from 0 to {self.arms - 1}")
        starting = self._time == self.pulls
        luck = self._luck[self._rows, self._time - starting]
        rewards = ((luck < self.chances[self._rows, actions]) & ~starting).astype(np.float64)
        observations = np.zeros((self.num_envs, self.arms + 2), dtype=np.float32)
        observations[self._rows, actions] = 1
        observations[:, -2], observations[:, -1] = rewards, 1
        observations[starting] = 0
        self._time += 1
        self._start(np.flatnonzero(starting))
        return observations, rewards, self._time == self.pulls, np.zeros(self.num_envs, dtype=bool), {}

    def _start(self, rows: np.ndarray) -> None:
        for row in rows.tolist():
            self.chances[row], self._luck[row] = _draw_trial(self._generators[row], self.pulls, self.arms)
        self._time[rows] = 0


def _draw_trial(generator: np.random.Generator, pulls: int, arms: int) -> tuple[np.ndarray, np.ndarray]:
    """The probability of each arm [K], and one uniform number for each pull [N]: it pays where that is smaller."""
    return generator.random(arms), generator.random(pulls)


def _observation_space(arms: int) -> Box:
    return Box(0.0, 1.0, (arms + 2,), np.float32)


def _check_settings(pulls: int, arms: int) -> None:
    check_whole("Bandit", "pulls", pulls, 1)
    check_whole("Bandit", "arms", arms, 2)
