"""Tasks of questions about stories, one after the other.

Dimensions: B questions, S sentences, L words of a sentence.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from lukasa.ground.settings import check_choice, check_whole
from lukasa.tasks.continual.taught import Stream, Taught, taught
from lukasa.tasks.questions import Questions, QuestionSet, make_questions


class StorySizes(NamedTuple):
    """What a reader has to hold."""

    words: int
    answers: int
    sentences: int
    length: int


@dataclass(frozen=True, kw_only=True)
class BabiStream:
    """The tasks of bAbI one after the other (Weston et al. 2015): one vocabulary, one set of answers.

    Attributes:
        data: babi, from its files, or babi_made, six of its tasks made up here.
        which: numbers of the tasks, in their order, with spaces between.
        questions: questions of each task to learn from.
        tested: questions of each task to be scored on.
        sentences: sentences that a reader holds; of a longer story, the last ones.
        split_seed: decides which of the questions there are.
    """

    data: str = "babi_made"
    which: tuple[int, ...] = (1, 2, 3, 6, 15, 16)
    questions: int = 400
    tested: int = 100
    sentences: int = 20
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_choice("stream of bAbI", "data", self.data, ("babi", "babi_made"))
        for name in ("questions", "tested", "sentences"):
            check_whole("stream of bAbI", name, getattr(self, name), 1, 1_000_000)
        check_whole("stream of bAbI", "split_seed", self.split_seed, 0, 2**32 - 1)
        if not self.which or len(set(self.which)) < len(self.which):
            raise ValueError(f"which is {self.which}: expected different numbers of tasks")

    def load(self) -> Stream:
        """The stream: the same one every time.

        Raises:
            ValueError: there is no such task, or not so many questions.
            lukasa.tasks.data.DataError: the files are not available, or broken.
        """
        return _load(self)


@functools.lru_cache(maxsize=4)
def _load(asked: BabiStream) -> Stream:
    options: dict[str, Any] = {"stories": max(asked.questions, asked.tested)} if asked.data == "babi_made" else {}
    data = make_questions(asked.data, **options)
    tasks = list(asked.which)
    missing = [task for task in tasks if task not in data.tasks]
    if missing:
        known = ", ".join(map(str, data.tasks))
        raise ValueError(f"which names task {missing[0]}: expected some of {known}")
    learned, tested = (data.load(part, tasks).last_sentences(asked.sentences) for part in ("train", "test"))
    sentences, length = asked.sentences, max(learned.longest, tested.longest)
    generator = Generator().manual_seed(asked.split_seed)
    parts = []
    for questions, count, what in ((learned, asked.questions, "questions"), (tested, asked.tested, "tested")):
        for number, task in enumerate(tasks):
            some = _some(questions.of_tasks([task]), count, f"task {task} of {asked.data}", what, generator)
            parts.append(taught(_packed(some, sentences, length), some.answers[:, :1], number))
    train, test = tuple(parts[: len(tasks)]), tuple(parts[len(tasks) :])
    vocabulary = learned.vocabulary
    sizes = StorySizes(len(vocabulary.words), len(vocabulary.answers), sentences, length)
    columns = tuple(Taught.joined(both).answers.unique() for both in zip(train, test, strict=True))
    columns = tuple(one[one >= 0] for one in columns)
    names = tuple(f"{task} {data.tasks[task]}" for task in tasks)
    return Stream("stories", names, train, test, columns, sizes.answers, len(tasks), learned.source, sizes)


def _some(found: QuestionSet, count: int, where: str, what: str, generator: Generator) -> Questions:
    if len(found) < count:
        raise ValueError(f"{what} is {count:,}, and {where} has {len(found):,}: ask for fewer")
    return found.take(torch.randperm(len(found), generator=generator)[:count].sort().values)


def _packed(asked: Questions, sentences: int, length: int) -> Tensor:
    """Stories with their questions in one table, int64 [B, S + 1, L]: the question is the last sentence."""
    table = torch.zeros(len(asked.story), sentences + 1, length, dtype=torch.int64)
    table[:, : asked.story.shape[1], : asked.story.shape[2]] = asked.story
    table[:, -1, : asked.question.shape[1]] = asked.question
    return table


def unpacked(table: Tensor, answers: Tensor | None = None) -> Questions:
    """The questions that a table of a stream holds.

    Args:
        table: int64 [B, S + 1, L].
        answers: int64 [B, 1], where they are known.
    """
    story, question = table[:, :-1], table[:, -1]
    nothing = torch.full((len(table), 1), -1, device=table.device)
    return Questions(
        story,
        (story != 0).any(2).sum(1),
        question,
        nothing if answers is None else answers,
        nothing,
        torch.zeros(len(table), dtype=torch.int64, device=table.device),
    )
