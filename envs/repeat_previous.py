"""Answer with the symbol shown k steps ago: a memory that keeps things in order, and forgets in time.

Dimensions: B copies, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from lukasa.envs.row_generators import RowGenerators
from lukasa.envs.streams import SpreadsSeeds
from lukasa.ground.settings import check_whole


class RepeatPrevious(gym.Env[int, int]):
    """Name the symbol that was shown k steps ago.

    Description:
        Each step shows one symbol, drawn uniformly and independently. The right answer is the symbol shown k steps
        ago. With k = 1 it is the previous one: at the step that shows x_t the answer is x_{t-1}::

            step      0    1    2    3
            shown     2    0    3    1
            answer    -    2    0    3      (k = 1; step 0 is not scored)

    Observation:
        ``Discrete(symbols)``, the symbol shown. The observation after the last answer is one more symbol, which
        nobody has to remember.

    Action:
        ``Discrete(symbols)``, the answer.

    Reward:
        1 / (length - k) for a right answer and minus that for a wrong one; 0 in the first k steps, when no symbol
        was shown k steps ago. A perfect policy earns 1, one that is always wrong -1.

    Termination and truncation:
        Terminates after ``length`` answers. Never truncates.

    Score:
        The return. Best 1. Chance 2 / symbols - 1, which is -0.5 with four symbols; nothing without memory does
        better, for the symbols are independent.

    Version history:
        v0: first version.

    Args:
        k: how many steps ago; at least 1.
        symbols: number of different symbols; at least 2.
        length: steps in an episode; more than k.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, k: int = 4, symbols: int = 4, length: int = 52):
        _check_settings(k, symbols, length)
        self.k, self.symbols, self.length = k, symbols, length
        self.observation_space = Discrete(symbols)
        self.action_space = Discrete(symbols)
        self._shown = np.zeros(length + 1, dtype=np.int64)
        self._time = length  # an episode that is over: reset comes first

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Draw the symbols of a new episode and show the first."""
        super().reset(seed=seed)
        self._shown = self.np_random.integers(self.symbols, size=self.length + 1)
        self._time = 0
        return int(self._shown[0]), {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Score the answer to the symbol on show and show the next."""
        if self._time == self.length:
            raise gym.error.ResetNeeded("RepeatPrevious: the episode is over, call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"RepeatPrevious: action {action!r} is not a whole number from 0 to {self.symbols - 1}")
        reward = 0.0
        answer = self.symbol_shown(self.k)
        if answer is not None:
            reward = (1 if action == answer else -1) / (self.length - self.k)
        self._time += 1
        return int(self._shown[self._time]), reward, self._time == self.length, False, {}

    def symbol_shown(self, steps_ago: int) -> int | None:
        """The symbol shown that many steps ago, 0 being the one on show; None before the first."""
        return int(self._shown[self._time - steps_ago]) if steps_ago <= self._time else None

    def oracle(self) -> int:
        """The right answer, from the hidden history; 0 where none is scored."""
        return self.symbol_shown(self.k) or 0


class RepeatPreviousVector(SpreadsSeeds, gym.vector.VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """Many copies of ``RepeatPrevious`` in one NumPy program, with next-step autoreset.

    Equal to ``SyncVectorEnv`` over single environments with the same list of seeds.

    Args:
        num_envs: number of copies.
        k: how many steps ago; at least 1.
        symbols: number of different symbols; at least 2.
        length: steps in an episode; more than k.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, num_envs: int = 1, k: int = 4, symbols: int = 4, length: int = 52):
        check_whole("RepeatPrevious", "num_envs", num_envs, 1)
        _check_settings(k, symbols, length)
        self.metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}
        self.num_envs, self.k, self.symbols, self.length = num_envs, k, symbols, length
        self.single_observation_space = Discrete(symbols)
        self.single_action_space = Discrete(symbols)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._rows = np.arange(num_envs)
        self._generators = RowGenerators(num_envs)
        self._shown = np.zeros((num_envs, length + 1), dtype=np.int64)  # [B, T + 1]
        self._time = np.full(num_envs, length)  # [B]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start every copy over; seed s gives the copies ``envs.copy_seeds(s, num_envs)``."""
        self._generators.seed(seed)
        self._start(self._rows)
        return self._shown[:, 0].copy(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Score the answers; copies whose episode ended in the step before start over instead."""
        if not self.action_space.contains(actions):
            raise ValueError(
                f"RepeatPrevious: expected {self.num_envs} actions, whole numbers from 0 to {self.symbols - 1}"
            )
        starting = self._time == self.length
        scored = (self._time >= self.k) & ~starting
        # Before step k the index is negative and picks some other symbol, which `scored` leaves out.
        right = actions == self._shown[self._rows, self._time - self.k]
        rewards = np.where(scored, np.where(right, 1, -1) / (self.length - self.k), 0.0)
        self._time += 1
        self._start(np.flatnonzero(starting))
        observations = self._shown[self._rows, self._time]
        return observations, rewards, self._time == self.length, np.zeros(self.num_envs, dtype=bool), {}

    def _start(self, rows: np.ndarray) -> None:
        for row in rows.tolist():
            self._shown[row] = self._generators[row].integers(self.symbols, size=self.length + 1)
        self._time[rows] = 0


def _check_settings(k: int, symbols: int, length: int) -> None:
    check_whole("RepeatPrevious", "k", k, 1)
    check_whole("RepeatPrevious", "symbols", symbols, 2)
    check_whole("RepeatPrevious", "length", length, 1)
    if length <= k:
        raise ValueError(
            f"RepeatPrevious: length is {length} and k is {k}, so no step would be scored; choose a length of at "
            f"least {k + 1}"
        )
