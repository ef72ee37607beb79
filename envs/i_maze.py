"""A cue at one end of a corridor, two goals at the other; after Oh et al. 2016, "I-Maze"."""

from __future__ import annotations

from collections.abc import Sequence
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

NAME = "IMaze"
LENGTHS = (5, 7, 9)
STARTS = ("anywhere", "cue", "goals")
LONGEST = 1000


class IMaze(GridWorld):
    """Find out which goal is right at one end of a corridor, and walk to it at the other; after Oh et al. 2016.

    Description:
        The field is an I that lies on its side here; the corridor has ``length`` cells, one of ``lengths`` in every
        episode::

            .                   1
            c . . . . . . . . . .
            .                   2

        At one end, c, the floor has one of two colours, the cue; at the other lie the goals 1 and 2. With the first
        colour goal 1 is right, with the second goal 2. The walker begins in any cell of the corridor, facing
        any way, with ``start="cue"`` beside the cue and facing it, with ``start="goals"`` at the other end.

    Observation:
        What lies ahead: ``ahead`` + 1 rows, the walker's own first, of ``width`` cells, from its left to its right.
        Each is one-hot: floor, wall, first cue, second cue, first goal, second goal; float32. What lies behind a wall
        straight ahead is not seen: all 0. With ``position=True`` a Dict of this ``view``, the direction that the walker
        faces (``facing``: 0 north, 1 east, 2 south, 3 west) and its ``position``: row and column over ``field``.

    Action:
        ``Discrete(4)``: 0 turn left, 1 forward, 2 turn right, 3 back. A move into a wall leaves the walker where it is.

    Reward:
        1 on entering the right goal, -1 on entering the other, 0 for every other step. The best return is 1.

    Termination and truncation:
        Terminates in either goal. Truncates after ``step_limit`` steps, by default 6 for each cell of the longest
        corridor and 30 more: 84 with corridors of up to 9.

    Score:
        The success rate: the share of episodes that end in the right goal. Best 1. Chance 0.5, for a policy that walks
        to the goals and enters either blindly; ``info["success"]`` says it at the end of every episode.

    Version history:
        v0: first version.

    Args:
        lengths: of the corridor, cells between the cue and the goals; each at least 1.
        start: "anywhere" in the corridor, at the "cue", or at the "goals".
        ahead: cells seen ahead.
        width: columns of the view; odd.
        position: whether the direction and the position are shown.
        field: cells that positions are measured by, at least the longest corridor and 4; that number by default.
        step_limit: steps after which an episode is truncated.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        lengths: Sequence[int] = LENGTHS,
        start: str = "anywhere",
        ahead: int = 3,
        width: int = 3,
        position: bool = False,
        field: int | None = None,
        step_limit: int | None = None,
    ):
        super().__init__(i_maze(lengths, start, ahead, width, position, field, step_limit))


class IMazeVector(GridWorldVector):
    """Many copies of ``IMaze`` in one NumPy program; settings as there.

    Args:
        num_envs: number of copies.
        settings: as those of ``IMaze``.

    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(self, num_envs: int = 1, **settings: Any):
        super().__init__(num_envs, IMaze(**settings).world)


def i_maze(
    lengths: Sequence[int],
    start: str,
    ahead: int,
    width: int,
    position: bool,
    field: int | None,
    step_limit: int | None,
) -> World:
    """The world of an ``IMaze``; settings as there."""
    lengths = whole_numbers(NAME, "lengths", lengths, 1, LONGEST)
    check_choice(NAME, "start", start, STARTS)
    longest = max(lengths)
    extent = measured(NAME, field, longest + 4, position)
    limit = 6 * longest + 30 if step_limit is None else step_limit

    def draw(generator: np.random.Generator) -> Field:
        length, second = lengths[generator.integers(len(lengths))], int(generator.integers(2))
        cells = np.full((5, longest + 4), WALL, np.int8)
        cells[1:4, [1, length + 2]] = FLOOR
        cells[2, 1 : length + 3] = FLOOR
        cells[2, 1] = FIRST_CUE + second
        cells[1, length + 2], cells[3, length + 2] = FIRST_GOAL, SECOND_GOAL
        column, facing = int(generator.integers(2, length + 2)), int(generator.integers(4))
        if start != "anywhere":
            column, facing = (2, 3) if start == "cue" else (length + 1, 1)
        return Field(cells, (2, column), facing, FIRST_GOAL + second)

    return World(NAME, draw, (5, longest + 4), ahead, width, limit, extent)


def whole_numbers(owner: str, name: str, values: Sequence[int] | int, least: int, most: int) -> tuple[int, ...]:
    """A setting that lists whole numbers; one number is a list of one.

    Raises:
        ValueError: it lists nothing, or one of them is out of range.
    """
    listed: tuple[Any, ...] = (values,)
    if isinstance(values, list | tuple | range | np.ndarray):
        listed = tuple(values)
    if not listed:
        raise ValueError(f"{owner}: {name} is empty, expected whole numbers such as 5,7,9")
    for one in listed:
        check_whole(owner, name, one, least, most)
    return tuple(int(one) for one in listed)
