"""Learning a stream: its examples batch by batch, task by task, and what is left of each task after each.

Dimensions: T tasks. R[i, j] is the accuracy on task j after task i was learned.
"""

from __future__ import annotations

import copy
from typing import Any, Self

import torch
from torch import Generator

from lukasa.agents.continual.methods import Method
from lukasa.agents.continual.methods.method import right_answers
from lukasa.agents.learning import Learned, StepResult, Trainer
from lukasa.tasks.continual import Stream, Taught

AT_ONCE = 256
"""Examples that are answered at once where a method is scored."""


class StreamSource:
    """Examples of one task after another: all of a task in random order, then again, until its batches are over.

    Args:
        stream: the tasks.
        batch_size: examples in a batch.
        batches: of each task.
        together: whether every batch is drawn from all tasks, as for the ceiling.

    Attributes:
        drawn: batches so far.
        current: the last batch that was drawn, whole.

    Raises:
        ValueError: a number is not positive.
    """

    def __init__(self, stream: Stream, batch_size: int, batches: int, *, together: bool = False):
        if min(batch_size, batches) < 1:
            raise ValueError(f"batch_size is {batch_size} and batches {batches}: expected at least 1")
        self.stream, self.batch_size, self.batches, self.together = stream, batch_size, batches, together
        self.drawn = 0
        self._all = Taught.joined(stream.train)
        counts = torch.tensor([len(one.tasks) for one in stream.train])
        self._ends = counts.cumsum(0)
        self._order = torch.zeros(0, dtype=torch.int64)  # what is left of the round

    @property
    def level(self) -> int:
        """The task whose batches are drawn now, from 0."""
        return min(self.drawn // self.batches, len(self.stream) - 1)

    @property
    def current(self) -> Taught:
        """The batch that was chosen last, whole."""
        return self._all.take(self._chosen)

    def choose(self, generator: Generator) -> tuple[int, ...]:
        """The places of the next examples."""
        task = self.level
        first = 0 if self.together or not task else int(self._ends[task - 1])
        last = int(self._ends[-1 if self.together else task])
        if self.drawn % self.batches == 0 and not self.together:
            self._order = self._order[:0]
        while len(self._order) < self.batch_size:
            self._order = torch.cat([self._order, first + torch.randperm(last - first, generator=generator)])
        self._chosen, self._order = self._order[: self.batch_size], self._order[self.batch_size :]
        self.drawn += 1
        return tuple(self._chosen.tolist())

    def sample(self, chosen: tuple[int, ...], rows: int, generator: Generator) -> Taught:
        """Those examples."""
        return self._all.take(torch.tensor(chosen[:rows]))

    def report(self, learned: Learned) -> None:
        """Nothing depends on it."""

    def ahead(self) -> Self:
        """A copy whose choices do not touch this one."""
        return copy.copy(self)

    def state_dict(self) -> dict[str, Any]:
        """What is left of the round, and how many batches were drawn."""
        return {"order": self._order.clone(), "drawn": self.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._order, self.drawn = state["order"].clone(), state["drawn"]


class StreamTrainer:
    """A trainer that says to a method where tasks begin and end, and scores it on all of them after each.

    The optimiser begins anew with each task.

    Args:
        trainer: of the method, on a ``StreamSource``, before its first batch.

    Attributes:
        matrix: R, a row of percents for each task that is over.
        before: percents on every task before anything was learned; empty until the first batch.
    """

    def __init__(self, trainer: Trainer[Any, StreamSource]):
        self.trainer = trainer
        self.method: Method = trainer.learner
        self.source: StreamSource = trainer.source
        self.stream = self.source.stream
        self.matrix: list[list[float]] = []
        self.before: list[float] = []

    @property
    def done(self) -> int:
        """Examples so far."""
        return self.trainer.done

    @property
    def batches(self) -> int:
        """Batches so far."""
        return self.trainer.batches

    @property
    def task(self) -> int:
        """The task of the last batch, from 0."""
        return max(0, self.batches - 1) // self.source.batches

    @property
    def task_is_over(self) -> bool:
        """Whether the last batch ended a task."""
        return self.batches > 0 and self.batches % self.source.batches == 0

    def step(self) -> StepResult:
        """One batch.

        Raises:
            DivergenceError: the loss or a gradient is not finite.
        """
        task, place = divmod(self.batches, self.source.batches)
        if not self.batches:
            self.before = accuracies(self.method, self.stream)
        if not place:
            self.method.begin_task(task)
            self.trainer.optimizer.state.clear()
        result = self.trainer.step()
        self.method.updated(self.source.current)
        if self.task_is_over:
            self.method.end_task(task, self.stream.train[task])
            self.matrix.append(accuracies(self.method, self.stream))
        return result

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides about the steps to come."""
        return {
            **self.trainer.state_dict(),
            "method": self.method.state_dict(),
            "method_generator": self.method.generator.get_state(),
            "task": self.task,
            "matrix": self.matrix,
            "before": self.before,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state: the steps to come are those that would have come then, bit for bit."""
        if state["batches"]:
            self.method.begin_task(state["task"])
        self.trainer.load_state_dict(state)
        self.method.load_state_dict(state["method"])
        self.method.generator.set_state(state["method_generator"])
        self.matrix, self.before = [list(row) for row in state["matrix"]], list(state["before"])


def accuracies(method: Method, stream: Stream) -> list[float]:
    """Percent of right answers on the test examples of each task."""
    return [accuracy(method, examples) for examples in stream.test]


@torch.no_grad()
def accuracy(method: Method, examples: Taught) -> float:
    """Percent of right answers of a method.

    Args:
        method: who answers.
        examples: at least one answer is asked for.
    """
    device = next(method.network.parameters()).device
    right, asked = 0, 0
    for start in range(0, len(examples.tasks), AT_ONCE):
        batch = examples.rows(start, start + AT_ONCE).to(device)
        found = right_answers(method.network, method.scores(batch.inputs, batch.tasks), batch)
        right, asked = right + found[0], asked + found[1]
    return 100 * right / max(1, asked)
