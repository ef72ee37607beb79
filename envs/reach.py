"""Move a point onto a goal: the small cousin of a robot's arm, with nothing to earn on the way.

Dimensions: B copies.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

from lukasa.envs.row_programs import RowProgram
from lukasa.ground.settings import check_whole

MOVES = np.array([[0, 0.1], [0.1, 0], [0, -0.1], [-0.1, 0]])
"""By action: up, right, down, left."""
NEAR = 0.1
"""Distance at which a goal is reached."""

Observation = dict[str, np.ndarray]


class Reach(gym.Env[Observation, Any]):
    """Move a point in a square onto a goal.

    Description:
        Point and goal are drawn uniformly from the square [-1, 1]², farther apart than 0.1. Each step moves the point
        by up to 0.1 along an axis, and never out of the square.

    Observation:
        ``Dict`` by Gymnasium's convention for goals: ``observation`` and ``achieved_goal``, where the point is, and
        ``desired_goal``, where it shall be; ``Box(-1, 1, (2,))`` each.

    Action:
        ``Discrete(4)``: up, right, down, left; with ``continuous`` ``Box(-1, 1, (2,))``, tenths of which the point
        moves by.

    Reward:
        0 for the step that reaches the goal, within 0.1 of it, and -1 for every other; ``compute_reward`` says it for
        any goal.

    Termination and truncation:
        Terminates when the goal is reached. Truncated after ``step_limit`` steps.

    Score:
        The success rate, ``info["success"]`` of the last step. Best 1. Chance 0.083, of moves at
        random; 0.064 with ``continuous``.

    Version history:
        v0: first version.

    Args:
        continuous: whether actions are two real numbers.
        step_limit: steps after which an episode is truncated; at least 40, which lead from corner to corner.

    Raises:
        ValueError: a setting is out of range.
    """

    action_names = ("up", "right", "down", "left")

    def __init__(self, continuous: bool = False, step_limit: int = 50):
        check_whole("Reach", "step_limit", step_limit, 40)
        self.continuous, self.step_limit = bool(continuous), step_limit
        self.observation_space: Any = _observation_space()
        self.action_space: Any = _action_space(self.continuous)
        self._place = self._goal = np.zeros(2)
        self._time = 0
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Draw where the point is and where it shall be."""
        super().reset(seed=seed)
        self._place, self._goal = _draw(self.np_random)
        self._time, self._over = 0, False
        return _observed(self._place, self._goal), {}

    def step(self, action: Any) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Move the point."""
        if self._over:
            raise gym.error.ResetNeeded("Reach: the episode is over, call reset() before step()")
        if not self.action_space.contains(action):
            expected = "two numbers from -1 to 1" if self.continuous else "a whole number from 0 to 3"
            raise ValueError(f"Reach: action {action!r} is not {expected}")
        self._place = _moved(self._place, np.asarray(action), self.continuous)
        self._time += 1
        observation = _observed(self._place, self._goal)
        success = bool(self.compute_terminated(observation["achieved_goal"], observation["desired_goal"], {}))
        truncated = not success and self._time == self.step_limit
        self._over = success or truncated
        return observation, float(success) - 1, success, truncated, {"success": success} if self._over else {}

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> Any:
        """What a step earns that leads there: of places [..., 2], numbers [...]."""
        return self.compute_terminated(achieved_goal, desired_goal, info).astype(np.float64) - 1

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any) -> Any:
        """Whether a place is near a goal: of places [..., 2], booleans [...]."""
        return _near(np.asarray(achieved_goal), np.asarray(desired_goal))

    def oracle(self) -> Any:
        """Straight to the goal."""
        way = self._goal - self._place
        if self.continuous:
            return np.clip(10 * way, -1, 1).astype(np.float32)
        axis = int(abs(way[1]) < abs(way[0]))  # 1 along x
        return axis if way[1 - axis] > 0 else axis + 2


class ReachVector(RowProgram):
    """Many copies of ``Reach`` in one NumPy program, with next-step autoreset.

    Equal to ``SyncVectorEnv`` over single environments with the same list of seeds, infos included.

    Args:
        num_envs: number of copies.
        continuous: whether actions are two real numbers.
        step_limit: steps after which an episode is truncated; at least 40.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, num_envs: int = 1, continuous: bool = False, step_limit: int = 50):
        check_whole("Reach", "step_limit", step_limit, 40)
        super().__init__("Reach", num_envs, _observation_space(), _action_space(bool(continuous)))
        self.continuous, self.step_limit = bool(continuous), step_limit
        self._place = np.zeros((num_envs, 2))  # [B, 2]
        self._goal = np.zeros((num_envs, 2))  # [B, 2]
        self._time = np.zeros(num_envs, np.int64)  # [B]

    def step(self, actions: np.ndarray) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move the point of every copy; copies whose episode ended in the step before start over instead."""
        if not self.action_space.contains(actions):
            each = "two numbers from -1 to 1 each" if self.continuous else "whole numbers from 0 to 3"
            raise ValueError(f"Reach: expected {self.num_envs} actions, {each}")
        starting = self._over
        self._place = np.where(starting[:, None], self._place, _moved(self._place, actions, self.continuous))
        self._time += 1
        self._start(starting)
        observation = _observed(self._place, self._goal)
        success = _near(observation["achieved_goal"], observation["desired_goal"]) & ~starting
        truncated = (self._time == self.step_limit) & ~success
        self._over = success | truncated
        infos = {"success": success, "_success": self._over.copy()} if self._over.any() else {}
        return observation, np.where(starting | success, 0.0, -1.0), success, truncated, infos

    def _start(self, starting: np.ndarray) -> None:
        for row in np.flatnonzero(starting).tolist():
            self._place[row], self._goal[row] = _draw(self._generators[row])
        self._time[starting] = 0

    def _observe(self) -> Observation:
        return _observed(self._place, self._goal)


def _observation_space() -> Dict:
    names = ("observation", "achieved_goal", "desired_goal")
    return Dict({name: Box(-1.0, 1.0, (2,), np.float32) for name in names})


def _action_space(continuous: bool) -> Box | Discrete:
    return Box(-1.0, 1.0, (2,), np.float32) if continuous else Discrete(4)


def _observed(place: np.ndarray, goal: np.ndarray) -> Observation:
    places, goals = place.astype(np.float32), goal.astype(np.float32)
    return {"achieved_goal": places, "desired_goal": goals, "observation": places.copy()}


def _near(place: np.ndarray, goal: np.ndarray) -> Any:
    return np.square(place.astype(np.float64) - goal).sum(-1) <= NEAR**2


def _moved(place: np.ndarray, action: np.ndarray, continuous: bool) -> np.ndarray:
    step = 0.1 * np.asarray(action, np.float64) if continuous else MOVES[action]
    return np.clip(place + step, -1, 1)


def _draw(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Where a point is and where it shall be, which is not near."""
    place, goal = random.uniform(-1, 1, 2), random.uniform(-1, 1, 2)
    while _near(place.astype(np.float32), goal.astype(np.float32)):
        goal = random.uniform(-1, 1, 2)
    return place, goal
