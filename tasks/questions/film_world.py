"""A made-up world of films: who directed, wrote and starred in them, when and in what language; of any size."""

from __future__ import annotations

import numpy as np

from lukasa.tasks.questions.knowledge import KnowledgeBase

RELATIONS = ("directed_by", "written_by", "starred_actors", "release_year", "has_genre", "in_language")
"""Those of a film, with the names that WikiMovies has."""

PEOPLE = RELATIONS[:3]
"""Relations to people, which are stored the other way round too."""

ALL_RELATIONS = (*RELATIONS, *(f"!{name}" for name in PEOPLE))

ACTORS = 3
FACTS_PER_FILM = 1 + 1 + ACTORS + 3 + 1 + 1 + ACTORS
"""Of a film: who directed, wrote and starred in it, its year, genre and language, and of its people, the film."""

YEARS = tuple(str(year) for year in range(1950, 2025))
GENRES = (
    "action", "adventure", "animation", "biography", "comedy", "crime", "documentary", "drama", "family", "fantasy",
    "history", "horror", "music", "mystery", "romance", "satire", "sport", "thriller", "war", "western",
)  # fmt: skip
LANGUAGES = (
    "arabic", "bengali", "cantonese", "czech", "danish", "dutch", "english", "finnish", "french", "german",
    "greek", "hindi", "italian", "japanese", "korean", "polish", "russian", "spanish", "swedish", "turkish",
)  # fmt: skip

_SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]


def film_world(facts: int, seed: int) -> KnowledgeBase:
    """A world of as many whole films as fit.

    There are as many people as films. Each directs or writes three films or stars in four, about; some have two trades.

    Args:
        facts: about how many there are in all, 13 for each film.
        seed: decides about everything.
    """
    random = np.random.default_rng([seed, 16])
    films = max(2, facts // FACTS_PER_FILM)
    people = max(12, films)
    film = np.arange(films)
    first_person, first_year = films, films + people
    first_genre, first_language = first_year + len(YEARS), first_year + len(YEARS) + len(GENRES)
    columns = [
        (0, first_person + random.integers(0, people // 3, films)),
        (1, first_person + random.integers(people // 6, people // 2, films)),
        # Three different actors: each is from a third of their own.
        *(
            (
                2,
                first_person
                + people // 4
                + place
                + ACTORS * random.integers(0, (people - people // 4) // ACTORS, films),
            )
            for place in range(ACTORS)
        ),
        (3, first_year + random.integers(0, len(YEARS), films)),
        (4, first_genre + random.integers(0, len(GENRES), films)),
        (5, first_language + random.integers(0, len(LANGUAGES), films)),
    ]
    forward = [np.stack([film, np.full(films, number), found], 1) for number, found in columns]
    backward = [np.stack([found, np.full(films, len(RELATIONS) + number), film], 1) for number, found in columns
                if number < len(PEOPLE)]  # fmt: skip
    names = _names(films, people)
    return KnowledgeBase.of((*names, *YEARS, *GENRES, *LANGUAGES), ALL_RELATIONS, np.concatenate(forward + backward))


def _names(films: int, people: int) -> list[str]:
    """Made-up names, each one word and different from all others: films have a "the_" in front."""
    longest = 1
    while len(_SYLLABLES) ** longest < max(films, people):
        longest += 1
    total = len(_SYLLABLES) ** max(2, longest)

    def name(number: int) -> str:
        number, found = number * 7919 % total, ""  # a prime that divides no power of 70: every name is another
        for _ in range(max(2, longest)):
            number, syllable = divmod(number, len(_SYLLABLES))
            found += _SYLLABLES[syllable]
        return found

    return [f"the_{name(number)}" for number in range(films)] + [name(number) for number in range(people)]
