"""A trained reader that answers questions in words, about a story in words.

Dimensions: H hops, S sentences, A answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lukasa.ground.names import most_like
from lukasa.memory.readers import Reader, Reading
from lukasa.tasks.questions import Question, Questions, QuestionSet, Vocabulary, question_set


class UnknownWordError(ValueError):
    """A word that a reader has never seen."""


@dataclass(frozen=True)
class Answer:
    """What a reader says.

    Attributes:
        text: the answer.
        probability: that it gives it.
        others: the next best answers, each with its probability, the best first.
        attention: for each hop the sentences that it looked at, with their places from 0 on and weights, most first.
        reading: everything that the reader made of the question.
    """

    text: str
    probability: float
    others: tuple[tuple[str, float], ...]
    attention: tuple[tuple[tuple[int, float], ...], ...]
    reading: Reading


class Answerer:
    """Tells a reader a story, sentence by sentence, and asks it questions.

    Args:
        reader: what was trained.
        vocabulary: of the questions that it was trained on.

    Attributes:
        story: the sentences told so far, each a list of words.

    Example:
        >>> from lukasa.memory.readers import Sizes, make_reader
        >>> vocabulary = Vocabulary.of(["mary", "went", "home", "where", "is"], ["home"])
        >>> answerer = Answerer(make_reader("memn2n", Sizes(6, 1, 10, 5)), vocabulary)
        >>> answerer.tell("Mary went home.")
        >>> answerer.ask("Where is Mary?").text
        'home'
    """

    MOST_OTHERS = 4

    def __init__(self, reader: Reader, vocabulary: Vocabulary):
        self.reader, self.vocabulary = reader.eval(), vocabulary
        self._known = frozenset(vocabulary.words[1:])
        self.reset()

    def reset(self) -> None:
        """Forget the story."""
        self.story: list[list[str]] = []

    def tell(self, sentence: str) -> None:
        """Add a sentence to the story.

        Raises:
            UnknownWordError: it has a word that the reader has never seen; the story stays as it was.
            ValueError: it has no word, or more than the reader takes.
        """
        self.story.append(self._words(sentence))

    def ask(self, question: str) -> Answer:
        """Answer a question about the story; of a longer one than the reader holds, about its last sentences.

        Raises:
            UnknownWordError: it has a word that the reader has never seen.
            ValueError: it has no word, or more than the reader takes.
        """
        return self.answer(self.story, question)

    @torch.no_grad()
    def answer(self, story: Sequence[Sequence[str] | str], question: str) -> Answer:
        """Answer a question about a story of sentences, each a text or a list of words; errors as of ``ask``."""
        told = [self._words(one) if isinstance(one, str) else list(one) for one in story]
        cut = max(0, len(told) - self.reader.sizes.sentences)
        asked = as_questions(told[cut:], self._words(question), self.vocabulary)
        device = next(self.reader.parameters()).device
        reading = self.reader(asked.to(device))
        shares = torch.softmax(reading.scores[0], 0)
        best = shares.topk(min(1 + self.MOST_OTHERS, len(shares)))
        named = [
            (self.vocabulary.answers[place], float(share))
            for share, place in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ]
        looked = []
        for weights in reading.attention[0].tolist():
            here = [(place + cut, weight) for place, weight in enumerate(weights[: len(told) - cut])]
            looked.append(tuple(sorted(here, key=lambda one: -one[1])))
        return Answer(*named[0], tuple(named[1:]), tuple(looked), reading)

    def _words(self, text: str) -> list[str]:
        words = split_words(text, self._known)
        if not words:
            raise ValueError(f"{text.strip()!r} has no word: type a sentence, or a question that ends in '?'")
        for word in words:
            if word not in self._known:
                near = most_like(word, self._known, 0.7)
                meant = f"; did you mean {near!r}?" if near else f": it knows {len(self._known):,} words"
                raise UnknownWordError(f"this reader has never seen the word {word!r}{meant}")
        if len(words) > self.reader.sizes.length:
            raise ValueError(
                f"{text.strip()!r} has {len(words)} words: this reader takes {self.reader.sizes.length} a sentence"
            )
        return words


def split_words(text: str, known: frozenset[str] | set[str] = frozenset()) -> list[str]:
    """The words of a text: what is between spaces, lower case, without punctuation around it unless that is a word.

    Example:
        >>> split_words("Where is Mary?")
        ['where', 'is', 'mary']
    """
    found = []
    for raw in text.lower().split():
        word = raw if raw in known else re.sub(r"^[^\w<]+|[^\w>]+$", "", raw)
        if word:
            found.append(word)
    return found


def as_questions(story: Sequence[Sequence[str]], question: Sequence[str], vocabulary: Vocabulary) -> Questions:
    """One question as a batch; which answer is right is not known."""
    asked: QuestionSet = question_set(
        [Question(story, question, [])], vocabulary, unit="accuracy %", titles={0: ""}, source="asked"
    )
    return asked.take(torch.tensor([0]))
