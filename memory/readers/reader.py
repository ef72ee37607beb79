"""What every reader shares: a stored story and a question in, a score for each answer out.

Legend: B batch, S sentences, L words of a sentence, Q words of the question, M answers that are right, F supporting
sentences, H hops, A answers, V words, D size of an embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Asked(Protocol):
    """Questions about stories; ``lukasa.tasks.questions.Questions`` is one.

    Words are numbers from 1 on; 0 stands where there is no word. Sentences are in the order of the story, the oldest
    first. One without any word is an empty memory, which only takes up its place in time.
    """

    @property
    def story(self) -> Tensor:
        """int64 [B, S, L], the words of each sentence, and 0 after them."""
        ...

    @property
    def sentences(self) -> Tensor:
        """int64 [B], how many sentences each story has; what is after them in ``story`` is no part of it."""
        ...

    @property
    def question(self) -> Tensor:
        """int64 [B, Q]."""
        ...

    @property
    def answers(self) -> Tensor:
        """int64 [B, M], the answers that are right, the first to be learned; -1 where there is no further one."""
        ...

    @property
    def support(self) -> Tensor:
        """int64 [B, F], places in the story of the sentences that the answer follows from, in their order; -1 after."""
        ...


class Reading(NamedTuple):
    """What a reader made of questions."""

    scores: Tensor  # [B, A], whose softmax is the probability of each answer
    attention: Tensor  # [B, H, S], how much each hop looked at each sentence; of no hop where nothing is looked at
    shown: Mapping[str, Tensor] = {}  # what else a picture may show, by name, each [B, ...]
    penalty: Tensor | None = None  # [B], nats, to be lowered beside the surprise of the answer


@dataclass(frozen=True)
class Sizes:
    """What the questions are like that a reader is to answer.

    Attributes:
        words: numbers that a word may have, 0 for none among them (V).
        answers: how many answers there are (A).
        sentences: the most sentences of a story.
        length: the most words of a sentence or question.
        supports: the most supporting sentences of a question; 0 where none are known.
        ranked: whether answers are sentences, to be ranked by their words, rather than words of the vocabulary.
        answer_words: int64 [A, C], the words of each answer, and 0 after them; an answer of several words such as
            "north,west" that is no sentence is a word of its own.
        longest: the most sentences of a story in training; 0 where that is not known.
    """

    words: int
    answers: int
    sentences: int
    length: int
    supports: int = 0
    ranked: bool = False
    answer_words: Tensor = field(default_factory=lambda: torch.zeros(0, 1, dtype=torch.int64), compare=False)
    longest: int = 0

    def __post_init__(self) -> None:
        if not len(self.answer_words):  # any numbers will do where nobody scores answers by their words
            numbers = torch.arange(self.answers)[:, None] % max(1, self.words - 1) + 1
            object.__setattr__(self, "answer_words", numbers)
        if len(self.answer_words) != self.answers:
            raise ValueError(f"answer_words has {len(self.answer_words)} rows: expected {self.answers}, one an answer")


class Reader(nn.Module):
    """Reads a stored story and answers a question about it.

    A reader is made of ``sizes`` and of options by keyword; ``lukasa.memory.readers.make_reader`` checks them.

    Attributes:
        sizes: of the questions.
    """

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.sizes = sizes

    def forward(self, asked: Asked) -> Reading:
        """Answer questions; ``answers`` and ``support`` are looked at for a penalty in training alone."""
        raise NotImplementedError

    def check_taught(self, support: Tensor, sentences: Tensor) -> None:
        """Refuse supporting sentences that it cannot learn from; most readers do without any.

        Args:
            support: int64 [B, F], as of ``Asked``.
            sentences: int64 [B], likewise.
        """

    def losses(self, asked: Asked) -> tuple[Tensor, Reading]:
        """What training lowers [B], and the reading: the surprise of the right answer, and the penalty."""
        reading = self(asked)
        losses = surprise(reading.scores, asked.answers)
        return (losses if reading.penalty is None else losses + reading.penalty), reading


def surprise(scores: Tensor, answers: Tensor) -> Tensor:
    """Nats [B] of the first right answer.

    Args:
        scores: [B, A].
        answers: int64 [B, M]; an answer that is not among the A has number -1, and surprises as much as the scores of
            a guess among all.
    """
    wanted = answers[:, 0]
    known = F.cross_entropy(scores, wanted.clamp(min=0), reduction="none")
    return torch.where(wanted >= 0, known, scores.new_tensor(float(scores.shape[1])).log())


def in_story(asked: Asked) -> Tensor:
    """Bool [B, S], which places of ``story`` hold a sentence, empty memories among them."""
    places = torch.arange(asked.story.shape[1], device=asked.story.device)
    return places < asked.sentences[:, None]


def steps_ago(asked: Asked) -> Tensor:
    """int64 [B, S], how many sentences came after each; 0 for the last, and where there is none."""
    places = torch.arange(asked.story.shape[1], device=asked.story.device)
    return (asked.sentences[:, None] - 1 - places).clamp(min=0)


def check_asked(sizes: Sizes, asked: Asked) -> None:
    """Refuse questions that a reader of these sizes cannot take.

    Raises:
        ValueError: a story or a sentence is longer, or a word or an answer is not known.
    """
    story, question = asked.story, asked.question
    if story.dim() != 3 or question.dim() != 2 or len(story) != len(question):
        raise ValueError(
            f"story {list(story.shape)} and question {list(question.shape)} do not fit: expected [B, S, L] and [B, Q]"
        )
    if story.shape[1] > sizes.sentences:
        raise ValueError(f"a story has {story.shape[1]} sentences: this reader holds {sizes.sentences}")
    if max(story.shape[2], question.shape[1]) > sizes.length:
        longest = max(story.shape[2], question.shape[1])
        raise ValueError(f"a sentence has {longest} words: this reader takes {sizes.length}")


def softmax_within(scores: Tensor, inside: Tensor) -> Tensor:
    """Softmax over the places that are inside; all zero where there is none.

    Args:
        scores: [..., S].
        inside: bool, of the same shape or one that is broadcast to it.
    """
    weights = torch.softmax(scores.masked_fill(~inside, torch.finfo(scores.dtype).min), -1)
    return weights * inside
