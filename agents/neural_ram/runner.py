"""A found program, to be run on memories of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from lukasa.memory.neural_ram import HardRun, Layout, Policy, Program, read_program, run_hard
from lukasa.tasks.ram import RamTask

SEEN = 50
"""Memories that a program is read off from."""


class Ran(NamedTuple):
    """What a program left.

    Attributes:
        memory: its cells.
        steps: that were taken.
        stopped: whether it stopped by itself, and not at the limit.
    """

    memory: list[int]
    steps: int
    stopped: bool


class ProgramRunner:
    """A program and the task that it was found for.

    Args:
        task: that it was found for.
        layout: of its machine.
        policy: chooses the wirings.
    """

    def __init__(self, task: RamTask, layout: Layout, policy: Policy):
        self.task, self.layout, self.policy = task, layout, policy

    def run(self, memory: Sequence[int], *, most: int | None = None) -> Ran:
        """Run it on a memory.

        Args:
            memory: as many integers as there are cells, M, each in 0..M−1, laid out as the task's are.
            most: the most steps; by default those of the longest problem that fits.

        Raises:
            ValueError: the memory is too small for the task, or holds what is no integer in 0..M−1.
        """
        cells = np.array(memory, dtype=object)
        if cells.ndim != 1 or not all(isinstance(one, int) and not isinstance(one, bool) for one in cells.tolist()):
            raise ValueError("a memory is a flat list of whole numbers, such as [4, 7, 6, 5, 0, 0, 0, 0]")
        length = longest_that_fits(self.task, len(cells))
        limit = self.task.steps(length) if most is None else most
        left = run_hard(self.layout, self.policy, cells[None].astype(np.int64), limit)
        return Ran(left.memory[0].tolist(), int(left.steps[0]), bool(left.stopped[0]))

    def trace(self, length: int, rows: int = SEEN, seed: int = 0) -> HardRun:
        """Run it on memories that are drawn, and keep what happened."""
        drawn = self.task.sample(length, rows, torch.Generator().manual_seed(seed))
        return run_hard(self.layout, self.policy, drawn.memory.numpy(), self.task.steps(length), trace=True)

    def program(self, length: int | None = None) -> Program:
        """The program as it is written down.

        Args:
            length: of the memories that it is read off from; the longest that is trained on by default.
        """
        return read_program(self.layout, self.trace(self.task.longest if length is None else length))


def longest_that_fits(task: RamTask, cells: int) -> int:
    """The greatest length of a task whose memory has at most so many cells.

    Raises:
        ValueError: none fits.
    """
    least = task.cells(task.shortest)
    if cells < least:
        raise ValueError(
            f"{task.name} needs a memory of at least {least} cells ({task.layout}), and this one has {cells}: add cells"
        )
    length = task.shortest
    while task.cells(length + 1) <= cells:
        length += 1
    return length
