"""Questions about films: the facts that may have to do with each, and the things that answer it.

Dimensions: X facts, N questions, Q words of a question, M answers, F supporting facts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch

from lukasa.ground.settings import check_choice, check_whole
from lukasa.tasks.questions.babi import PARTS, check_tasks
from lukasa.tasks.questions.film_questions import FilmQuestion, film_questions, question_words
from lukasa.tasks.questions.film_world import ALL_RELATIONS, film_world
from lukasa.tasks.questions.knowledge import KnowledgeBase
from lukasa.tasks.questions.question_set import QuestionSet, Vocabulary, padded

TITLES = {1: "one-hop", 2: "two-hop"}

TENTH = 10
"""Parts "validation" and "test" have a tenth of the questions that part "train" has."""

MOST_ANSWERS = 16
"""Questions with more right answers are left out."""


@dataclass(frozen=True, kw_only=True)
class FilmQuestions:
    """Questions about a made-up world of films, of any size up to millions of facts.

    A story is the facts whose key, subject and relation, shares a thing with the question (key hashing, Miller et al.
    2016, section 3), as sentences of three words; for questions of two hops also the facts about their objects. An
    answer is one thing, and several may be right.

    Attributes:
        facts: about how many facts there are in the world, 13 for each film.
        questions: number of questions of each task in part "train"; fewer where the world is too small for more.
        most: facts that a story may have.
        seed: number that decides about the world and the questions.
    """

    facts: int = 5000
    questions: int = 5000
    most: int = 100
    seed: int = 0

    parts: ClassVar[tuple[str, ...]] = PARTS
    tasks: ClassVar[dict[int, str]] = TITLES

    def __post_init__(self) -> None:
        for name, least in (("facts", 100), ("questions", 10), ("most", 1), ("seed", 0)):
            check_whole("films", name, getattr(self, name), least)

    def load(self, part: str, tasks: Sequence[int]) -> QuestionSet:
        """The questions of a part of some tasks.

        Args:
            part: "train", "validation" or "test"; no question is in two of them.
            tasks: 1 for questions that one fact answers, 2 for those that take two.

        Raises:
            ValueError: there is no such part or task.
        """
        check_choice("films", "part", part, PARTS)
        check_tasks("films", tasks, self.tasks)
        world, words, vocabulary, lines = _world(self.facts, self.seed)
        asked = [one for task in tasks for one in _asked(self.facts, self.seed, task, self.questions)[part]]
        numbers = {word: number for number, word in enumerate(words, 1)}
        first = 1 + len(words)  # the word of thing 0
        stories = [world.story(one.thing, one.hops, self.most) for one in asked]
        counts = torch.tensor([len(story) for story in stories])
        return QuestionSet(
            vocabulary=vocabulary,
            unit="hits@1 %",
            titles={task: TITLES[task] for task in tasks},
            lines=lines,
            begins=counts.cumsum(0) - counts,
            counts=counts,
            questions=padded(
                [[first + one.thing if word == "{}" else numbers[word] for word in one.way.split()] for one in asked], 0
            ),
            answers=padded([one.answers for one in asked], -1),
            support=padded([_places(one, story) for one, story in zip(asked, stories, strict=True)], -1),
            tasks=torch.tensor([one.hops for one in asked]),
            source="generated films",
            order=torch.from_numpy(np.concatenate(stories)),
        )


def _places(asked: FilmQuestion, story: np.ndarray) -> list[int]:
    """Where its supporting facts are in a story; none where one of them is not."""
    found = {fact: place for place, fact in enumerate(story.tolist())}
    places = [found.get(fact, -1) for fact in asked.support]
    return [] if -1 in places else places


@lru_cache(maxsize=2)
def _world(facts: int, seed: int) -> tuple[KnowledgeBase, list[str], Vocabulary, torch.Tensor]:
    """The world, the words that are no things, the vocabulary, and all facts as sentences [X, 3]."""
    world = film_world(facts, seed)
    words = [*question_words(), *ALL_RELATIONS]
    vocabulary = Vocabulary.of((*words, *world.things), world.things)
    first = 1 + len(words)
    lines = torch.from_numpy(world.facts.astype(np.int64))
    lines += torch.tensor([first, first - len(ALL_RELATIONS), first])
    return world, words, vocabulary, lines


@lru_cache(maxsize=8)
def _asked(facts: int, seed: int, hops: int, questions: int) -> dict[str, list[FilmQuestion]]:
    """The questions of each part: the first of all there are, in parts of 10 : 1 : 1."""
    tenth = questions // TENTH
    drawn = list(
        itertools.islice(film_questions(_world(facts, seed)[0], hops, MOST_ANSWERS, seed), questions + 2 * tenth)
    )
    tenth = min(tenth, len(drawn) // (TENTH + 2))
    return {"test": drawn[:tenth], "validation": drawn[tenth : 2 * tenth], "train": drawn[2 * tenth :]}
