"""Flip bits until they are those of a goal: nothing is earned on the way, so that hindsight is what teaches.

Dimensions: B copies, N bits.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Dict, Discrete, MultiBinary

from lukasa.envs.row_programs import RowProgram
from lukasa.ground.settings import check_whole

Observation = dict[str, np.ndarray]


class BitFlipping(gym.Env[Observation, int]):
    """Bring N bits into the order of a goal, one flip a step (Andrychowicz et al. 2017, section 3.1).

    Description:
        Bits and goal are drawn uniformly, and never alike. Each step flips one bit. With N = 4::

            bits  0110   goal  0011
            step  flip 1 -> 0010, flip 3 -> 0011: reached

    Observation:
        ``Dict`` by Gymnasium's convention for goals: ``observation`` and ``achieved_goal``, the bits, and
        ``desired_goal``, those they shall be; ``MultiBinary(bits)`` each.

    Action:
        ``Discrete(bits)``, the bit to flip.

    Reward:
        0 for the step that reaches the goal and -1 for every other; ``compute_reward`` says it for any goal.

    Termination and truncation:
        Terminates when the goal is reached. Truncated after ``bits`` steps.

    Score:
        The success rate, ``info["success"]`` of the last step. Best 1. Chance that of flips at random: 0.009 with 10
        bits, and next to nothing with 20.

    Version history:
        v0: first version.

    Args:
        bits: N, at least 1.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, bits: int = 10):
        check_whole("BitFlipping", "bits", bits, 1)
        self.bits = bits
        self.observation_space: Any = _observation_space(bits)
        self.action_space: Any = Discrete(bits)
        self._now = self._goal = np.zeros(bits, np.int8)
        self._time = bits
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Draw bits and a goal."""
        super().reset(seed=seed)
        self._now, self._goal = _draw(self.np_random, self.bits)
        self._time, self._over = 0, False
        return self._observe(), {}

    def step(self, action: int) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Flip one bit."""
        if self._over:
            raise gym.error.ResetNeeded("BitFlipping: the episode is over, call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"BitFlipping: action {action!r} is not a whole number from 0 to {self.bits - 1}")
        self._now = self._now.copy()
        self._now[action] ^= 1
        self._time += 1
        success = bool((self._now == self._goal).all())
        truncated = not success and self._time == self.bits
        self._over = success or truncated
        return self._observe(), float(success) - 1, success, truncated, {"success": success} if self._over else {}

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> Any:
        """What a step earns that leaves the bits like this: of goals [..., N], numbers [...]."""
        return self.compute_terminated(achieved_goal, desired_goal, info).astype(np.float64) - 1

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> Any:
        """Whether bits like this reach a goal: of goals [..., N], booleans [...]."""
        return (np.asarray(achieved_goal) == desired_goal).all(-1)

    def oracle(self) -> int:
        """The first bit that is not as it shall be."""
        return int(np.argmax(self._now != self._goal))

    def _observe(self) -> Observation:
        return {"observation": self._now, "achieved_goal": self._now, "desired_goal": self._goal}


class BitFlippingVector(RowProgram):
    """Many copies of ``BitFlipping`` in one NumPy program, with next-step autoreset.

    Equal to ``SyncVectorEnv`` over single environments with the same list of seeds, infos included.

    Args:
        num_envs: number of copies.
        bits: N, at least 1.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, num_envs: int = 1, bits: int = 10):
        check_whole("BitFlipping", "bits", bits, 1)
        super().__init__("BitFlipping", num_envs, _observation_space(bits), Discrete(bits))
        self.bits = bits
        self._now = np.zeros((num_envs, bits), np.int8)  # [B, N]
        self._goal = np.zeros((num_envs, bits), np.int8)  # [B, N]
        self._time = np.zeros(num_envs, np.int64)  # [B]

    def step(self, actions: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Flip a bit of every copy; copies whose episode ended in the step before start over instead."""
        if not self.action_space.contains(actions):
            raise ValueError(f"BitFlipping: expected {self.num_envs} actions, whole numbers from 0 to {self.bits - 1}")
        starting = self._over
        running = np.flatnonzero(~starting)
        self._now[running, actions[running]] ^= 1
        self._time += 1
        self._start(starting)
        success = (self._now == self._goal).all(1) & ~starting
        truncated = (self._time == self.bits) & ~success
        self._over = success | truncated
        rewards = np.where(starting | success, 0.0, -1.0)
        infos = {"success": success, "_success": self._over.copy()} if self._over.any() else {}
        return self._observe(), rewards, success, truncated, infos

    def _start(self, starting: np.ndarray) -> None:
        for row in np.flatnonzero(starting).tolist():
            self._now[row], self._goal[row] = _draw(self._generators[row], self.bits)
        self._time[starting] = 0

    def _observe(self) -> Observation:
        now = self._now.copy()
        return {"achieved_goal": now, "desired_goal": self._goal.copy(), "observation": now.copy()}


def _observation_space(bits: int) -> Dict:
    names = ("observation", "achieved_goal", "desired_goal")
    return Dict({name: MultiBinary(bits) for name in names})


def _draw(random: np.random.Generator, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Bits and a goal that differ."""
    now = random.integers(2, size=bits, dtype=np.int8)
    goal = random.integers(2, size=bits, dtype=np.int8)
    while (goal == now).all():
        goal = random.integers(2, size=bits, dtype=np.int8)
    return now, goal
