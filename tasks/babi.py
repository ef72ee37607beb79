"""The bAbI tasks, word by word: real stories, and stories of our own for some of the tasks.

Dimensions: B rows, T words, V symbols of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from lukasa.ground.settings import check_choice, check_whole
from lukasa.tasks.babi_files import WORDS, Story, read_stories, task_text
from lukasa.tasks.babi_stories import FACTS, TELLERS, tell
from lukasa.tasks.batch import Batch
from lukasa.tasks.data import folders
from lukasa.tasks.spec import Field, Spec

Part = Literal["train", "validation", "test"]

PAPER = "Weston et al. 2015; Graves et al. 2016"

ANSWERS = (6, 6, 6, 6, 7, 2, 4, 14, 2, 3, 6, 6, 6, 6, 4, 4, 2, 2, 12, 7)
"""How many different answers the questions of each task have; the first is task 1."""

VALIDATION_SHARE = 10
"""One story in so many of the training files, the last ones, is kept for validation."""


class Corpus(NamedTuple):
    """Stories of one or more tasks, end to end."""

    words: Tensor  # [all words], int64
    answers: Tensor  # [all words], int64, -1 where none is expected
    begins: Tensor  # [stories], the place of each one's first word
    lengths: Tensor  # [stories], words
    first: Tensor  # [tasks], the number of each task's first story
    amount: Tensor  # [tasks], stories of each task


@dataclass(frozen=True, kw_only=True)
class Babi:
    """Read a story with its questions and answer each with a word, or several.

    The beginning of one sample, of task 1, along time (each step shows one of 159 symbols, one-hot; the ``-`` asks
    for one word of an answer)::

        step      0     1          2   3    4        5  6      7   8     9  10
        word      john  travelled  to  the  hallway  .  where  is  john  ?  -
        target                                                              hallway

    A linear layer on the input is an embedding of the words. An answer of several words has as many placeholders,
    one after another, and is right when all its words are. Tasks are drawn first, each as often as the others, and
    then one of its stories. The stories come from the files, see ``lukasa.tasks.data``.

    Chance: 75.7 error %, for one who knows each task's possible answers and draws one of them.
    Best: 0.0 error %.
    Paper: Weston et al. 2015; Graves et al. 2016.

    Attributes:
        tasks: their numbers, from 1 to 20; one number is a single task, more are a joint one.
        size: "en-10k" for about 10,000 questions a task, "en" for 1,000.
        part: "train" and "validation", the first nine tenths and the last of the training stories, or "test".
        data_dir: folder to look for the files in first.
    """

    tasks: tuple[int, ...] = tuple(range(1, 21))
    size: Literal["en", "en-10k"] = "en-10k"
    part: Part = "train"
    data_dir: str = ""

    def __post_init__(self) -> None:
        _check_tasks("babi", self.tasks, range(1, 21))
        check_choice("babi", "size", self.size, ("en", "en-10k"))
        check_choice("babi", "part", self.part, ("train", "validation", "test"))

    @property
    def spec(self) -> Spec:
        """A word in; a word out."""
        return _spec(self.tasks)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        return _sample(self._corpus(), batch_size, generator)

    def __len__(self) -> int:
        """How many stories there are."""
        return len(self._corpus().lengths)

    def every(self, batch_size: int) -> Iterator[Batch]:
        """Each story once, in the order of the files."""
        return _every(self._corpus(), batch_size)

    def _corpus(self) -> Corpus:
        return _real(self.tasks, self.size, self.part, self.data_dir, tuple(folders("babi", self.data_dir)))


@dataclass(frozen=True, kw_only=True)
class MadeBabi:
    """``Babi`` with stories of our own for tasks 1, 2, 3, 6, 15 and 16, where the real ones are not available.

    The beginning of one sample, of task 6, along time::

        step      0     1      2   3    4        5  6   7     8   9    10       11  12
        word      mary  moved  to  the  kitchen  .  is  mary  in  the  kitchen  ?   -
        target                                                                      yes

    Results on these say nothing about the real tasks: these are simpler.

    Chance: 75.0 error %, for one who knows each task's possible answers and draws one of them.
    Best: 0.0 error %.
    Paper: Weston et al. 2015; Graves et al. 2016.

    Attributes:
        tasks: some of the six numbers.
        part: "train", "validation" or "test", which share no random numbers.
        stories: number of stories of each task.
        scale: factor by which there are more facts before a question than usual; above 1 not for tasks 15 and 16.
        seed: number that decides about all stories.
    """

    tasks: tuple[int, ...] = tuple(TELLERS)
    part: Part = "train"
    stories: int = 1000
    scale: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        _check_tasks("babi_made", self.tasks, TELLERS)
        check_choice("babi_made", "part", self.part, ("train", "validation", "test"))
        for name, least in (("stories", 1), ("scale", 1), ("seed", 0)):
            check_whole("babi_made", name, getattr(self, name), least)
        if self.scale > 1 and not set(self.tasks) <= set(FACTS):
            raise ValueError(
                f"babi_made: scale is {self.scale}, but tasks 15 and 16 have no longer form: leave them out"
            )

    @property
    def spec(self) -> Spec:
        """A word in; a word out."""
        return _spec(self.tasks)

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        return _sample(self._corpus(), batch_size, generator)

    def __len__(self) -> int:
        """How many stories there are."""
        return len(self._corpus().lengths)

    def every(self, batch_size: int) -> Iterator[Batch]:
        """Each story once, in order."""
        return _every(self._corpus(), batch_size)

    def _corpus(self) -> Corpus:
        return _made(self.tasks, self.part, self.stories, self.scale, self.seed)


def _check_tasks(name: str, tasks: object, known: Sequence[int] | dict) -> None:
    numbers = ", ".join(map(str, known))
    if not isinstance(tasks, tuple) or not tasks or not set(tasks) <= set(known) or len(set(tasks)) < len(tasks):
        raise ValueError(f"{name}: tasks is {tasks!r}, expected a tuple of different numbers among {numbers}")


def _spec(tasks: Sequence[int]) -> Spec:
    return Spec(
        inputs=(Field("word", "categorical", 1, len(WORDS)),),
        target=Field("word", "categorical", 1, len(WORDS)),
        unit="error %",
        item="answer",
        chance=100 - sum(100 / ANSWERS[task - 1] for task in tasks) / len(tasks),
        best=0.0,
        paper=PAPER,
    )


@lru_cache(maxsize=8)
def _real(tasks: tuple[int, ...], size: str, part: str, data_dir: str, places: tuple[Path, ...]) -> Corpus:
    # ``places`` are where it is looked for: part of the key, as the environment may name others later.
    stories = []
    for task in tasks:
        where, text = task_text(task, size, "test" if part == "test" else "train", data_dir)
        found = read_stories(text, where)
        kept = len(found) - len(found) // VALIDATION_SHARE
        stories.append({"train": found[:kept], "validation": found[kept:], "test": found}[part])
    return _corpus_of(stories)


@lru_cache(maxsize=8)
def _made(tasks: tuple[int, ...], part: str, stories: int, scale: int, seed: int) -> Corpus:
    texts = [tell(task, stories, f"{seed} {part} {task}", scale) for task in tasks]
    return _corpus_of(
        [read_stories(text, f"made story of task {task}") for task, text in zip(tasks, texts, strict=True)]
    )


def _corpus_of(stories: list[list[Story]]) -> Corpus:
    flat = [story for one in stories for story in one]
    lengths = torch.tensor([len(story.words) for story in flat])
    count = torch.tensor([len(one) for one in stories])
    return Corpus(
        words=torch.tensor([word for story in flat for word in story.words]),
        answers=torch.tensor([answer for story in flat for answer in story.answers]),
        begins=lengths.cumsum(0) - lengths,
        lengths=lengths,
        first=count.cumsum(0) - count,
        amount=count,
    )


def _sample(corpus: Corpus, batch_size: int, generator: Generator) -> Batch:
    task = torch.randint(0, len(corpus.amount), (batch_size,), generator=generator)
    share = torch.rand(batch_size, generator=generator, dtype=torch.float64)
    return _batch(corpus, corpus.first[task] + (share * corpus.amount[task]).long())


def _every(corpus: Corpus, batch_size: int) -> Iterator[Batch]:
    for some in torch.arange(len(corpus.lengths)).split(batch_size):
        yield _batch(corpus, some)


def _batch(corpus: Corpus, stories: Tensor) -> Batch:
    lengths = corpus.lengths[stories]
    steps = torch.arange(int(lengths.max()))
    inside = steps < lengths[:, None]  # [B, T]
    place = (corpus.begins[stories][:, None] + steps).clamp(max=len(corpus.words) - 1)
    answers = corpus.answers[place].masked_fill(~inside, -1)
    shown = F.one_hot(corpus.words[place], len(WORDS)).float().masked_fill_(~inside[..., None], 0.0)  # [B, T, V]
    return Batch(shown, answers.clamp(min=0)[..., None], answers >= 0, lengths)
