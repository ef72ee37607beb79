"""A reader that learns from questions, and what its answers are worth.

Dimensions: B questions, A answers, M answers that are right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.optim import Optimizer

from lukasa.agents.learning import Learned, Trainer
from lukasa.agents.questions.source import QuestionSource
from lukasa.ground.statistics import Interval, wilson_interval
from lukasa.memory.readers import Reader, surprise
from lukasa.tasks import Score
from lukasa.tasks.questions import Questions, QuestionSet, accuracy_per_group

AT_ONCE = 256
"""Questions that are answered at once where a reader is scored."""


class QuestionLearner:
    """A reader as the trainer sees it.

    Args:
        reader: on its device.
        counts_errors: whether the score is the percentage of wrong answers, and not of right ones.
    """

    part = "reader"

    def __init__(self, reader: Reader, *, counts_errors: bool = True):
        self.reader, self.counts_errors = reader, counts_errors

    @property
    def module(self) -> Reader:
        """The reader."""
        return self.reader

    def learn(self, asked: Questions) -> Learned:
        """Add the gradient of the questions' mean loss, in nats, to that of the parameters."""
        asked = asked.to(next(self.reader.parameters()).device)
        self.reader.train()
        losses, reading = self.reader.losses(asked)
        losses.mean().backward()
        right = is_right(reading.scores, asked.answers)
        counted = ~right if self.counts_errors else right
        return Learned(float(losses.detach().mean()), Score(100.0 * int(counted.sum()), len(right)))


def question_trainer(
    reader: Reader,
    questions: QuestionSet,
    optimizer: Optimizer,
    generator: Generator,
    *,
    batch_size: int,
    noise: float = 0.0,
    **training: Any,
) -> Trainer[QuestionLearner, QuestionSource]:
    """A trainer of a reader on a set of questions.

    Args:
        reader: who is trained, on its device.
        questions: what it learns from.
        optimizer: of the reader's parameters.
        generator: decides, alone, what is drawn; a CPU generator.
        batch_size: questions in a batch.
        noise: as in ``QuestionSource``.
        **training: as in ``lukasa.agents.learning.Trainer``.

    Raises:
        ValueError: a number cannot be used.
    """
    source = QuestionSource(questions, batch_size, most=reader.sizes.sentences, noise=noise)
    learner = QuestionLearner(reader, counts_errors=questions.unit.startswith("error"))
    return Trainer(learner, source, optimizer, generator, batch_size=batch_size, **training)


def is_right(scores: Tensor, answers: Tensor) -> Tensor:
    """Whether the best answer [B] is one of those that are right.

    Args:
        scores: [B, A].
        answers: int64 [B, M].
    """
    return (scores.argmax(1, keepdim=True) == answers).any(1)


class Answered(NamedTuple):
    """How a reader did on the questions of one task.

    Attributes:
        task: its number.
        title: what it is called.
        questions: how many there are.
        wrong: of these.
        surprise: nats of the right answer, mean.
        whole: percent of the groups, such as dialogs, all of whose questions are answered right; None where each
            question is by itself.
    """

    task: int
    title: str
    questions: int
    wrong: int
    surprise: float
    whole: float | None = None

    @property
    def error(self) -> float:
        """Percent of wrong answers."""
        return 100 * self.wrong / self.questions

    @property
    def interval(self) -> Interval:
        """95 % confidence interval of the error."""
        low, high = wilson_interval(self.wrong / self.questions, self.questions)
        return 100 * low, 100 * high


def mean_surprise(answered: Sequence[Answered]) -> float:
    """Nats of the right answer, mean of all questions of all tasks; at least one."""
    return sum(one.surprise * one.questions for one in answered) / sum(one.questions for one in answered)


@torch.no_grad()
def answer_all(reader: Reader, questions: QuestionSet) -> Iterator[tuple[Questions, Tensor]]:
    """Every question of a set in order, batch by batch, with the scores of its answers."""
    device = next(reader.parameters()).device
    reader.eval()
    for rows in torch.arange(len(questions)).split(AT_ONCE):
        asked = questions.take(rows)
        yield asked, reader(asked.to(device)).scores.cpu()


def evaluate_questions(reader: Reader, questions: QuestionSet) -> list[Answered]:
    """How a reader does on a set of questions, task by task.

    Args:
        reader: trained.
        questions: with stories that it can hold.

    Raises:
        ValueError: there is no question, or a story is longer than the reader's memory.
    """
    if not len(questions):
        raise ValueError("there is no question to score: expected at least one")
    wrong, surprises, tasks = [], [], []
    for asked, scores in answer_all(reader, questions):
        wrong.append(~is_right(scores, asked.answers))
        surprises.append(surprise(scores, asked.answers))
        tasks.append(asked.tasks)
    each, nats, of = torch.cat(wrong), torch.cat(surprises), torch.cat(tasks)
    found = []
    for task, title in questions.titles.items():
        here = of == task
        if not here.any():
            continue
        groups = questions.groups[here]
        grouped = len(groups.unique()) < len(groups)
        whole = accuracy_per_group(~each[here], groups) if grouped else None
        found.append(Answered(task, title, int(here.sum()), int(each[here].sum()), float(nats[here].mean()), whole))
    return found
