"""Heads that read, write and move on tapes, all copies at once.

Dimensions: B copies, R rows of the input, W its width, Y symbols to write, M cells of the memory tape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium.spaces import Discrete, MultiDiscrete

from lukasa.envs.tapes_tasks import TASKS, limits, patience, steps_needed

LEFT, STAY, RIGHT, UP, DOWN = range(5)
MOVES = ("left", "stay", "right", "up", "down")
SHIFTS = np.array([[0, -1], [0, 0], [0, 1], [-1, 0], [1, 0]])
"""Rows and columns of each move."""


@dataclass(frozen=True)
class TapeWorld:
    """What is played.

    Attributes:
        name: of the environment, for messages.
        task: key of ``tapes_tasks.TASKS``.
        length: longest input.
        shortest: shortest input.
        symbols: in the alphabet; one more is the blank of cells that hold none.
        rows: R.
        memory: whether there is a memory tape.
        forward: whether the head of the input cannot move left.
    """

    name: str
    task: str
    length: int
    shortest: int
    symbols: int
    rows: int
    memory: bool
    forward: bool

    @property
    def moves(self) -> tuple[str, ...]:
        """Of the head of the input, by number."""
        if self.forward:
            return MOVES[STAY : RIGHT + 1]
        return MOVES if self.rows > 1 else MOVES[: RIGHT + 1]

    @property
    def observation_space(self) -> Any:
        """What is under the head of the input; with a memory tape also what is under its head."""
        return MultiDiscrete([self.symbols + 1] * 2) if self.memory else Discrete(self.symbols + 1)

    @property
    def action_space(self) -> MultiDiscrete:
        """Move, whether to write, and what; with a memory tape its move, and what is put there or nothing."""
        return MultiDiscrete([len(self.moves), 2, self.symbols, *([3, self.symbols + 1] if self.memory else [])])


class Outcome(NamedTuple):
    """What became of a step."""

    rewards: np.ndarray  # [B]
    terminated: np.ndarray  # bool [B]
    success: np.ndarray  # bool [B]


class Machines:
    """Tapes and heads of several copies.

    Args:
        world: what is played.
        count: B.

    Attributes:
        longest: of the inputs that the next episodes draw; from ``shortest`` to ``length``.
    """

    def __init__(self, world: TapeWorld, count: int):
        self.world, self.longest = world, world.length
        sizes = limits(world.task, world.length, world.rows)
        self.blank = world.symbols
        self.cells = np.full((count, world.rows, sizes.width), self.blank)  # [B, R, W]
        self.target = np.zeros((count, sizes.target), np.int64)  # [B, Y]
        self.source = np.zeros((count, sizes.target, 2), np.int64)  # [B, Y, 2]
        self.head = np.zeros((count, 2), np.int64)  # [B, 2]
        self.wanted = np.ones(count, np.int64)  # [B], symbols to write
        self.written = np.zeros(count, np.int64)  # [B], symbols written
        self.limit = np.ones(count, np.int64)  # [B]
        self.time = np.zeros(count, np.int64)  # [B]
        self.middle = sizes.steps
        self.memory = np.full((count, 2 * sizes.steps + 1 if world.memory else 1), self.blank)  # [B, M]
        self.memory_head = np.full(count, self.middle if world.memory else 0)  # [B]
        self.rows = np.arange(count)
        self._moves = np.array([MOVES.index(move) for move in world.moves])

    def start(self, row: int, generator: np.random.Generator) -> None:
        """Draw the tapes of one copy and put its heads at their start."""
        world = self.world
        length = int(generator.integers(min(world.shortest, self.longest), self.longest + 1))
        tape = TASKS[world.task](generator, length, world.symbols, world.rows)
        wanted = len(tape.target)
        self.cells[row] = self.blank
        self.cells[row, :, : tape.cells.shape[1]] = tape.cells
        self.target[row, :wanted], self.source[row, :wanted] = tape.target, tape.source
        needed = 2 * length if world.forward else steps_needed(tape.source)
        self.wanted[row], self.limit[row] = wanted, patience(needed)
        self.head[row], self.written[row], self.time[row] = 0, 0, 0
        if world.memory:
            self.memory[row], self.memory_head[row] = self.blank, self.middle

    def act(self, actions: np.ndarray, playing: np.ndarray) -> Outcome:
        """Write, then move, those that are playing.

        Args:
            actions: [B, parts], of the action space.
            playing: bool [B].
        """
        writes = (actions[:, 1] == 1) & playing
        due = self.target[self.rows, np.minimum(self.written, self.target.shape[1] - 1)]
        right = writes & (actions[:, 2] == due)
        self.written += right
        if self.world.memory:
            put = playing & (actions[:, 4] < self.blank)
            self.memory[self.rows[put], self.memory_head[put]] = actions[put, 4]
            steps = np.where(playing, actions[:, 3] - 1, 0)
            self.memory_head = np.clip(self.memory_head + steps, 0, self.memory.shape[1] - 1)
        self.head = self.head + SHIFTS[self._moves[actions[:, 0]]] * playing[:, None]
        self.time += playing
        success = right & (self.written == self.wanted)
        over = success | (writes & ~right) | (playing & (self.time >= self.limit))
        return Outcome(np.where(right, 1 / self.wanted, 0.0), over, success)

    def observe(self) -> np.ndarray:
        """What is under the heads: [B], or [B, 2] with a memory tape."""
        rows, width = self.cells.shape[1:]
        inside = (self.head >= 0).all(1) & (self.head[:, 0] < rows) & (self.head[:, 1] < width)
        at = np.where(inside[:, None], self.head, 0)
        seen = np.where(inside, self.cells[self.rows, at[:, 0], at[:, 1]], self.blank)
        return np.stack([seen, self.memory[self.rows, self.memory_head]], 1) if self.world.memory else seen

    def oracle(self, row: int) -> np.ndarray:
        """An action of one copy on a shortest way to success, which reads what it writes."""
        if self.world.forward:
            return self._by_memory(row)
        done, last = int(self.written[row]), int(self.wanted[row]) - 1
        here, there = self.head[row], self.source[row, done]
        write = bool((here == there).all())
        move = self._towards(here, self.source[row, min(done + 1, last)] if write else there)
        kept = [STAY, self.blank] if self.world.memory else []
        return np.array([self.world.moves.index(MOVES[move]), int(write), self.target[row, done], *kept])

    def _towards(self, here: np.ndarray, there: np.ndarray) -> int:
        down, along = (there - here).tolist()
        if along:
            return RIGHT if along > 0 else LEFT
        return (DOWN if down > 0 else UP) if down else STAY

    def _by_memory(self, row: int) -> np.ndarray:
        """What is read once is put on the memory tape, and read there backward."""
        column, length = int(self.head[row, 1]), int(self.wanted[row])
        stay, right = self.world.moves.index("stay"), self.world.moves.index("right")
        if column < length:
            back = RIGHT if column < length - 1 else STAY
            return np.array([right, 0, 0, back, self.cells[row, 0, column]])
        symbol = self.memory[row, self.memory_head[row]]
        return np.array([stay, 1, min(int(symbol), self.blank - 1), LEFT, self.blank])
