"""Tapes that are read and written by heads with discrete moves; after Zaremba & Sutskever 2015."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from lukasa.envs.row_programs import RowProgram
from lukasa.envs.tapes_machine import Machines, TapeWorld
from lukasa.envs.tapes_tasks import check_settings
from lukasa.ground.settings import check_whole

NAME = "Tapes"


class TapeTrace(NamedTuple):
    """What happened on the tapes in an episode, for pictures.

    Dimensions: T steps, R and W rows and width of the input, M cells of the memory tape that were visited.
    """

    cells: np.ndarray  # [R, W], symbols; ``blank`` where there is none
    heads: np.ndarray  # [T, 2], row and column before each step; beyond the tape too
    written: np.ndarray  # [T], the symbol; -1 where none was written
    right: np.ndarray  # bool [T], whether it was the right one
    memory: np.ndarray  # [T, M], before each step; M is 0 where there is no memory tape
    memory_heads: np.ndarray  # [T], among those M cells
    blank: int


class Tapes(gym.Env[Any, np.ndarray]):
    """Read an input tape with a head that moves, and write an output tape; after Zaremba & Sutskever 2015.

    Description:
        The input tape holds symbols, and blanks to both sides. A head stands on its first symbol and sees the one cell
        under it. What is to be written depends on ``task``; for the input 3 1 4::

            copy                3 1 4
            duplicated_input    3 1 4           of the input 3 3 1 1 4 4
            reverse             4 1 3
            repeat_copy         3 1 4 3 1 4     of the input 2 3 1 4; the first symbol says how often, 2 or 3 times
            addition            the sum of ``rows`` numbers, one below another with the lowest digit at the left, in
                                the base ``symbols``; it is written from the lowest digit too and has one digit more

        An episode's length, the symbols or digits of its input, is drawn uniformly from ``shortest`` to ``length``.

        With ``memory=True`` there is a third tape, blank at first, with a head of its own that reads one cell and
        writes one. With ``forward=True`` the head of the input cannot move left: what is to be reversed has to be put
        on the memory tape.

    Observation:
        ``Discrete(symbols + 1)``: the symbol under the head, ``symbols`` for a blank. With a memory tape
        ``MultiDiscrete``: that symbol, and the one under the head of the memory.

    Action:
        ``MultiDiscrete``: a move of the head (0 left, 1 stay, 2 right, and of an input of several rows 3 up, 4 down;
        with ``forward`` 0 stay, 1 right), whether a symbol is written (0, 1), and which. With a memory tape also the
        move of its head (0 left, 1 stay, 2 right) and the symbol put under it, ``symbols`` to leave it as it is.
        Symbols are written before heads move.

    Reward:
        1 / Y for each right symbol of the Y that are to be written. The best return is 1.

    Termination and truncation:
        Terminates with the last right symbol, with a wrong one, and after twice the steps that are needed and 4 more.
        Never truncates.

    Score:
        The success rate: the share of episodes in which all symbols were right. Best 1. Chance, the share of actions at
        random, next to 0; ``info["success"]`` says it at the end of every episode.

    Version history:
        v0: first version.

    Args:
        task: "copy", "duplicated_input", "reverse", "repeat_copy" or "addition".
        length: of the longest input, symbols.
        shortest: of the shortest input.
        symbols: in the alphabet, without the blank; the base of an addition.
        rows: of the input: 2 or 3 numbers for "addition", else 1.
        memory: whether there is a memory tape.
        forward: whether the head of the input cannot move left.

    Raises:
        ValueError: a setting is out of range, or two contradict each other.
    """

    def __init__(
        self,
        task: str = "copy",
        length: int = 10,
        shortest: int = 1,
        symbols: int = 5,
        rows: int = 1,
        memory: bool = False,
        forward: bool = False,
    ):
        self.world = tape_world(task, length, shortest, symbols, rows, memory, forward)
        self.observation_space, self.action_space = self.world.observation_space, self.world.action_space
        self.machines = Machines(self.world, 1)
        self._over, self._trace = True, []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Draw the tapes of an episode."""
        super().reset(seed=seed)
        self.machines.start(0, self.np_random)
        self._over, self._trace = False, []
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Write, and move the heads."""
        if self._over:
            raise gym.error.ResetNeeded(f"{NAME}: the episode is over, call reset() before step()")
        if not self.action_space.contains(np.asarray(action)):
            raise ValueError(f"{NAME}: action {action!r} is not one of {self.action_space}")
        action = np.asarray(action)
        before = (*self.machines.head[0].tolist(), self.machines.memory[0].copy(), int(self.machines.memory_head[0]))
        outcome = self.machines.act(action[None], np.ones(1, bool))
        self._trace.append((*before, int(action[2]) if action[1] else -1, bool(outcome.rewards[0] > 0)))
        self._over = bool(outcome.terminated[0])
        info = {"success": bool(outcome.success[0])} if self._over else {}
        return self._observe(), float(outcome.rewards[0]), self._over, False, info

    def oracle(self) -> np.ndarray:
        """An action on a shortest way to success."""
        if self._over:
            raise gym.error.ResetNeeded(f"{NAME}: there is no tape yet, call reset() before oracle()")
        return self.machines.oracle(0)

    def grow(self, length: int) -> None:
        """Draw the inputs of the next episodes up to a length, as a curriculum asks; at most that of the settings."""
        self.machines.longest = _grown(self.world, length)

    @property
    def full_length(self) -> int:
        """Of the longest input that the settings allow."""
        return self.world.length

    def tape_trace(self) -> TapeTrace:
        """What happened on the tapes since the last ``reset``, after at least one step."""
        if not self._trace:
            raise gym.error.ResetNeeded(f"{NAME}: nothing was done yet, call reset() and step() before tape_trace()")
        rows, columns, memories, places, written, right = zip(*self._trace, strict=True)
        memory, places = np.stack(memories), np.array(places)
        first, last = (places.min(), places.max() + 1) if self.world.memory else (0, 0)
        heads = np.stack([rows, columns], 1)
        return TapeTrace(
            self.machines.cells[0].copy(),
            heads,
            np.array(written),
            np.array(right),
            memory[:, first:last],
            places - first,
            self.machines.blank,
        )

    def _observe(self) -> Any:
        seen = self.machines.observe()[0]
        return seen if self.world.memory else int(seen)


class TapesVector(RowProgram):
    """Many copies of ``Tapes`` in one NumPy program, with next-step autoreset; settings as there.

    Equal to ``SyncVectorEnv`` over single environments with the same list of seeds, infos included.

    Args:
        num_envs: B, number of copies.
        settings: as those of ``Tapes``.

    Raises:
        ValueError: a setting is out of range, or two contradict each other.
    """

    def __init__(self, num_envs: int = 1, **settings: Any):
        self.world = Tapes(**settings).world
        super().__init__(NAME, num_envs, self.world.observation_space, self.world.action_space)
        self.machines = Machines(self.world, num_envs)

    def step(self, actions: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Act once in every copy; copies whose episode ended in the step before start over instead."""
        if not self.action_space.contains(np.asarray(actions)):
            raise ValueError(f"{NAME}: expected {self.num_envs} actions, each one of {self.single_action_space}")
        starting = self._over
        outcome = self.machines.act(np.asarray(actions), ~starting)
        self._start(starting)
        self._over = outcome.terminated
        infos = {"success": outcome.success, "_success": self._over.copy()} if self._over.any() else {}
        truncated = np.zeros(self.num_envs, bool)
        return self._observe(), outcome.rewards, self._over.copy(), truncated, infos

    def grow(self, length: int) -> None:
        """Draw the inputs of the next episodes up to a length, as a curriculum asks; at most that of the settings."""
        self.machines.longest = _grown(self.world, length)

    @property
    def full_length(self) -> int:
        """Of the longest input that the settings allow."""
        return self.world.length

    def _start(self, starting: np.ndarray) -> None:
        for row in np.flatnonzero(starting).tolist():
            self.machines.start(row, self._generators[row])

    def _observe(self) -> Any:
        return self.machines.observe()


def tape_world(
    task: str, length: int, shortest: int, symbols: int, rows: int, memory: bool, forward: bool
) -> TapeWorld:
    """The world of a ``Tapes``; settings as there."""
    check_settings(NAME, task, length, shortest, symbols, rows, memory, forward)
    return TapeWorld(NAME, task, int(length), int(shortest), int(symbols), int(rows), bool(memory), bool(forward))


def _grown(world: TapeWorld, length: int) -> int:
    check_whole(NAME, "length", length, 1, world.length)
    return int(length)
