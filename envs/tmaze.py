"""A cue, a long corridor, a choice: one bit to be kept over many steps in which nothing happens.

Dimensions: B copies.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete

from lukasa.envs.row_programs import RowProgram
from lukasa.ground.settings import check_whole

NORTH, EAST, SOUTH, WEST = range(4)


class TMaze(gym.Env[np.ndarray, int]):
    """Walk down a corridor and turn to the side that a cue told at the start; after Bakker 2002, "T-maze".

    Description:
        The agent stands in the start cell, at the west end. East of it lie ``corridor`` cells, then the junction with
        one arm to the north and one to the south. The first observation tells which arm holds the reward::

                                up
            start . . . . . . . junction
                                down

    Observation:
        Four numbers, float32, each 0 or 1: ``[cue_up, cue_down, corridor, junction]``. ``corridor`` is 1 in the start
        cell and in the corridor, ``junction`` at the junction; in an arm, where the episode has ended, all are 0. The
        cue is part of the first observation of an episode only: who walks back to the start cell does not see it
        again, and finds the start cell to look like the corridor.

    Action:
        ``Discrete(4)``: 0 north, 1 east, 2 south, 3 west. A move into a wall leaves the agent where it is.

    Reward:
        1 on entering the arm of the cue, 0 on entering the other. Every other step gives 0 when it reaches a cell
        further east than ever before in the episode, and -1 / corridor when it does not (bumps, steps back, and steps
        over ground covered before). The best return is 1.

    Termination and truncation:
        Terminates in either arm, after corridor + 2 steps at the earliest. Truncates after ``step_limit`` steps, by
        default twice that: 104 steps with a corridor of 50.

    Score:
        The success rate: the share of episodes that end in the arm of the cue. Best 1. Chance 0.5, for a policy that
        walks to the junction and turns blindly; ``info["success"]`` says it at the end of every episode.

    Version history:
        v0: first version.

    Args:
        corridor: cells between the start cell and the junction; at least 1.
        step_limit: steps after which an episode is truncated; at least corridor + 2.

    Raises:
        ValueError: a setting is out of range.
    """

    action_names = ("north", "east", "south", "west")
    observation_names = ("cue up", "cue down", "corridor", "junction")

    def __init__(self, corridor: int = 50, step_limit: int | None = None):
        self.corridor, self.step_limit = corridor, _checked_step_limit(corridor, step_limit)
        self.observation_space = _observation_space()
        self.action_space = Discrete(4)
        self.cue_is_up = False
        self._position = self._furthest = 0  # 0 is the start cell, corridor + 1 the junction
        self._time = 0
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Draw a cue, put the agent into the start cell and show the cue."""
        super().reset(seed=seed)
        self.cue_is_up = bool(self.np_random.integers(2))
        self._position = self._furthest = self._time = 0
        self._over = False
        return np.array([self.cue_is_up, not self.cue_is_up, 1, 0], dtype=np.float32), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move one cell."""
        if self._over:
            raise gym.error.ResetNeeded("TMaze: the episode is over, call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"TMaze: action {action!r} is not 0 (north), 1 (east), 2 (south) or 3 (west)")
        action = int(action)
        terminated = self.at_junction and action in (NORTH, SOUTH)
        success = terminated and (action == NORTH) == self.cue_is_up
        reward = float(success) if terminated else self._walk(action)
        self._time += 1
        truncated = not terminated and self._time == self.step_limit
        self._over = terminated or truncated
        observation = np.array([0, 0, not self.at_junction, self.at_junction], dtype=np.float32) * (not terminated)
        return observation, reward, terminated, truncated, {"success": success} if self._over else {}

    @property
    def at_junction(self) -> bool:
        """Whether the agent stands at the junction (or has just left it for an arm)."""
        return self._position == self.corridor + 1

    def oracle(self) -> int:
        """The best action, from the hidden cue and position."""
        if not self.at_junction:
            return EAST
        return NORTH if self.cue_is_up else SOUTH

    def _walk(self, action: int) -> float:
        """Move along the corridor; returns the reward."""
        self._position += (action == EAST) - (action == WEST)
        self._position = min(max(self._position, 0), self.corridor + 1)
        reward = 0.0 if self._position > self._furthest else -1 / self.corridor
        self._furthest = max(self._furthest, self._position)
        return reward


class TMazeVector(RowProgram):
    """Many copies of ``TMaze`` in one NumPy program, with next-step autoreset.

    Equal to ``SyncVectorEnv`` over single environments with the same list of seeds, infos included.

    Args:
        num_envs: number of copies.
        corridor: cells between the start cell and the junction; at least 1.
        step_limit: steps after which an episode is truncated; at least corridor + 2.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, num_envs: int = 1, corridor: int = 50, step_limit: int | None = None):
        self.corridor, self.step_limit = corridor, _checked_step_limit(corridor, step_limit)
        super().__init__("TMaze", num_envs, _observation_space(), Discrete(4))
        self._cue_is_up = np.zeros(num_envs, dtype=bool)  # [B]
        self._position = np.zeros(num_envs, dtype=np.int64)  # [B]
        self._furthest = np.zeros(num_envs, dtype=np.int64)  # [B]
        self._time = np.zeros(num_envs, dtype=np.int64)  # [B]
        self._in_arm = np.zeros(num_envs, dtype=bool)  # [B]

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move every copy one cell; copies whose episode ended in the step before start over instead."""
        if not self.action_space.contains(actions):
            raise ValueError(f"TMaze: expected {self.num_envs} actions, whole numbers from 0 to 3")
        starting = self._over
        at_junction = self._position == self.corridor + 1
        terminated = at_junction & ((actions == NORTH) | (actions == SOUTH)) & ~starting
        success = terminated & ((actions == NORTH) == self._cue_is_up)
        rewards = np.where(terminated, success, self._walk(actions, ~terminated & ~starting))
        self._time += 1
        self._start(starting)
        truncated = (self._time == self.step_limit) & ~terminated
        self._over = terminated | truncated
        infos = {"success": success, "_success": self._over.copy()} if self._over.any() else {}
        self._in_arm = terminated
        return self._observe(), rewards, terminated, truncated, infos

    def _walk(self, actions: np.ndarray, walking: np.ndarray) -> np.ndarray:
        """Move the copies that are walking along the corridor; returns their rewards, 0 for the others."""
        moves = ((actions == EAST).astype(np.int64) - (actions == WEST)) * walking
        self._position = np.clip(self._position + moves, 0, self.corridor + 1)
        rewards = np.where(walking & (self._position <= self._furthest), -1 / self.corridor, 0.0)
        self._furthest = np.maximum(self._furthest, self._position)
        return rewards

    def _start(self, starting: np.ndarray) -> None:
        for row in np.flatnonzero(starting).tolist():
            self._cue_is_up[row] = self._generators[row].integers(2)
        self._position[starting] = self._furthest[starting] = self._time[starting] = 0
        self._in_arm[starting] = False

    def _observe(self) -> np.ndarray:
        first = self._time == 0
        at_junction = self._position == self.corridor + 1
        columns = [first & self._cue_is_up, first & ~self._cue_is_up, ~at_junction, at_junction & ~self._in_arm]
        return np.stack(columns, axis=-1).astype(np.float32)  # [B, 4]


def _observation_space() -> Box:
    return Box(0.0, 1.0, (4,), np.float32)


def _checked_step_limit(corridor: int, step_limit: int | None) -> int:
    check_whole("TMaze", "corridor", corridor, 1)
    shortest = corridor + 2  # from the start cell into an arm
    if step_limit is None:
        return 2 * shortest
    check_whole("TMaze", "step_limit", step_limit, shortest)
    return step_limit
