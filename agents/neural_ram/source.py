"""Draws memories for machines to learn from.

Dimensions: S starts, B rows of each, M cells.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple, Self

import torch
from torch import Generator, Tensor

from lukasa.agents.learning import Learned
from lukasa.agents.neural_ram.curriculum import Curriculum
from lukasa.tasks.ram import RamTask


class MachineBatch(NamedTuple):
    """Memories for each start.

    Attributes:
        memory: int64 [S, B, M].
        target: int64 [S, B, M].
        mask: bool [S, B, M], the cells that count.
        limits: int64 [S, B], the most steps.
        number: of the batch, from 0 on.
        noise: seed of the noise that is added to the gradient.
    """

    memory: Tensor
    target: Tensor
    mask: Tensor
    limits: Tensor
    number: int
    noise: int

    def rows(self, start: int, stop: int) -> Self:
        """Some rows of every start."""
        parts = [one[:, start:stop] for one in self[:4]]
        return self._replace(memory=parts[0], target=parts[1], mask=parts[2], limits=parts[3])


class Chosen(NamedTuple):
    """What the next batch is of: each start's length, and the cells of all their memories."""

    number: int
    lengths: tuple[int, ...]
    cells: int


class MachineSource:
    """Memories of the length that is each start's turn.

    Args:
        task: what is learned.
        curriculum: says how long; the learner lets it know how a batch went.
        spare: up to so many cells more than are needed, so that M is not always the same.
    """

    def __init__(self, task: RamTask, curriculum: Curriculum, *, spare: int = 2):
        self.task, self.curriculum, self.spare, self.number = task, curriculum, spare, 0

    def choose(self, generator: Generator) -> Chosen:
        """The lengths and the number of cells of the next batch."""
        lengths = self.curriculum.draw(generator)
        spare = int(torch.randint(0, self.spare + 1, (1,), generator=generator))
        self.number += 1
        return Chosen(self.number - 1, lengths, max(map(self.task.cells, lengths)) + spare)

    def sample(self, chosen: Chosen, rows: int, generator: Generator) -> MachineBatch:
        """Draw memories of those lengths."""
        drawn = [self.task.sample(length, rows, generator, chosen.cells) for length in chosen.lengths]
        limits = torch.tensor([self.task.steps(length) for length in chosen.lengths])
        memory, target, mask = (torch.stack(part) for part in zip(*drawn, strict=True))
        noise = int(torch.randint(0, 2**31, (1,), generator=generator))
        limits = limits.unsqueeze(1).expand(-1, rows)
        return MachineBatch(memory, target, mask, limits, chosen.number, noise)

    def report(self, learned: Learned) -> None:
        """The learner has said how each start did."""

    @property
    def level(self) -> int:
        """Of the start that is best."""
        return int(self.curriculum.levels[self.curriculum.leader])

    def ahead(self) -> Self:
        """A copy whose choices do not touch this one."""
        other = copy.copy(self)
        other.curriculum = self.curriculum.copy()
        return other

    def state_dict(self) -> dict[str, Any]:
        """Where each start is, and how many batches there were."""
        return self.curriculum.state_dict() | {"number": self.number}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.curriculum.load_state_dict(state)
        self.number = int(state["number"])
