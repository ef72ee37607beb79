"""Two rooms with a locked door between them: the key first, then the door, then the goal.

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
ROWS, COLUMNS = np.array([-1, 0, 1, 0]), np.array([0, 1, 0, -1])
"""What each action adds to the row and to the column."""


class KeyDoor(gym.Env[np.ndarray, int]):
    """Fetch the key, pass the door with it, walk to the goal; all is seen, and only the goal pays.

    Description:
        Two rooms of ``size`` x ``size`` cells and a wall between them, which has one door in its middle row. The key
        lies in the north-west corner of the first room, the goal in the south-east corner of the second. The walker
        begins in another cell of the first room, drawn anew for each episode::

            k . . # . . .
            . . . D . . .
            . . . # . . g

    Observation:
        One-hot row (``size`` numbers), one-hot column (2 ``size`` + 1) and whether the walker has the key, float32.

    Action:
        ``Discrete(4)``: 0 north, 1 east, 2 south, 3 west. A move into a wall, or into the door without the key, leaves
        the walker where it is. The key is taken where it lies.

    Reward:
        1 on entering the goal, 0 for every other step. The best return is 1.

    Termination and truncation:
        Terminates in the goal. Truncates after ``step_limit`` steps, by default 25 for each cell of a room's side: 100
        with rooms of 4 x 4.

    Score:
        The success rate: the share of episodes that end in the goal. Best 1. Chance, of moves at random: 0.08 with
        rooms of 4 x 4; ``info["success"]`` says it at the end of every episode.

    Version history:
        v0: first version.

    Args:
        size: cells of a room's side; at least 2.
        step_limit: steps after which an episode is truncated; at least 5 ``size`` - 3, the longest way.

    Raises:
        ValueError: a setting is out of range.
    """

    action_names = ("north", "east", "south", "west")

    def __init__(self, size: int = 4, step_limit: int | None = None):
        self.size, self.step_limit = size, _checked_step_limit(size, step_limit)
        self.observation_space = _observation_space(size)
        self.action_space = Discrete(4)
        self._row = self._column = self._time = 0
        self._has_key, self._over = False, True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Put the walker into the first room."""
        super().reset(seed=seed)
        self._row, self._column = divmod(int(self.np_random.integers(1, self.size**2)), self.size)
        self._has_key, self._over, self._time = False, False, 0
        return self._observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move one cell."""
        if self._over:
            raise gym.error.ResetNeeded("KeyDoor: the episode is over, call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"KeyDoor: action {action!r} is not 0 (north), 1 (east), 2 (south) or 3 (west)")
        row, column = self._row + int(ROWS[action]), self._column + int(COLUMNS[action])
        if bool(_free(self.size, np.array(row), np.array(column), np.array(self._has_key))):
            self._row, self._column = row, column
        self._has_key |= self._row == self._column == 0
        self._time += 1
        terminated = self._row == self.size - 1 and self._column == 2 * self.size
        truncated = not terminated and self._time == self.step_limit
        self._over = terminated or truncated
        return self._observe(), float(terminated), terminated, truncated, {"success": terminated} if self._over else {}

    def oracle(self) -> int:
        """The best action: to the key, to the door, to the goal."""
        if not self._has_key:
            return WEST if self._column else NORTH
        if self._column > self.size:
            return SOUTH if self._row < self.size - 1 else EAST
        door = self.size // 2
        return EAST if self._row == door else SOUTH if self._row < door else NORTH

    def _observe(self) -> np.ndarray:
        parts = (np.array([self._row]), np.array([self._column]), np.array([self._has_key]))
        return _observation(self.size, *parts)[0]


class KeyDoorVector(RowProgram):
    """Many copies of ``KeyDoor`` in one NumPy program, with next-step autoreset.

    Equal to ``SyncVectorEnv`` over single environments with the same list of seeds, infos included.

    Args:
        num_envs: number of copies.
        size: cells of a room's side; at least 2.
        step_limit: steps after which an episode is truncated; at least 5 ``size`` - 3, the longest way.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, num_envs: int = 1, size: int = 4, step_limit: int | None = None):
        self.size, self.step_limit = size, _checked_step_limit(size, step_limit)
        super().__init__("KeyDoor", num_envs, _observation_space(size), Discrete(4))
        self._row, self._column, self._time = (np.zeros(num_envs, dtype=np.int64) for _ in range(3))  # [B]
        self._has_key = np.zeros(num_envs, dtype=bool)  # [B]

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move every copy one cell; copies whose episode ended in the step before start over instead."""
        if not self.action_space.contains(actions):
            raise ValueError(f"KeyDoor: expected {self.num_envs} actions, whole numbers from 0 to 3")
        starting = self._over
        row, column = self._row + ROWS[actions], self._column + COLUMNS[actions]
        moves = _free(self.size, row, column, self._has_key) & ~starting
        self._row, self._column = np.where(moves, row, self._row), np.where(moves, column, self._column)
        self._has_key = self._has_key | ((self._row == 0) & (self._column == 0))
        self._time = self._time + 1
        self._start(starting)
        terminated = (self._row == self.size - 1) & (self._column == 2 * self.size)
        truncated = (self._time == self.step_limit) & ~terminated
        self._over = terminated | truncated
        infos = {"success": terminated.copy(), "_success": self._over.copy()} if self._over.any() else {}
        return self._observe(), terminated.astype(np.float64), terminated, truncated, infos

    def _start(self, starting: np.ndarray) -> None:
        for row in np.flatnonzero(starting).tolist():
            self._row[row], self._column[row] = divmod(int(self._generators[row].integers(1, self.size**2)), self.size)
        self._time[starting] = 0
        self._has_key[starting] = False

    def _observe(self) -> np.ndarray:
        return _observation(self.size, self._row, self._column, self._has_key)


def _free(size: int, row: np.ndarray, column: np.ndarray, has_key: np.ndarray) -> np.ndarray:
    """Whether a walker may enter a cell."""
    inside = (row >= 0) & (row < size) & (column >= 0) & (column <= 2 * size)
    return inside & ((column != size) | ((row == size // 2) & has_key))


def _observation(size: int, row: np.ndarray, column: np.ndarray, has_key: np.ndarray) -> np.ndarray:
    """Observations [B, 3 size + 2]."""
    shown = np.zeros((len(row), 3 * size + 2), np.float32)
    copies = np.arange(len(row))
    shown[copies, row] = 1
    shown[copies, size + column] = 1
    shown[:, -1] = has_key
    return shown


def _observation_space(size: int) -> Box:
    return Box(0.0, 1.0, (3 * size + 2,), np.float32)


def _checked_step_limit(size: int, step_limit: int | None) -> int:
    check_whole("KeyDoor", "size", size, 2)
    if step_limit is None:
        return 25 * size
    check_whole("KeyDoor", "step_limit", step_limit, 5 * size - 3)
    return step_limit
