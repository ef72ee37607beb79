"""Memories before and after a program, and what a task of them is.

Dimensions: B memories, M cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Generator, Tensor


class Memories(NamedTuple):
    """Memories that a program is given, and what it should leave.

    Attributes:
        memory: int64 [B, M], each value in 0..M−1.
        target: int64 [B, M].
        mask: bool [B, M], the cells that count: only those of the answer.
    """

    memory: Tensor
    target: Tensor
    mask: Tensor

    def rows(self, start: int, stop: int) -> Self:
        """Some of them."""
        return type(self)(*(one[start:stop] for one in self))


@dataclass(frozen=True)
class RamTask:
    """A task on a random-access memory.

    Attributes:
        name: as on the command line.
        about: what is asked, in a line.
        layout: the cells, from 0 on.
        draw: from a length, rows, cells and a generator to memories of just that length.
        cells: from a length to the fewest cells.
        steps: from a length to the most steps that a machine may take.
        shortest: the least length.
        longest: the greatest that is trained on.
        easy: whether it is one of those that the paper's machines learned to do perfectly.
    """

    name: str
    about: str
    layout: str
    draw: Callable[[int, int, int, Generator], Memories]
    cells: Callable[[int], int]
    steps: Callable[[int], int]
    shortest: int
    longest: int
    easy: bool = True

    def sample(self, length: int, rows: int, generator: Generator, cells: int | None = None) -> Memories:
        """Draw memories.

        Args:
            length: of the array or list, nodes of the tree.
            rows: B.
            generator: decides, alone, what is drawn.
            cells: M; the fewest by default.

        Raises:
            ValueError: the length or the number of cells is too small.
        """
        if length < self.shortest:
            raise ValueError(f"{self.name} of length {length}: expected at least {self.shortest}")
        least = self.cells(length)
        cells = least if cells is None else cells
        if cells < least:
            raise ValueError(f"{self.name} of length {length} needs {least} cells, and the memory has {cells}")
        return self.draw(length, rows, cells, generator)


def empty(rows: int, cells: int) -> tuple[Tensor, Tensor]:
    """A memory of zeros and a mask of nothing."""
    return torch.zeros(rows, cells, dtype=torch.int64), torch.zeros(rows, cells, dtype=torch.bool)


def values(rows: int, count: int, below: int, generator: Generator) -> Tensor:
    """Values [rows, count] in 1..below−1: 0 is NULL."""
    return torch.randint(1, below, (rows, count), generator=generator)


def permutations(rows: int, count: int, generator: Generator) -> Tensor:
    """Random orders [rows, count] of 0..count−1."""
    return torch.rand(rows, count, generator=generator).argsort(1)


def pick(table: Tensor, places: Tensor) -> Tensor:
    """In each row the values [B, n] at places [B, n]."""
    return table.gather(1, places)
