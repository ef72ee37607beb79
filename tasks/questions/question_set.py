"""Questions about stories as a whole set: all of them as tables of numbers, and batches out of these.

Dimensions: N questions, X sentences of all stories, L words of a sentence, Q words of a question, M answers, F
supporting sentences, B questions of a batch, S sentences of a story.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lukasa.tasks.questions.batch import Questions

QuestionUnit = Literal["error %", "accuracy %", "hits@1 %"]


class Question(NamedTuple):
    """One question about a story, in words."""

    story: Sequence[Sequence[str]]  # sentences, the oldest first
    question: Sequence[str]
    answers: Sequence[str]  # those that are right, the first to be learned
    support: Sequence[int] = ()  # places of sentences in the story, in the order of use
    task: int = 0
    group: int = -1  # what its question belongs to, such as a dialog; -1: it is by itself


@dataclass(frozen=True)
class Vocabulary:
    """The words and answers of a set of questions.

    Attributes:
        words: by their number; the first, number 0, is none.
        answers: by their number, as people read them.
        answer_words: the words of each answer; one that is no word of a sentence is one of its own.
        ranked: whether answers are sentences, to be ranked by their words.
    """

    words: tuple[str, ...]
    answers: tuple[str, ...]
    answer_words: tuple[tuple[str, ...], ...]
    ranked: bool = False

    @classmethod
    def of(
        cls, words: Sequence[str], answers: Sequence[str], answer_words: Sequence[Sequence[str]] | None = None
    ) -> Vocabulary:
        """The vocabulary of sentences with these words, and these answers.

        Args:
            words: of the sentences, without the one that is none.
            answers: all that there are.
            answer_words: the words of each, where answers are sentences that are ranked; each answer is one word else.
        """
        known = ("", *words)
        if answer_words is None:
            words_known = set(known)
            further = tuple(one for one in answers if one not in words_known)
            return cls((*known, *further), tuple(answers), tuple((one,) for one in answers))
        return cls(known, tuple(answers), tuple(tuple(one) for one in answer_words), ranked=True)


@dataclass(frozen=True, eq=False)
class QuestionSet:
    """Questions about stories, all in numbers.

    Attributes:
        vocabulary: of the words and answers.
        unit: that its answers are scored in.
        titles: of the tasks, by the numbers in ``tasks``.
        lines: int64 [X, L], all sentences of all stories.
        begins: int64 [N], the number of the first sentence that each question may look at.
        counts: int64 [N], how many it may look at.
        questions: int64 [N, Q].
        answers: int64 [N, M], -1 after; an answer that the vocabulary lacks is -1 too.
        support: int64 [N, F], places among the sentences of the question, -1 after.
        tasks: int64 [N].
        source: what results call the data.
        groups: int64 [N], the number of the group that each question is in, such as its dialog; by default each is one
            by itself.
        order: int64, the numbers of sentences, where stories are not runs of ``lines`` but of it; empty where they are.
    """

    vocabulary: Vocabulary
    unit: QuestionUnit
    titles: dict[int, str]
    lines: Tensor
    begins: Tensor
    counts: Tensor
    questions: Tensor
    answers: Tensor
    support: Tensor
    tasks: Tensor
    source: str
    groups: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    order: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))

    def __post_init__(self) -> None:
        if len(self.groups) != len(self):
            object.__setattr__(self, "groups", torch.arange(len(self)))

    def __len__(self) -> int:
        """How many questions there are."""
        return len(self.questions)

    @property
    def longest(self) -> int:
        """The most words of a sentence or question."""
        return max(self.lines.shape[1], self.questions.shape[1])

    @property
    def most_sentences(self) -> int:
        """The most sentences of a story."""
        return int(self.counts.max()) if len(self) else 0

    @property
    def most_supports(self) -> int:
        """The most supporting sentences of a question."""
        return int((self.support >= 0).sum(1).max()) if len(self) else 0

    def of_tasks(self, tasks: Sequence[int]) -> QuestionSet:
        """The questions of some of its tasks.

        Raises:
            ValueError: there is none of one of them.
        """
        missing = [task for task in tasks if task not in self.titles]
        if missing:
            raise ValueError(f"there is no task {missing[0]}: choose among {', '.join(map(str, self.titles))}")
        chosen = torch.isin(self.tasks, torch.tensor(list(tasks)))
        return replace(self.only(chosen.nonzero().squeeze(1)), titles={task: self.titles[task] for task in tasks})

    def only(self, rows: Tensor) -> QuestionSet:
        """Some of the questions, by their places, int64."""
        named = ("begins", "counts", "questions", "answers", "support", "tasks", "groups")
        return replace(self, **{name: getattr(self, name)[rows] for name in named})

    def last_sentences(self, most: int) -> QuestionSet:
        """With no more than the last sentences of each story; a support that was before them is gone."""
        cut = (self.counts - most).clamp(min=0)
        support = torch.where(self.support >= cut[:, None], self.support - cut[:, None], -1)
        return replace(self, begins=self.begins + cut, counts=self.counts - cut, support=left_over(support))

    def without_stories(self) -> QuestionSet:
        """The same questions about nothing: what is left to a reader is guessing from the question."""
        return replace(self, counts=torch.zeros_like(self.counts), support=torch.full_like(self.support, -1))

    def take(self, rows: Tensor) -> Questions:
        """A batch of the questions at some places.

        Args:
            rows: int64 [B].
        """
        counts = self.counts[rows]
        steps = torch.arange(max(1, int(counts.max()) if len(rows) else 0))
        inside = steps < counts[:, None]  # [B, S]
        places = (self.begins[rows][:, None] + steps).clamp(max=len(self.order if len(self.order) else self.lines) - 1)
        places = self.order[places] if len(self.order) else places
        story = self.lines[places].masked_fill(~inside[..., None], 0)
        return Questions(story, counts, self.questions[rows], self.answers[rows], self.support[rows], self.tasks[rows])


def left_over(support: Tensor) -> Tensor:
    """The supports that are left, first and in their order."""
    return support.gather(1, (support < 0).long().argsort(dim=1, stable=True))


def question_set(
    asked: Sequence[Question],
    vocabulary: Vocabulary,
    *,
    unit: QuestionUnit,
    titles: dict[int, str],
    source: str,
    stories: Sequence[int] | None = None,
) -> QuestionSet:
    """A set out of questions in words.

    Args:
        asked: the questions, those about one story one after the other.
        vocabulary: has every word; an answer that it lacks counts as one that nobody can give.
        unit: that answers are scored in.
        titles: of the tasks.
        source: what results call the data.
        stories: for each question the number of its story, where several share one whose beginning all but the last
            of them see: its sentences are kept once. Each has its own by default.

    Raises:
        ValueError: a word is not in the vocabulary.
    """
    words = {word: number for number, word in enumerate(vocabulary.words)}
    answers = {answer: number for number, answer in enumerate(vocabulary.answers)}
    lines: list[list[int]] = []
    begins: list[int] = []
    for place, one in enumerate(asked):
        shared = stories is not None and place > 0 and stories[place] == stories[place - 1]
        begins.append(begins[-1] if shared else len(lines))
        lines.extend(_numbers(sentence, words) for sentence in one.story[len(lines) - begins[-1] :])
    return QuestionSet(
        vocabulary=vocabulary,
        unit=unit,
        titles=titles,
        lines=padded(lines or [[]], 0),
        begins=torch.tensor(begins, dtype=torch.int64),
        counts=torch.tensor([len(one.story) for one in asked], dtype=torch.int64),
        questions=padded([_numbers(one.question, words) for one in asked], 0),
        answers=padded([[answers.get(answer, -1) for answer in one.answers] for one in asked], -1),
        support=padded([list(one.support) for one in asked], -1),
        tasks=torch.tensor([one.task for one in asked], dtype=torch.int64),
        source=source,
        groups=_groups([one.group for one in asked]),
    )


def accuracy_per_group(right: Tensor, groups: Tensor) -> float:
    """Percent of the groups all of whose questions are answered right; the accuracy per dialog of Bordes et al. 2017.

    Args:
        right: bool [N].
        groups: int64 [N], the number of each question's group.

    Example:
        >>> accuracy_per_group(torch.tensor([True, True, False]), torch.tensor([7, 7, 8]))
        50.0
    """
    if right.shape != groups.shape:
        raise ValueError(
            f"right {list(right.shape)} and groups {list(groups.shape)} differ: expected one group for each"
        )
    _, place = groups.unique(return_inverse=True)
    wrong = torch.zeros(int(place.max()) + 1 if len(place) else 0).index_add_(0, place, (~right).float())
    return 100 * float((wrong == 0).float().mean())


def _groups(numbers: list[int]) -> Tensor:
    """Those that are by themselves get numbers of their own, after all others."""
    groups = torch.tensor(numbers, dtype=torch.int64)
    alone = groups < 0
    first = int(groups.max()) + 1 if len(groups) else 0
    return torch.where(alone, first + alone.cumsum(0) - 1, groups)


def _numbers(sentence: Sequence[str], words: dict[str, int]) -> list[int]:
    unknown = [word for word in sentence if word not in words]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not among the {len(words) - 1:,} words of these questions")
    return [words[word] for word in sentence]


def padded(rows: Sequence[Sequence[int]], filling: int) -> Tensor:
    """Rows of different lengths as a table [N, longest], filled up."""
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    table = np.full((len(rows), max(1, int(lengths.max(initial=1)))), filling, dtype=np.int64)
    table[np.arange(table.shape[1]) < lengths[:, None]] = np.fromiter(itertools.chain.from_iterable(rows), np.int64)
    return torch.from_numpy(table)
