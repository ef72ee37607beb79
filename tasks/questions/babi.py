"""The bAbI tasks as questions about stories, sentence by sentence, with the sentences that each answer follows from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

from lukasa.ground.settings import check_choice, check_whole
from lukasa.tasks.babi import VALIDATION_SHARE
from lukasa.tasks.babi_files import (
    FULL_STOP,
    PLACEHOLDER,
    QUESTION_MARK,
    TITLES,
    WORDS,
    Sentence,
    read_lines,
    task_text,
)
from lukasa.tasks.babi_stories import TELLERS, tell
from lukasa.tasks.data import DataError, folders
from lukasa.tasks.questions.question_set import Question, QuestionSet, Vocabulary, question_set

PARTS = ("train", "validation", "test")

SPOKEN = tuple(word for word in WORDS if word not in (PLACEHOLDER, FULL_STOP, QUESTION_MARK))
"""The words of the tasks without punctuation."""


@dataclass(frozen=True, kw_only=True)
class BabiQuestions:
    """The twenty bAbI tasks (Weston et al. 2015), from their files.

    Attributes:
        size: "en-10k" for about 10,000 training questions a task, "en" for 1,000.
        data_dir: folder to look for the files in first; see ``lukasa.tasks.data``.
    """

    size: Literal["en", "en-10k"] = "en-10k"
    data_dir: str = ""

    tasks: ClassVar[dict[int, str]] = dict(enumerate(TITLES, 1))
    parts: ClassVar[tuple[str, ...]] = PARTS

    def __post_init__(self) -> None:
        check_choice("babi", "size", self.size, ("en", "en-10k"))

    def load(self, part: str, tasks: Sequence[int]) -> QuestionSet:
        """The questions of a part of some tasks.

        Args:
            part: "train" and "validation", the first nine tenths and the last of the training stories, or "test".
            tasks: their numbers, from 1 to 20.

        Raises:
            ValueError: there is no such part or task.
            lukasa.tasks.data.DataError: the files are not available, or broken.
        """
        check_choice("babi", "part", part, PARTS)
        check_tasks("babi", tasks, self.tasks)
        return _real(tuple(tasks), self.size, part, self.data_dir, tuple(folders("babi", self.data_dir)))


@dataclass(frozen=True, kw_only=True)
class MadeBabiQuestions:
    """Stories of our own for tasks 1, 2, 3, 6, 15 and 16 of bAbI, which say nothing about the real ones.

    Attributes:
        stories: number of stories of each task.
        seed: number that decides about all stories.
    """

    stories: int = 1000
    seed: int = 0

    tasks: ClassVar[dict[int, str]] = {task: TITLES[task - 1] for task in TELLERS}
    parts: ClassVar[tuple[str, ...]] = PARTS

    def __post_init__(self) -> None:
        for name, least in (("stories", 1), ("seed", 0)):
            check_whole("babi_made", name, getattr(self, name), least)

    def load(self, part: str, tasks: Sequence[int]) -> QuestionSet:
        """The questions of a part, "train", "validation" or "test", of some tasks; the parts share no random numbers.

        Raises:
            ValueError: there is no such part or task.
        """
        check_choice("babi_made", "part", part, PARTS)
        check_tasks("babi_made", tasks, self.tasks)
        return _made(tuple(tasks), part, self.stories, self.seed)


def check_tasks(name: str, tasks: Sequence[int], known: Iterable[int]) -> None:
    """Refuse tasks that there are not, or that are named twice.

    Raises:
        ValueError: there is one.
    """
    if not tasks or len(set(tasks)) < len(tasks) or not set(tasks) <= set(known):
        numbers = ", ".join(map(str, known))
        raise ValueError(f"{name}: tasks is {','.join(map(str, tasks))!r}: expected different numbers among {numbers}")


def questions_of(lines: Iterable[Sentence], task: int, where: str) -> list[list[Question]]:
    """The questions of each story, with all statements before them and the places of those that support the answer.

    Args:
        lines: as ``lukasa.tasks.babi_files.read_lines`` gives them.
        task: its number.
        where: the file's name, for messages.

    Raises:
        DataError: evidence is a question.
    """
    found: list[list[Question]] = []
    told: list[list[str]] = []
    places: dict[int, int] = {}
    for place, line in enumerate(lines, 1):
        if line.number == 1:
            found.append([])
            told, places = [], {}
        words = [word for word in line.words if word in _SPOKEN]
        if line.answers:
            if missing := [one for one in line.support if one not in places]:
                raise DataError(f"{where}, line {place}: its evidence {missing[0]} is a question, expected a statement")
            support = [places[one] for one in line.support]
            found[-1].append(Question(list(told), words, [",".join(line.answers)], support, task))
        else:
            places[line.number] = len(told)
            told.append(words)
    return found


_SPOKEN = frozenset(SPOKEN)


@lru_cache(maxsize=4)
def _real(tasks: tuple[int, ...], size: str, part: str, data_dir: str, places: tuple[Path, ...]) -> QuestionSet:
    # ``places`` are where it is looked for: part of the key, as the environment may name others later.
    stories, answers = [], set()
    for task in tasks:
        in_parts = {one: _file(task, size, one, data_dir, places) for one in ("train", "test")}
        answers |= {one.answers[0] for found in in_parts.values() for story in found for one in story}
        kept = len(in_parts["train"]) - len(in_parts["train"]) // VALIDATION_SHARE
        in_parts["train"], in_parts["validation"] = in_parts["train"][:kept], in_parts["train"][kept:]
        stories += in_parts[part]
    return _set_of(stories, tasks, answers, f"bAbI {size}")


@lru_cache(maxsize=80)
def _file(task: int, size: str, part: str, data_dir: str, places: tuple[Path, ...]) -> list[list[Question]]:
    where, text = task_text(task, size, part, data_dir)
    return questions_of(_known(text, where), task, where)


@lru_cache(maxsize=4)
def _made(tasks: tuple[int, ...], part: str, count: int, seed: int) -> QuestionSet:
    stories, answers = [], set()
    for task in tasks:
        where = f"made story of task {task}"
        for wanted in PARTS:
            found = questions_of(_known(tell(task, count, f"{seed} {wanted} {task}", 1), where), task, where)
            answers |= {one.answers[0] for story in found for one in story}
            stories += found if wanted == part else []
    return _set_of(stories, tasks, answers, "generated bAbI")


def _known(text: str, where: str) -> Iterable[Sentence]:
    """The lines of a text whose words are all among those of the tasks."""
    for place, line in enumerate(read_lines(text, where), 1):
        unknown = [word for word in (*line.words, *line.answers) if word not in _WORDS]
        if unknown:
            raise DataError(f"{where}, line {place}: {unknown[0]!r} is not among the words of the bAbI tasks")
        yield line


_WORDS = frozenset(WORDS)


def _set_of(stories: list[list[Question]], tasks: tuple[int, ...], answers: set[str], source: str) -> QuestionSet:
    return question_set(
        [one for story in stories for one in story],
        Vocabulary.of(SPOKEN, sorted(answers)),
        unit="error %",
        titles={task: TITLES[task - 1] for task in tasks},
        source=source,
        stories=[number for number, story in enumerate(stories) for _ in story],
    )
