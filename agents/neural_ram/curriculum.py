"""How difficult the next batch is, for each start by itself."""

from __future__ import annotations

import copy
import math
from typing import Any, Self

import torch
from torch import Generator, Tensor

WHOLE, UP_TO = 0.1, 0.35
"""Shares of the batches of any length at all, and of these with those of any length up to the level's."""
DECAY = 0.9
"""Of the running means of errors and costs, a batch."""


class Curriculum:
    """Levels of difficulty, by length, as in Zaremba & Sutskever 2014, section 6, and Kurach et al. 2016, section 5.

    A batch is of any length (one in ten), of any length up to D + e (one in four) or of D + e; D is the start's level
    and e geometric, 0 half of the time. A start goes on to the next level when the running mean of its errors is low.

    Args:
        starts: S.
        shortest: the first level.
        longest: the last one.
        threshold: error in percent of the cells, below which a level is done.

    Attributes:
        levels: int64 [S], D.
        errors: [S], running mean of the share of wrong cells since the level began, in percent.
        costs: [S], running mean of the cost of a cell, in nats.

    Raises:
        ValueError: the last level is below the first.
    """

    def __init__(self, starts: int, shortest: int, longest: int, threshold: float):
        if longest < shortest:
            raise ValueError(f"lengths from {shortest} to {longest}: expected the last to be at least the first")
        self.shortest, self.longest, self.threshold = shortest, longest, threshold
        self.levels = torch.full((starts,), shortest)
        self.errors, self.costs = torch.full((starts,), 100.0), torch.full((starts,), math.inf)

    def draw(self, generator: Generator) -> tuple[int, ...]:
        """The length of each start's next examples."""
        kind, share, *sames = torch.rand(2 + len(self.levels), generator=generator).tolist()
        if kind < WHOLE:  # one length for all: the longest one costs all of them the same time
            return (self.shortest + int(share * (self.longest - self.shortest + 1)),) * len(self.levels)
        extra = int(math.log2(1 / max(share, 1e-9)))  # at least e with probability 2 ** -e
        lengths = []
        for level, same in zip(self.levels.tolist(), sames, strict=True):
            most = min(level + extra, self.longest)
            lengths.append(self.shortest + int(same * (most - self.shortest + 1)) if kind < UP_TO else most)
        return tuple(lengths)

    def hear(self, errors: Tensor, costs: Tensor) -> None:
        """How each start's batch went.

        Args:
            errors: [S], percent of the cells.
            costs: [S], nats a cell.
        """
        self.errors = DECAY * self.errors + (1 - DECAY) * errors
        self.costs = torch.where(self.costs.isinf(), costs, DECAY * self.costs + (1 - DECAY) * costs)
        done = (self.errors < self.threshold) & (self.levels < self.longest)
        self.levels = self.levels + done
        self.errors = torch.where(done, 100.0, self.errors)

    @property
    def leader(self) -> int:
        """The start of the highest level, and of these that of the lowest cost: the best by training loss."""
        order = sorted(range(len(self.levels)), key=lambda one: (-int(self.levels[one]), float(self.costs[one])))
        return order[0]

    def copy(self) -> Self:
        """Another one that goes on from here."""
        return copy.copy(self)  # its tensors are replaced and never written to

    def state_dict(self) -> dict[str, Any]:
        """Where each start is."""
        return {"levels": self.levels, "errors": self.errors, "costs": self.costs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.levels, self.errors, self.costs = state["levels"], state["errors"], state["costs"]
