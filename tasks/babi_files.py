"""bAbI stories as text and as numbers: the vocabulary, the files, and how to read them."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from lukasa.tasks.data import DataError, folders, locate, read_text

PLACEHOLDER, FULL_STOP, QUESTION_MARK = "-", ".", "?"
"""Shown where an answer is expected, and the ends of sentences."""

_VOCABULARY = """
    - . ? a above afraid after afternoon afterwards and antoine apple are back bathroom bedroom before below
    bernhard bigger bill blue bored box brian carrying cat cats chest chocolate chocolates cinema color
    container daniel did discarded do does down dropped e east either emily evening fit fits following football
    fred frog from garden gave gertrude get give go got grabbed gray green greg hallway handed he how hungry in
    inside is jason jeff jessica john journeyed julie julius kitchen left lily lion longer many mary maybe mice
    milk morning mouse moved n no none north not nothing objects of office one or pajamas park passed picked
    pink put received rectangle red rhino right s sandra school she sheep south sphere square suitcase sumit
    swan than that the then there they thirsty this three tired to took travelled triangle two up w was went
    west what where white who why will winona wolf wolves yann yellow yes yesterday you
"""

WORDS = tuple(_VOCABULARY.split())
"""All 159 symbols of the 20 English tasks, in lower case; their places are their numbers."""

NUMBERS = {word: number for number, word in enumerate(WORDS)}

TITLES = (
    "single-supporting-fact", "two-supporting-facts", "three-supporting-facts", "two-arg-relations",
    "three-arg-relations", "yes-no-questions", "counting", "lists-sets", "simple-negation", "indefinite-knowledge",
    "basic-coreference", "conjunction", "compound-coreference", "time-reasoning", "basic-deduction",
    "basic-induction", "positional-reasoning", "size-reasoning", "path-finding", "agents-motivations",
)  # fmt: skip
"""What the tasks are called in the names of their files; the first is task 1."""

FOLDER = "tasks_1-20_v1-2"


class Story(NamedTuple):
    """One story with its questions, word by word."""

    words: list[int]  # as shown, with a placeholder for each word of an answer after its question
    answers: list[int]  # the word expected at each place, -1 where none is


def task_text(task: int, size: str, part: str, data_dir: str = "") -> tuple[str, str]:
    """The text of one task's file, and where it was found.

    Args:
        task: from 1 to 20.
        size: "en" or "en-10k".
        part: "train" or "test".
        data_dir: folder to look in first; see ``lukasa.tasks.data``.

    Raises:
        DataError: it is not there, or damaged.
    """
    member = f"{FOLDER}/{size}/qa{task}_{TITLES[task - 1]}_{part}.txt"
    for folder in folders("babi", data_dir):
        if (folder / member).is_file():
            return str(folder / member), read_text(folder / member)
    archive = locate("babi", f"babi_v1-2_{size}.tar.gz", data_dir)
    with tarfile.open(archive) as files:
        if member not in files.getnames():
            raise DataError(
                f"{archive} lacks {member}: leave task {task} out, use the set 'en', or put the file of the original "
                f"distribution at {archive.parent / member}"
            )
        file = files.extractfile(member)
        assert file is not None
        return f"{archive}:{member}", file.read().decode("utf-8")


class Sentence(NamedTuple):
    """One line of a story: a statement, or a question with its answer."""

    number: int  # from 1 on in each story
    words: list[str]  # lower case, with the full stop or the question mark
    answers: list[str]  # of a question, its words; of a statement none
    support: list[int]  # numbers of the statements that the answer follows from, in that order


def read_lines(text: str, where: str) -> Iterator[Sentence]:
    """The lines of stories in the format of the bAbI files.

    Args:
        text: lines of a number, from 1 in each story, and a sentence or a question, its answer and its evidence.
        where: the file's name, for messages.

    Raises:
        DataError: a line is not as it should be, or the file holds no story.
    """
    before = 0
    for place, line in enumerate(text.splitlines(), 1):
        number, _, rest = line.partition(" ")
        if number not in ("1", str(before + 1)) or (before == 0 and number != "1"):
            expected = "1" if before == 0 else f"{before + 1}, or 1 for a new story"
            raise DataError(f"{where}, line {place}: expected the sentence's number {expected}, found {number[:20]!r}")
        before = int(number)
        try:
            yield _read_sentence(before, rest)
        except ValueError as fault:
            raise DataError(f"{where}, line {place}: {fault}") from None
    if not before:
        raise DataError(f"{where} is empty, expected bAbI stories: get the file anew")


def read_stories(text: str, where: str) -> list[Story]:
    """Stories of the bAbI tasks word by word; arguments and errors as of ``read_lines``."""
    stories: list[Story] = []
    for place, line in enumerate(read_lines(text, where), 1):
        unknown = [word for word in (*line.words, *line.answers) if word not in NUMBERS]
        if unknown:
            raise DataError(f"{where}, line {place}: {unknown[0]!r} is not among the words of the bAbI tasks")
        if line.number == 1:
            stories.append(Story([], []))
        story = stories[-1]
        story.words.extend(NUMBERS[word] for word in line.words)
        story.answers.extend(-1 for _ in line.words)
        story.words.extend(NUMBERS[PLACEHOLDER] for _ in line.answers)
        story.answers.extend(NUMBERS[word] for word in line.answers)
    return stories


def _read_sentence(number: int, sentence: str) -> Sentence:
    shown, *rest = sentence.split("\t")
    words = re.findall(r"[a-z]+|[^a-z\s]", shown.lower())
    end = words[-1] if words else ""
    if end not in (FULL_STOP, QUESTION_MARK):
        raise ValueError(f"expected a sentence that ends in '.' or '?', found {shown[-20:]!r}")
    if (end == QUESTION_MARK) != (len(rest) == 2):
        raise ValueError("expected a question, its answer and its evidence between tabs, or a statement without tabs")
    if not rest:
        return Sentence(number, words, [], [])
    answers, evidence = rest[0].strip().lower().split(","), rest[1].split()
    if not all(answers):
        raise ValueError("expected an answer between the tabs, found none")
    wrong = [one for one in evidence if not one.isdecimal() or not 0 < int(one) < number]
    if wrong:
        raise ValueError(f"expected numbers of sentences before this one as evidence, found {wrong[0][:20]!r}")
    return Sentence(number, words, answers, list(map(int, evidence)))
