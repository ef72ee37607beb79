"""Mazes in which a cue at the start says which of two goals is right; after Parisotto & Salakhutdinov 2018."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lukasa.envs.grid_worlds import (
    FIRST_CUE,
    FIRST_GOAL,
    FLOOR,
    SECOND_GOAL,
    STEPS,
    WALL,
    Field,
    GridWorld,
    GridWorldVector,
    World,
    measured,
)
from lukasa.envs.i_maze import whole_numbers
from lukasa.ground.settings import check_choice, check_whole

NAME = "GoalSearch"
SIZES = (7, 9, 11)
FIELD = 15
LARGEST = 101
SEEDS = 1 << 31
SPLITS = {"train": 0, "test": 1}


class GoalSearch(GridWorld):
    """Remember the cue at the start of a maze and find the goal it means; after Parisotto & Salakhutdinov 2018.

    Description:
        Every episode draws a maze of corridors without loops, of one of ``sizes`` rows and columns with the outer
        walls. The walker begins in some cell of it and faces a cell whose floor has one of two colours, the cue. In two
        of the maze's dead ends lie the goals: with the first colour goal 1 is right, with the second goal 2::

            # # # # # # #
            # . . . # 2 #
            # . # . # . #       > the walker, c the cue before it
            # . # > c . #
            # . # # # . #
            # . . . # 1 #
            # # # # # # #

        ``mazes="train"`` and ``"test"`` draw from seeds of their own, so that no maze of the one is drawn in the other
        on purpose; with ``count`` each has only so many.

    Observation:
        What lies ahead, as in ``IMaze``: here 15 cells far, up to the first wall straight ahead, and 3 wide.

    Action:
        ``Discrete(4)``: 0 turn left, 1 forward, 2 turn right, 3 back. A move into a wall leaves the walker where it is.

    Reward:
        1 on entering the right goal, -1 on entering the other, 0 for every other step. The best return is 1.

    Termination and truncation:
        Terminates in either goal. Truncates after ``step_limit`` steps, 500 by default.

    Score:
        The success rate: the share of episodes that end in the right goal. Best 1. Chance 0.5, for a policy that
        searches the maze and enters the first goal it finds; ``info["success"]`` says it at the end of every episode.

    Version history:
        v0: first version.

    Args:
        sizes: rows and columns of a maze; odd, each at least 7.
        mazes: "train" or "test".
        count: how many different mazes there are; without end by default.
        ahead: cells seen ahead.
        width: columns of the view; odd.
        position: whether the direction and the position are shown.
        field: cells that positions are measured by: 15, or the largest of the sizes.
        step_limit: steps after which an episode is truncated.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        sizes: Sequence[int] = SIZES,
        mazes: str = "train",
        count: int | None = None,
        ahead: int = 15,
        width: int = 3,
        position: bool = False,
        field: int | None = None,
        step_limit: int = 500,
    ):
        super().__init__(goal_search(sizes, mazes, count, ahead, width, position, field, step_limit))


class GoalSearchVector(GridWorldVector):
    """Many copies of ``GoalSearch`` in one NumPy program; settings as there.

    Args:
        num_envs: number of copies.
        settings: as those of ``GoalSearch``.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, num_envs: int = 1, **settings: Any):
        super().__init__(num_envs, GoalSearch(**settings).world)


def goal_search(
    sizes: Sequence[int],
    mazes: str,
    count: int | None,
    ahead: int,
    width: int,
    position: bool,
    field: int | None,
    step_limit: int,
) -> World:
    """The world of a ``GoalSearch``; settings as there."""
    sizes = whole_numbers(NAME, "sizes", sizes, 7, LARGEST)
    for size in sizes:
        if size % 2 == 0:
            raise ValueError(f"{NAME}: sizes has {size}, expected odd numbers: walls lie between the cells of a maze")
    check_choice(NAME, "mazes", mazes, SPLITS)
    if count is not None:
        check_whole(NAME, "count", count, 1, SEEDS)
    largest = max(sizes)
    extent = measured(NAME, max(FIELD, largest) if field is None else field, largest, position)

    def draw(generator: np.random.Generator) -> Field:
        number = int(generator.integers(count or SEEDS))
        maze = np.random.default_rng((SPLITS[mazes], number))
        size = sizes[maze.integers(len(sizes))]
        cells = np.full((largest, largest), WALL, np.int8)
        cells[:size, :size] = passages(maze, size)
        ends = dead_ends(cells)
        goals = [ends[n] for n in maze.permutation(len(ends))[:2]]
        for kind, place in zip((FIRST_GOAL, SECOND_GOAL), goals, strict=True):
            cells[place] = kind
        second = int(generator.integers(2))  # the same maze has either cue
        starts = [(row, column) for row in range(1, size, 2) for column in range(1, size, 2)]
        place = [one for one in starts if one not in goals][maze.integers(len(starts) - 2)]
        ways = [way for way in range(4) if cells[place[0] + STEPS[way][0], place[1] + STEPS[way][1]] == FLOOR]
        facing = ways[maze.integers(len(ways))]
        cells[place[0] + STEPS[facing][0], place[1] + STEPS[facing][1]] = FIRST_CUE + second
        return Field(cells, place, facing, FIRST_GOAL + second)

    return World(NAME, draw, (largest, largest), ahead, width, step_limit, extent)


def passages(generator: np.random.Generator, size: int) -> np.ndarray:
    """A maze without loops in which all is reached, walls and floor: int8 [size, size].

    A walk that digs from cell to cell at random, and goes back where there is nothing left to dig.
    """
    cells = np.full((size, size), WALL, np.int8)
    trail = [(1, 1)]
    cells[1, 1] = FLOOR
    while trail:
        row, column = trail[-1]
        ways = []
        for down, right in ((-2, 0), (0, 2), (2, 0), (0, -2)):
            to = (row + down, column + right)
            if 0 < to[0] < size and 0 < to[1] < size and cells[to] == WALL:
                ways.append(to)
        if not ways:
            trail.pop()
            continue
        to = ways[int(generator.integers(len(ways)))]
        cells[to] = cells[(row + to[0]) // 2, (column + to[1]) // 2] = FLOOR
        trail.append(to)
    return cells


def dead_ends(cells: np.ndarray) -> list[tuple[int, int]]:
    """Places with one way out, by row and column."""
    floor = cells == FLOOR
    ways = floor[:-2, 1:-1] * 1 + floor[2:, 1:-1] + floor[1:-1, :-2] + floor[1:-1, 2:]
    return [(int(row) + 1, int(column) + 1) for row, column in np.argwhere(floor[1:-1, 1:-1] & (ways == 1))]
