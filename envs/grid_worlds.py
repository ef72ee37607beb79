"""Worlds of cells seen from inside, by a walker that faces one way, sees a little ahead, and looks for the right goal.

Dimensions: B copies, H and W rows and columns of a field, A cells seen ahead, U columns of a view, C kinds of cell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete

from lukasa.envs.row_programs import RowProgram
from lukasa.ground.settings import check_whole

TURN_LEFT, FORWARD, TURN_RIGHT, BACK = range(4)
ACTION_NAMES = ("turn left", "forward", "turn right", "back")
NORTH, EAST, SOUTH, WEST = range(4)
STEPS = np.array([[-1, 0], [0, 1], [1, 0], [0, -1]])
"""Rows and columns of a step to the north, east, south and west."""

FLOOR, WALL, FIRST_CUE, SECOND_CUE, FIRST_GOAL, SECOND_GOAL = range(6)
KINDS = ("floor", "wall", "first cue", "second cue", "first goal", "second goal")
"""What a cell can be: the channels of a view."""
COLOURS = np.array(
    [[235, 235, 235], [70, 70, 70], [245, 215, 66], [90, 190, 90], [205, 60, 60], [60, 90, 205], [0, 0, 0]], np.uint8
)
"""Of every kind, and of what is not seen."""

LONGEST_SIGHT = 64


class Field(NamedTuple):
    """One episode's world."""

    cells: np.ndarray  # int8 [H, W], kinds
    place: tuple[int, int]  # row and column where the walker begins
    facing: int
    goal: int  # FIRST_GOAL or SECOND_GOAL, which is right


@dataclass(frozen=True)
class World:
    """What the fields of an environment are drawn from, and how they are seen.

    Attributes:
        name: of the environment, for messages.
        draw: makes the field of an episode, all of one shape.
        shape: H and W of every field.
        ahead: A, cells seen ahead of the walker's own.
        width: U, columns of the view, the walker's own in the middle.
        step_limit: steps after which an episode is truncated.
        extent: cells that a position of 1 is away from a position of 0; None where no position is shown.
    """

    name: str
    draw: Callable[[np.random.Generator], Field]
    shape: tuple[int, int]
    ahead: int
    width: int
    step_limit: int
    extent: int | None = None

    def __post_init__(self) -> None:
        check_whole(self.name, "ahead", self.ahead, 1, LONGEST_SIGHT)
        check_whole(self.name, "width", self.width, 1)
        check_whole(self.name, "step_limit", self.step_limit, 1)
        if self.width % 2 == 0:
            raise ValueError(f"{self.name}: width is {self.width}, expected an odd number: the walker is in the middle")

    @property
    def observation_space(self) -> gym.Space[Any]:
        """The view alone, or with the direction and the position."""
        view = Box(0.0, 1.0, (self.ahead + 1, self.width, len(KINDS)), np.float32)
        if self.extent is None:
            return view
        return Dict({"view": view, "facing": Discrete(4), "position": Box(0.0, 1.0, (2,), np.float32)})


def measured(name: str, field: int | None, largest: int, position: bool) -> int | None:
    """The ``extent`` of a world: a setting ``field`` that its largest field fits into, where positions are shown.

    Raises:
        ValueError: it does not fit.
    """
    if field is not None:
        check_whole(name, "field", field, largest)
    return (field or largest) if position else None


class Walkers:
    """Walkers in fields of their own, all stepped at once.

    Args:
        world: of them all.
        count: B.
    """

    def __init__(self, world: World, count: int):
        self.world = world
        self.cells = np.full((count, *world.shape), WALL, np.int8)  # [B, H, W]
        self.place = np.zeros((count, 2), np.int64)  # [B, 2]
        self.facing = np.zeros(count, np.int64)  # [B]
        self.goal = np.full(count, FIRST_GOAL, np.int64)  # [B]
        self._rows = np.arange(count)

    def start(self, row: int, generator: np.random.Generator) -> None:
        """Put one walker into a new field."""
        self.cells[row], self.place[row], self.facing[row], self.goal[row] = self.world.draw(generator)

    def act(self, actions: np.ndarray, walking: np.ndarray) -> np.ndarray:
        """Turn or take a step, those that are walking: int8 [B], the kind of the cell that each is in then."""
        turns = (actions == TURN_RIGHT).astype(np.int64) - (actions == TURN_LEFT)
        self.facing = (self.facing + turns * walking) % 4
        strides = ((actions == FORWARD).astype(np.int64) - (actions == BACK)) * walking
        to = self.place + strides[:, None] * STEPS[self.facing]
        free = self._kinds(to[:, None])[:, 0] != WALL
        self.place = np.where(free[:, None], to, self.place)
        return self._kinds(self.place[:, None])[:, 0]

    def view(self) -> np.ndarray:
        """One-hot kinds of the cells ahead, float32 [B, A + 1, U, C]: the walker's own row first, its left first.

        A wall straight ahead hides the rows behind it, whose numbers are all 0.
        """
        ahead, width = self.world.ahead, self.world.width
        forward, right = STEPS[self.facing], STEPS[(self.facing + 1) % 4]
        far = np.arange(ahead + 1)[:, None, None] * forward[:, None, None]  # [B, A + 1, 1, 2]
        aside = np.arange(-(width // 2), width // 2 + 1)[:, None] * right[:, None, None]  # [B, 1, U, 2]
        kinds = self._kinds(self.place[:, None, None] + far + aside)  # [B, A + 1, U]
        hidden = np.logical_or.accumulate(kinds[:, :, width // 2] == WALL, 1)
        hidden = np.pad(hidden, ((0, 0), (1, 0)))[:, :-1]
        view = kinds[..., None] == np.arange(len(KINDS))
        return (view & ~hidden[:, :, None, None]).astype(np.float32)

    def observe(self) -> Any:
        """The view, and where the world shows it the direction and the position: [B, ...]."""
        view = self.view()
        if self.world.extent is None:
            return view
        return {
            "view": view,
            "facing": self.facing.copy(),
            "position": ((self.place + 0.5) / self.world.extent).astype(np.float32),
        }

    def _kinds(self, places: np.ndarray) -> np.ndarray:
        """What is at [B, ..., 2] rows and columns; beyond the field are walls."""
        inside = np.asarray(((places >= 0) & (places < self.world.shape)).all(-1))
        within = np.where(inside[..., None], places, 0)
        rows = self._rows.reshape(-1, *[1] * (places.ndim - 2))
        return np.where(inside, self.cells[rows, within[..., 0], within[..., 1]], WALL)


class GridWorld(gym.Env[Any, int]):
    """One walker in a world; what the environments of this kind have in common.

    Args:
        world: what its fields are drawn from.
    """

    action_names = ACTION_NAMES

    def __init__(self, world: World):
        self.world = world
        self.observation_space: gym.Space[Any] = world.observation_space
        self.action_space = Discrete(4)
        self.walkers = Walkers(world, 1)
        self._time, self._over = 0, True
        self._distances: dict[tuple[int, int, int], int] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Draw a field and put the walker into it."""
        super().reset(seed=seed)
        self.walkers.start(0, self.np_random)
        self._time, self._over, self._distances = 0, False, {}
        return self._observe(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Turn, or move one cell."""
        name = self.world.name
        if self._over:
            raise gym.error.ResetNeeded(f"{name}: the episode is over, call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"{name}: action {action!r} is none of {_actions()}")
        (kind,) = self.walkers.act(np.array([int(action)]), np.ones(1, bool))
        self._time += 1
        terminated = bool(kind in (FIRST_GOAL, SECOND_GOAL))
        success = terminated and bool(kind == self.walkers.goal[0])
        reward = (1.0 if success else -1.0) if terminated else 0.0
        truncated = not terminated and self._time == self.world.step_limit
        self._over = terminated or truncated
        return self._observe(), reward, terminated, truncated, {"success": success} if self._over else {}

    def oracle(self) -> int:
        """The first action of a shortest way to the right goal, past the other one."""
        if self._over:
            raise gym.error.ResetNeeded(f"{self.world.name}: there is no field yet, call reset() before oracle()")
        if not self._distances:
            self._distances = _distances(self.walkers.cells[0], int(self.walkers.goal[0]))
        here = (*self.walkers.place[0].tolist(), int(self.walkers.facing[0]))
        reached = [_after(here, action) for action in range(4)]
        return int(np.argmin([self._distances.get(one, LARGE) for one in reached]))

    def observation_picture(self, observation: Any, tile: int = 8) -> np.ndarray:
        """What an observation shows: bytes [(A + 1) * tile, U * tile, 3], the walker below, looking up."""
        view = np.asarray(observation["view"] if isinstance(observation, dict) else observation)
        kinds = np.where(view.any(-1), view.argmax(-1), len(KINDS))[::-1]
        return COLOURS[kinds].repeat(tile, 0).repeat(tile, 1)

    def _observe(self) -> Any:
        seen = self.walkers.observe()
        return {name: part[0] for name, part in seen.items()} if isinstance(seen, dict) else seen[0]


class GridWorldVector(RowProgram):
    """Many copies of a ``GridWorld`` in one NumPy program, with next-step autoreset.

    Equal to ``SyncVectorEnv`` over single environments with the same list of seeds, infos included.

    Args:
        num_envs: B.
        world: what the fields are drawn from.
    """

    def __init__(self, num_envs: int, world: World):
        super().__init__(world.name, num_envs, world.observation_space, Discrete(4))
        self.world = world
        self.walkers = Walkers(world, num_envs)
        self._time = np.zeros(num_envs, np.int64)  # [B]

    def step(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Act once in every copy; copies whose episode ended in the step before start over instead."""
        if not self.action_space.contains(actions):
            raise ValueError(f"{self.world.name}: expected {self.num_envs} actions, each one of {_actions()}")
        starting = self._over
        kinds = self.walkers.act(actions, ~starting)
        self._time += 1
        self._start(starting)
        terminated = np.isin(kinds, (FIRST_GOAL, SECOND_GOAL)) & ~starting
        success = terminated & (kinds == self.walkers.goal)
        rewards = np.where(terminated, np.where(success, 1.0, -1.0), 0.0)
        truncated = (self._time == self.world.step_limit) & ~terminated
        self._over = terminated | truncated
        infos = {"success": success, "_success": self._over.copy()} if self._over.any() else {}
        return self._observe(), rewards, terminated, truncated, infos

    def _start(self, starting: np.ndarray) -> None:
        for row in np.flatnonzero(starting).tolist():
            self.walkers.start(row, self._generators[row])
        self._time[starting] = 0

    def _observe(self) -> Any:
        return self.walkers.observe()


LARGE = 1 << 30


def _after(here: tuple[int, int, int], action: int) -> tuple[int, int, int]:
    """Row, column and direction after an action, walls aside."""
    row, column, facing = here
    if action in (TURN_LEFT, TURN_RIGHT):
        return row, column, (facing + (1 if action == TURN_RIGHT else -1)) % 4
    stride = STEPS[facing] * (1 if action == FORWARD else -1)
    return row + int(stride[0]), column + int(stride[1]), facing


def _distances(cells: np.ndarray, goal: int) -> dict[tuple[int, int, int], int]:
    """Actions from every row, column and direction to the right goal: a search backward from it."""
    ends = [(int(row), int(column), way) for row, column in np.argwhere(cells == goal) for way in range(4)]
    found, ahead = dict.fromkeys(ends, 0), deque(ends)
    opposite = {TURN_LEFT: TURN_RIGHT, TURN_RIGHT: TURN_LEFT, FORWARD: BACK, BACK: FORWARD}
    while ahead:
        here = ahead.popleft()
        for action in range(4):
            before = _after(here, opposite[action])
            row, column = before[:2]
            inside = 0 <= row < cells.shape[0] and 0 <= column < cells.shape[1]
            if before in found or not inside or cells[row, column] in (WALL, FIRST_GOAL, SECOND_GOAL):
                continue
            found[before] = found[here] + 1
            ahead.append(before)
    return found


def _actions() -> str:
    return ", ".join(f"{number} ({name})" for number, name in enumerate(ACTION_NAMES))
