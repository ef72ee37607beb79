"""WikiMovies (Miller et al. 2016, section 4): questions about real films over facts of Wikipedia, from its files.

Dimensions: S facts of a story.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from lukasa.ground.settings import check_choice, check_whole
from lukasa.tasks.data import VARIABLE, DataError, cache_folder, folders, read_text
from lukasa.tasks.questions.babi import PARTS, check_tasks
from lukasa.tasks.questions.knowledge import KnowledgeBase
from lukasa.tasks.questions.question_set import Question, QuestionSet, Vocabulary, question_set

FOLDER = "movieqa"
KNOWLEDGE = "knowledge_source/wiki_entities/wiki_entities_kb.txt"
QUESTIONS = "questions/wiki_entities/wiki-entities_qa_{}.txt"
ENDINGS = {"train": "train", "validation": "dev", "test": "test"}
HOME = "https://research.facebook.com/downloads/babi/"

RELATIONS = (
    "directed_by", "written_by", "starred_actors", "release_year", "in_language", "has_tags", "has_genre",
    "has_imdb_votes", "has_imdb_rating",
)  # fmt: skip
PLOT = "has_plot"
"""What the knowledge says in sentences, which is left out."""

FREQUENT = 1000
"""A thing in the question with as many facts or more is not looked up (section 3, key hashing)."""


class Asked(NamedTuple):
    """One line of a file of questions."""

    words: list[str]  # a thing is one of them
    things: list[str]
    answers: list[str]


@dataclass(frozen=True, kw_only=True)
class WikiMoviesQuestions:
    """Questions about films over the facts of Wikipedia (Miller et al. 2016), from their files.

    Attributes:
        most: facts that a story may have.
        data_dir: folder to look for the files in first; see ``lukasa.tasks.data``.
    """

    most: int = 200
    data_dir: str = ""

    parts: ClassVar[tuple[str, ...]] = PARTS
    tasks: ClassVar[dict[int, str]] = {1: "one-hop"}

    def __post_init__(self) -> None:
        check_whole("wikimovies", "most", self.most, 1)

    def load(self, part: str, tasks: Sequence[int]) -> QuestionSet:
        """The questions of a part.

        Raises:
            ValueError: there is no such part or task.
            lukasa.tasks.data.DataError: the files are not available, or broken.
        """
        check_choice("wikimovies", "part", part, PARTS)
        check_tasks("wikimovies", tasks, self.tasks)
        return _set_of(_find(self.data_dir), part, self.most)


def read_knowledge(text: str, where: str) -> KnowledgeBase:
    """Facts in the published format, in both directions.

    Args:
        text: lines of a number, from 1 on for each film, a film, a relation and its values with ", " between.
        where: the file's name, for messages.

    Raises:
        DataError: a line is not as it should be, or there is no fact.
    """
    numbers: dict[str, int] = {}
    facts: list[tuple[int, int, int]] = []
    relation_of = {name: number for number, name in enumerate(RELATIONS)}
    pattern = re.compile(rf"(\d+) (.+?) ({'|'.join((*RELATIONS, PLOT))}) (.+)")
    for place, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        found = pattern.fullmatch(line.strip())
        if found is None:
            raise DataError(
                f"{where}, line {place}: expected a number, a film, a relation such as directed_by and its values, "
                f"found {line[:40]!r}"
            )
        _, film, relation, values = found.groups()
        if relation == PLOT:
            continue
        subject = numbers.setdefault(film.lower(), len(numbers))
        for value in values.lower().split(", "):
            thing = numbers.setdefault(value.strip(), len(numbers))
            number = relation_of[relation]
            facts += [(subject, number, thing), (thing, len(RELATIONS) + number, subject)]
    if not facts:
        raise DataError(f"{where} is empty, expected facts about films: get the file anew")
    return KnowledgeBase.of(list(numbers), (*RELATIONS, *(f"!{name}" for name in RELATIONS)), np.array(facts))


def read_questions(text: str, where: str, known: dict[str, int]) -> Iterator[Asked]:
    """Questions in the published format.

    Args:
        text: lines of the number 1, a question, a tab and its answers with ", " between.
        where: the file's name, for messages.
        known: things, of which the longest in the question are one word each.

    Raises:
        DataError: a line is not as it should be, or there is no question.
    """
    longest = max(name.count(" ") for name in known) + 1
    count = 0
    for count, line in enumerate(text.splitlines(), 1):
        number, _, rest = line.lower().partition(" ")
        said, _, answers = rest.partition("\t")
        words = said.strip().rstrip("?").split()
        if not number.isdecimal() or not words or not answers.strip():
            raise DataError(
                f"{where}, line {count}: expected a number, a question, a tab and its answers, found {line[:40]!r}"
            )
        joined = _join(words, " ", longest, known)
        yield Asked(joined, [one for one in joined if one in known], _join(answers.strip().split(", "), ", ", 8, known))
    if not count:
        raise DataError(f"{where} is empty, expected questions: get the file anew")


def _join(pieces: list[str], between: str, longest: int, known: dict[str, int]) -> list[str]:
    """Pieces, with those that are the name of a thing together joined, the longest names first."""
    found, place = [], 0
    while place < len(pieces):
        for size in range(min(longest, len(pieces) - place), 0, -1):
            name = between.join(pieces[place : place + size])
            if name in known or size == 1:
                found.append(name)
                place += size
                break
    return found


def _find(data_dir: str) -> Path:
    for folder in folders("wikimovies", data_dir):
        for place in (folder, folder / FOLDER):
            if (place / KNOWLEDGE).is_file():
                return place
    folder = Path(data_dir or os.environ.get(VARIABLE) or cache_folder()).absolute()
    raise DataError(
        f"{Path(KNOWLEDGE).name} of WikiMovies (Miller et al. 2016) is not on this machine: put the folder {FOLDER} "
        f"(from {HOME}) in {folder}, or name the one it is in with {VARIABLE}"
    )


@lru_cache(maxsize=2)
def _all(folder: Path) -> tuple[KnowledgeBase, dict[str, list[Asked]]]:
    world = read_knowledge(read_text(folder / KNOWLEDGE, f" from {HOME}"), str(folder / KNOWLEDGE))
    known = {name: number for number, name in enumerate(world.things)}
    paths = {part: folder / QUESTIONS.format(ending) for part, ending in ENDINGS.items()}
    return world, {
        part: list(read_questions(read_text(path, f" from {HOME}"), str(path), known)) for part, path in paths.items()
    }


@lru_cache(maxsize=4)
def _set_of(folder: Path, part: str, most: int) -> QuestionSet:
    world, asked = _all(folder)
    words = {word for of_part in asked.values() for one in of_part for word in one.words} | set(world.relations)
    known = {name: number for number, name in enumerate(world.things)}
    vocabulary = Vocabulary.of((*sorted(words - set(known)), *world.things), world.things)

    def story(one: Asked) -> list[list[str]]:
        about = [world.about(known[thing]) for thing in one.things]
        places = [place for found in about if len(found) < FREQUENT for place in found.tolist()][:most]
        return [
            [world.things[int(a)], world.relations[int(r)], world.things[int(b)]] for a, r, b in world.facts[places]
        ]

    return question_set(
        [Question(story(one), one.words, one.answers, task=1) for one in asked[part]],
        vocabulary,
        unit="hits@1 %",
        titles={1: "one-hop"},
        source="WikiMovies",
    )
