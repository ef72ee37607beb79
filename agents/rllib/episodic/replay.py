"""Sequences of steps that are learned from again, with the memory's state before each and the returns of its steps.

Legend: C rows that are kept, T steps of a row, B rows of a batch.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
import tree
from ray.rllib.core.columns import Columns
from torch import Tensor

RETURNS = "episodic_returns"
"""Column of a batch, float [B, T]; steps whose return is not known yet are left out by the loss mask."""


class Replay:
    """The last rows of train batches, each at its place until another one takes it.

    Args:
        rows: C.
        steps: T.
    """

    def __init__(self, rows: int, steps: int):
        self.rows, self.steps = max(1, rows), steps
        self.returns = torch.full((self.rows, steps), torch.nan)
        self._kept: list[dict[str, Any]] = []
        self._next = 0
        self._added = 0

    def __len__(self) -> int:
        """Rows that there are."""
        return len(self._kept)

    def add(self, columns: dict[str, Any]) -> Tensor:
        """Keep rows [B, T, ...] with what else belongs to a row, [B, ...]; returns the place of each step, [B, T].

        A place names a row for ever: it counts all rows that were ever added.
        """
        count = len(columns[Columns.SEQ_LENS])
        numbers = torch.arange(self._added, self._added + count)
        for row in range(count):
            one: Any = tree.map_structure(lambda part, row=row: part[row].clone(), columns)
            if len(self._kept) < self.rows:
                self._kept.append(one)
            else:
                self._kept[self._next] = one
            self.returns[self._next] = torch.nan
            self._next = (self._next + 1) % self.rows
        self._added += count
        return numbers.unsqueeze(1) * self.steps + torch.arange(self.steps)

    def set_returns(self, places: Tensor, returns: Tensor) -> None:
        """Note returns of steps, those of rows that are gone aside."""
        rows = places // self.steps
        there = rows >= self._added - self.rows
        self.returns[rows[there] % self.rows, places[there] % self.steps] = returns[there].to(self.returns.dtype)

    def draw(self, count: int, generator: torch.Generator) -> dict[str, Any] | None:
        """A batch of rows that have a step whose return is known, drawn with repetition; None where none has."""
        known = torch.isfinite(self.returns[: len(self._kept)])
        rows = known.any(1).nonzero().flatten()
        if not len(rows):
            return None
        rows = rows[torch.randint(len(rows), (count,), generator=generator)]
        batch = _stacked([self._kept[row] for row in rows.tolist()])
        known = known[rows]
        return {**batch, RETURNS: self.returns[rows].masked_fill(~known, 0), Columns.LOSS_MASK: known}


def _stacked(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows as one batch; states of sparse memories, which hold as many words as were written, are filled up."""
    stacked: Any = tree.map_structure_with_path(lambda path, *parts: _filled(str(path[-1]), parts), *rows)
    return stacked


def _filled(name: str, parts: tuple[Tensor, ...]) -> Tensor:
    if len({part.shape for part in parts}) == 1:
        return torch.stack(parts)
    longest = max(len(part) for part in parts)
    gap = -1 if name.endswith(".order") else 0
    widths = [(0, 0) * (part.dim() - 1) + (0, longest - len(part)) for part in parts]
    return torch.stack([F.pad(part, width, value=gap) for part, width in zip(parts, widths, strict=True)])
