"""Questions about a world of films, in several ways to ask, with all their answers.

Dimensions: N questions, M answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from lukasa.tasks.questions.film_world import ALL_RELATIONS, PEOPLE, RELATIONS
from lukasa.tasks.questions.knowledge import KnowledgeBase

ASKED = {
    "directed_by": ("who directed {}", "who is the director of {}", "which person directed {}"),
    "written_by": ("who wrote {}", "who is the writer of {}", "which person wrote {}"),
    "starred_actors": ("who starred in {}", "who acted in {}", "which actors appear in {}"),
    "release_year": ("when was {} released", "what is the release year of {}", "in which year did {} come out"),
    "has_genre": ("what genre is {}", "what kind of film is {}", "which genre does {} have"),
    "in_language": ("what language is {} in", "which language is spoken in {}", "in what language is {}"),
    "!directed_by": ("what films did {} direct", "which films are directed by {}", "what did {} direct"),
    "!written_by": ("what films did {} write", "which films are written by {}", "what did {} write"),
    "!starred_actors": ("what films did {} star in", "which films star {}", "what did {} act in"),
}
"""Ways to ask for the objects of each relation."""

THE_FILMS = {
    "!directed_by": ("the films directed by {}", "the films that {} directed"),
    "!written_by": ("the films written by {}", "the films that {} wrote"),
    "!starred_actors": ("the films starring {}", "the films that {} starred in"),
}
"""Ways to name the films of a person, which a question of two hops asks about."""

PATHS: dict[int, list[tuple[str, ...]]] = {
    1: [(name,) for name in ALL_RELATIONS],
    2: [(f"!{first}", second) for first in PEOPLE for second in RELATIONS if first != second],
}
"""The relations that the questions of each number of hops follow."""


def ways(path: tuple[str, ...]) -> list[str]:
    """All ways to ask a question."""
    if len(path) == 1:
        return list(ASKED[path[0]])
    many = [way.replace("is {", "are {").replace("was {", "were {").replace("does {", "do {") for way in ASKED[path[1]]]
    return [way.format(films) for way in many for films in THE_FILMS[path[0]]]


def question_words() -> list[str]:
    """The words of all questions, without the things asked about."""
    found = {word for paths in PATHS.values() for path in paths for way in ways(path) for word in way.split()}
    return sorted(found - {"{}"})


class FilmQuestion(NamedTuple):
    """A question about a thing."""

    hops: int
    way: str  # its words, with "{}" for the thing
    thing: int
    answers: list[int]  # things
    support: list[int]  # places of the facts that lead to the first answer


def film_questions(world: KnowledgeBase, hops: int, most_answers: int, seed: int) -> Iterator[FilmQuestion]:
    """All questions of some hops in an order drawn at random, each once, until there is none left.

    Args:
        world: made by ``film_world``, whose names of relations it has.
        hops: 1 or 2.
        most_answers: questions with more are left out.
        seed: decides about order and ways to ask.
    """
    random = np.random.default_rng([seed, 17, hops])
    number_of = {name: number for number, name in enumerate(world.relations)}
    starts = []
    for number, path in enumerate(PATHS[hops]):
        things = np.unique(world.facts[world.facts[:, 1] == number_of[path[0]], 0])
        starts.append(np.stack([np.full(len(things), number), things], 1))
    pairs = np.concatenate(starts)
    random.shuffle(pairs)
    for number, thing in pairs.tolist():
        path = PATHS[hops][number]
        answers, support = follow(world, thing, [number_of[name] for name in path])
        if 0 < len(answers) <= most_answers:
            choices = ways(path)
            yield FilmQuestion(hops, choices[random.integers(len(choices))], thing, answers, support)


def follow(world: KnowledgeBase, thing: int, relations: list[int]) -> tuple[list[int], list[int]]:
    """All things that relations lead to, one after another, without the first thing, and the facts to the first one."""
    reached: dict[int, list[int]] = {thing: []}
    for relation in relations:
        further: dict[int, list[int]] = {}
        for one, support in reached.items():
            for place in world.found(one, relation).tolist():
                further.setdefault(int(world.facts[place, 2]), [*support, place])
        reached = further
    reached.pop(thing, None)
    return list(reached), next(iter(reached.values()), [])
