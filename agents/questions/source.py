"""Draws questions to learn from, epoch by epoch."""

from __future__ import annotations

import copy
from typing import Any, Self

import torch
from torch import Generator

from lukasa.agents.learning import Learned
from lukasa.tasks.questions import Questions, QuestionSet, with_empty_memories


class QuestionSource:
    """Every question of a set once, in random order, then all of them again.

    Args:
        questions: the set.
        batch_size: questions in a batch.
        most: sentences that a story may have.
        noise: empty memories for each sentence, at random places.

    Raises:
        ValueError: the set is empty.
    """

    def __init__(self, questions: QuestionSet, batch_size: int, *, most: int, noise: float = 0.0):
        if not len(questions):
            raise ValueError("there is no question to learn from: expected at least one")
        self.questions, self.batch_size, self.most, self.noise = questions, batch_size, most, noise
        self._order = torch.zeros(0, dtype=torch.int64)  # what is left of the epoch

    def choose(self, generator: Generator) -> tuple[int, ...]:
        """The places of the next questions."""
        while len(self._order) < self.batch_size:
            self._order = torch.cat([self._order, torch.randperm(len(self.questions), generator=generator)])
        chosen, self._order = self._order[: self.batch_size], self._order[self.batch_size :]
        return tuple(chosen.tolist())

    def sample(self, chosen: tuple[int, ...], rows: int, generator: Generator) -> Questions:
        """Those questions, with empty memories among their sentences."""
        asked = self.questions.take(torch.tensor(chosen[:rows]))
        return with_empty_memories(asked, self.noise, self.most, generator) if self.noise else asked

    def report(self, learned: Learned) -> None:
        """Nothing depends on it."""

    @property
    def level(self) -> int:
        """There is one."""
        return 0

    def ahead(self) -> Self:
        """A copy whose choices do not touch this one."""
        return copy.copy(self)

    def state_dict(self) -> dict[str, Any]:
        """What is left of the epoch."""
        return {"order": self._order.clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._order = state["order"].clone()
