"""Dialogs about restaurants as questions: what has been said so far, what the user says, and what the bot answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Literal

from lukasa.ground.settings import check_choice, check_whole
from lukasa.tasks.questions.babi import check_tasks
from lukasa.tasks.questions.dialog_files import (
    Turn,
    candidates_in,
    dialogs_in,
    find_dialogs,
    missing_dialogs,
    read_dialogs,
)
from lukasa.tasks.questions.dialog_making import PARTS, all_responses, all_words, make_dialogs
from lukasa.tasks.questions.question_set import Question, QuestionSet, Vocabulary, question_set

SPEAKERS = ("<user>", "<bot>", "<fact>")
"""The first word of each sentence of a story: who said it, or that an API call found it."""

TITLES = {
    1: "issue API calls",
    2: "update API calls",
    3: "display options",
    4: "provide information",
    5: "full dialogs",
}

Source = Literal["auto", "real", "generated"]


@dataclass(frozen=True, kw_only=True)
class DialogQuestions:
    """Book a table at a restaurant: the five tasks of Bordes et al. 2017, "Learning End-to-End Goal-Oriented Dialog".

    The story is all that was said in the dialog before, and the facts that API calls found; the question is what the
    user says, and the answer what the bot says then, among all that a bot may say.

    Attributes:
        source: real, generated, or auto for real dialogs where their files are available.
        dialogs: number of generated dialogs in each part of a task; the published sets have 1,000.
        seed: number that decides about all generated dialogs.
        data_dir: folder to look for the files in first.
    """

    source: Source = "auto"
    dialogs: int = 1000
    seed: int = 0
    data_dir: str = ""

    parts: ClassVar[tuple[str, ...]] = PARTS
    tasks: ClassVar[dict[int, str]] = TITLES

    def __post_init__(self) -> None:
        check_choice("dialog", "source", self.source, ("auto", "real", "generated"))
        for name, least in (("dialogs", 1), ("seed", 0)):
            check_whole("dialog", name, getattr(self, name), least)

    def load(self, part: str, tasks: Sequence[int]) -> QuestionSet:
        """The questions of a part of some tasks.

        Args:
            part: "train", "validation", "test", or "test_oov", whose places and dishes are in no other part.
            tasks: their numbers, from 1 to 5.

        Raises:
            ValueError: there is no such part or task.
            lukasa.tasks.data.DataError: the files are broken, or, for source "real", not available.
        """
        check_choice("dialog", "part", part, PARTS)
        check_tasks("dialog", tasks, self.tasks)
        folder = None if self.source == "generated" else find_dialogs(self.data_dir)
        if folder is not None:
            return _real(tuple(tasks), part, folder)
        if self.source == "real":
            raise missing_dialogs(self.data_dir)
        return _made(tuple(tasks), part, self.dialogs, self.seed)


def questions_of(dialogs: list[list[Turn]], task: int, first: int) -> list[list[Question]]:
    """The questions of each dialog, one for each thing that the bot says.

    Args:
        dialogs: as ``lukasa.tasks.questions.dialog_files.read_dialogs`` gives them.
        task: its number.
        first: the number of the first dialog, by which its questions are grouped.
    """
    user, bot, fact = SPEAKERS
    found = []
    for number, dialog in enumerate(dialogs, first):
        told: list[list[str]] = []
        asked = []
        for turn in dialog:
            if turn.is_fact:
                told.append([fact, *turn.user])
                continue
            asked.append(Question(list(told), turn.user, [" ".join(turn.bot)], task=task, group=number))
            told += [[user, *turn.user], [bot, *turn.bot]]
        found.append(asked)
    return found


@lru_cache(maxsize=8)
def _real(tasks: tuple[int, ...], part: str, folder: Path) -> QuestionSet:
    candidates = candidates_in(folder)
    known = {" ".join(words) for words in candidates}
    words = {word for candidate in candidates for word in candidate}
    dialogs: dict[int, list[list[Turn]]] = {}
    for task in tasks:
        for one in PARTS:
            found = dialogs_in(folder, task, one, known)
            words.update(word for dialog in found for turn in dialog for word in turn.user)
            if one == part:
                dialogs[task] = found
    vocabulary = Vocabulary.of((*SPEAKERS, *sorted(words)), [" ".join(one) for one in candidates], candidates)
    return _set_of(dialogs, vocabulary, "dialog bAbI")


@lru_cache(maxsize=8)
def _made(tasks: tuple[int, ...], part: str, count: int, seed: int) -> QuestionSet:
    vocabulary = _made_vocabulary()
    known = set(vocabulary.answers)
    dialogs = {task: read_dialogs(make_dialogs(task, part, count, seed), "made dialogs", known) for task in tasks}
    return _set_of(dialogs, vocabulary, "generated dialogs")


@lru_cache(maxsize=1)
def _made_vocabulary() -> Vocabulary:
    responses = all_responses()
    return Vocabulary.of((*SPEAKERS, *all_words()), responses, [one.split() for one in responses])


def _set_of(dialogs: dict[int, list[list[Turn]]], vocabulary: Vocabulary, source: str) -> QuestionSet:
    found: list[list[Question]] = []
    for task, of_task in dialogs.items():
        found += questions_of(of_task, task, len(found))
    asked = [one for dialog in found for one in dialog]
    return question_set(
        asked,
        vocabulary,
        unit="accuracy %",
        titles={task: TITLES[task] for task in dialogs},
        source=source,
        stories=[one.group for one in asked],
    )
