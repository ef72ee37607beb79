"""Environments that fail as they are told, in whatever process they are."""

from __future__ import annotations

import os
from typing import Any

import gymnasium as gym
import numpy as np
import ray
from gymnasium.spaces import Box, Discrete

from tests.agents.rllib.many_agents.coming_and_going import ComingAndGoing


class Failing(gym.Env[np.ndarray, int]):
    """Three random numbers; episodes of ``length`` steps, each of which pays 1.

    Args:
        how: what fails: constructor, remote (the constructor, in another process), reset, step, once (one step in all),
            close, nan_reward, nan_observation, memory.
        after: steps of this copy before it does.
        length: of an episode; 0 for one without an end.
        mark: a file that is written when ``once`` has failed.
    """

    def __init__(self, how: str = "", after: int = 50, length: int = 20, mark: str = ""):
        self.how, self.after, self.length, self.mark = how, after, length, mark
        self.observation_space, self.action_space = Box(-1, 1, (3,), np.float32), Discrete(2)
        self._steps = self._time = 0
        elsewhere = ray.is_initialized() and ray.get_runtime_context().get_actor_id() is not None
        if how == "constructor" or (how == "remote" and elsewhere):
            raise ValueError("no licence for the simulator")

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        if self.how == "reset":
            raise ValueError("the simulator did not start")
        self._time = 0
        return self._observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._steps += 1
        self._time += 1
        fails = self._steps >= self.after
        if self.how == "step" and fails:
            raise RuntimeError("joint limit exceeded")
        if self.how == "memory" and fails:
            raise MemoryError("cannot allocate 9 GiB")
        if self.how == "once" and fails and not os.path.exists(self.mark):
            open(self.mark, "w").close()
            raise RuntimeError("joint limit exceeded once")
        reward = float("nan") if self.how == "nan_reward" and fails else 1.0
        return self._observe(), reward, False, self._time == self.length, {}

    def close(self) -> None:
        if self.how == "close":
            raise RuntimeError("cannot close the port")

    def _observe(self) -> np.ndarray:
        seen = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        if self.how == "nan_observation" and self._steps >= self.after:
            seen[1] = np.nan
        return seen


gym.register("Failing-v0", Failing)


class Stranger(ComingAndGoing):
    """Shows something to an agent that it did not name."""

    def step(self, action_dict):
        seen, *rest = super().step(action_dict)
        return {**seen, "stranger": next(iter(seen.values()))}, *rest
