"""Two rooms with the same pattern on their floors, or with different ones; after Oh et al. 2016, "Pattern Matching"."""

from __future__ import annotations

from typing import Any

import numpy as np

from lukasa.envs.grid_worlds import (
    FIRST_CUE,
    FIRST_GOAL,
    FLOOR,
    SECOND_GOAL,
    WALL,
    Field,
    GridWorld,
    GridWorldVector,
    World,
    measured,
)
from lukasa.ground.settings import check_choice, check_whole

NAME = "PatternMatching"
ROOM = 3
PATTERNS = 2 ** (ROOM * ROOM)
SPLIT = 250
"""Patterns of each split; 12 are in neither."""
LONGEST = 1000


class PatternMatching(GridWorld):
    """Say by the goal you enter whether two rooms have the same pattern on their floors; after Oh et al. 2016.

    Description:
        Two rooms of 3 by 3 cells lie at the ends of a corridor, and the two goals on either side of its middle, where
        the walker begins, facing any way::

            p p p       1       q q q
            p p p . . . . . . . q q q
            p p p       2       q q q

        Every cell of a room has one of two colours. Goal 1 is right where both rooms show the same pattern, as they lie
        on the map, which is in half of all episodes; goal 2 where they show different ones. There are 512 patterns: 250
        are those of ``patterns="train"``, 250 others those of ``"test"``.

    Observation:
        What lies ahead, as in ``IMaze``: a room's cells are one-hot as first or second cue. Who faces a room from the
        corridor's last cell sees all of it.

    Action:
        ``Discrete(4)``: 0 turn left, 1 forward, 2 turn right, 3 back. A move into a wall leaves the walker where it is.

    Reward:
        1 on entering the right goal, -1 on entering the other, 0 for every other step. The best return is 1.

    Termination and truncation:
        Terminates in either goal. Truncates after ``step_limit`` steps, by default 10 for each cell of the corridor and
        30 more: 80.

    Score:
        The success rate: the share of episodes that end in the right goal. Best 1. Chance 0.5, for a policy that enters
        a goal blindly; ``info["success"]`` says it at the end of every episode.

    Version history:
        v0: first version.

    Args:
        patterns: "train", "test", or "all" 512.
        corridor: cells between the rooms; odd, at least 3.
        ahead: cells seen ahead.
        width: columns of the view; odd.
        position: whether the direction and the position are shown.
        field: cells that positions are measured by, at least those from wall to wall, which it is by default.
        step_limit: steps after which an episode is truncated.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        patterns: str = "train",
        corridor: int = 5,
        ahead: int = 3,
        width: int = 3,
        position: bool = False,
        field: int | None = None,
        step_limit: int | None = None,
    ):
        super().__init__(pattern_matching(patterns, corridor, ahead, width, position, field, step_limit))


class PatternMatchingVector(GridWorldVector):
    """Many copies of ``PatternMatching`` in one NumPy program; settings as there.

    Args:
        num_envs: number of copies.
        settings: as those of ``PatternMatching``.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, num_envs: int = 1, **settings: Any):
        super().__init__(num_envs, PatternMatching(**settings).world)


def pattern_matching(
    patterns: str, corridor: int, ahead: int, width: int, position: bool, field: int | None, step_limit: int | None
) -> World:
    """The world of a ``PatternMatching``; settings as there."""
    check_whole(NAME, "corridor", corridor, 3, LONGEST)
    if corridor % 2 == 0:
        raise ValueError(f"{NAME}: corridor is {corridor}, expected an odd number: the goals are beside its middle")
    shown, shape = split(patterns), (ROOM + 2, corridor + 2 * ROOM + 2)
    middle = shape[1] // 2

    def draw(generator: np.random.Generator) -> Field:
        first = int(generator.integers(len(shown)))
        different = int(generator.integers(2))
        second = (first + different * int(generator.integers(1, len(shown)))) % len(shown)
        cells = np.full(shape, WALL, np.int8)
        cells[1:-1, 1 : 1 + ROOM], cells[1:-1, -1 - ROOM : -1] = (FIRST_CUE + tiles(shown[n]) for n in (first, second))
        cells[2, 1 + ROOM : -1 - ROOM] = FLOOR
        cells[1, middle], cells[3, middle] = FIRST_GOAL, SECOND_GOAL
        return Field(cells, (2, middle), int(generator.integers(4)), FIRST_GOAL + different)

    limit = 10 * corridor + 30 if step_limit is None else step_limit
    return World(NAME, draw, shape, ahead, width, limit, measured(NAME, field, shape[1], position))


def split(patterns: str) -> np.ndarray:
    """The numbers of the patterns of a split, of which each bit is a cell.

    Raises:
        ValueError: there is no such split.
    """
    check_choice(NAME, "patterns", patterns, ("train", "test", "all"))
    shuffled = np.random.default_rng(2016).permutation(PATTERNS)
    return {"train": shuffled[:SPLIT], "test": shuffled[SPLIT : 2 * SPLIT], "all": shuffled}[patterns]


def tiles(pattern: int) -> np.ndarray:
    """A pattern by its number: 0 or 1 of every cell of a room, int8 [3, 3]."""
    return (int(pattern) >> np.arange(ROOM * ROOM) & 1).astype(np.int8).reshape(ROOM, ROOM)
