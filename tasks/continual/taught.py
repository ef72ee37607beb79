"""What one batch of a stream of tasks is, and the stream.

Dimensions: B examples, A answers to one, K answers that there are, T tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

Form = Literal["pictures", "stories", "sequences"]
"""What the examples of a stream are."""


class Taught(NamedTuple):
    """Examples of one task or several, whatever they are, with the right answers."""

    inputs: Tensor  # [B, ...]; pictures uint8, stories numbers of words, sequences float
    answers: Tensor  # int64 [B, A], from 0; -1 where nothing is asked
    tasks: Tensor  # int64 [B], the number of each one's task
    groups: Tensor  # int64 [B], what an episodic memory shares its slots out to: a class, or a task

    def rows(self, start: int, stop: int) -> Taught:
        """Some of the examples."""
        return Taught(*(tensor[start:stop] for tensor in self))

    def take(self, places: Tensor) -> Taught:
        """The examples at some places, int64."""
        return Taught(*(tensor[places] for tensor in self))

    def to(self, device: str | torch.device) -> Taught:
        """On another device."""
        return Taught(*(tensor.to(device) for tensor in self))

    @classmethod
    def joined(cls, parts: Sequence[Taught]) -> Taught:
        """All examples of some batches, one batch after the other."""
        return cls(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def taught(inputs: Tensor, answers: Tensor, task: int, groups: Tensor | None = None) -> Taught:
    """Examples of one task.

    Args:
        inputs: [B, ...].
        answers: int64 [B, A].
        task: its number.
        groups: int64 [B]; the task itself by default.
    """
    of = torch.full((len(inputs),), task)
    return Taught(inputs, answers, of, of.clone() if groups is None else groups)


@dataclass(frozen=True, eq=False)
class Stream:
    """Tasks that are learned one after the other.

    Attributes:
        form: what its examples are.
        names: of the tasks, in their order.
        train: examples to learn from, task by task.
        test: examples to be scored on, task by task; never trained on.
        columns: int64, the answers that each task may have, task by task.
        answers: how many answers there are in all (K).
        groups: how many groups an episodic memory may have to keep apart.
        source: what results call the data.
        sizes: what else a network has to know of the examples.
    """

    form: Form
    names: tuple[str, ...]
    train: tuple[Taught, ...]
    test: tuple[Taught, ...]
    columns: tuple[Tensor, ...]
    answers: int
    groups: int
    source: str
    sizes: Any = None

    def __len__(self) -> int:
        """How many tasks there are (T)."""
        return len(self.names)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example."""
        return tuple(self.train[0].inputs.shape[1:])

    @property
    def shares_answers(self) -> bool:
        """Whether two tasks have an answer in common."""
        return sum(map(len, self.columns)) > len(torch.cat(self.columns).unique())

    def chance(self, task_known: bool) -> float:
        """Percent of right answers of one who guesses, mean of all tasks.

        Args:
            task_known: whether the guess is among the answers of the task, or among all.
        """
        each = [100 / (len(one) if task_known else self.answers) for one in self.columns]
        return sum(each) / len(each)


def divided(count: int, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Deal places out: those to learn from and those to be scored on, both in order.

    Args:
        count: how many there are.
        share: to be scored on, of 1; at least one place.
        generator: deals.
    """
    dealt = torch.randperm(count, generator=generator)
    tested = max(1, round(share * count))
    return dealt[tested:].sort().values, dealt[:tested].sort().values
