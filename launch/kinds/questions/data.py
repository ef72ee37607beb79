"""The questions of an experiment: which tasks of which set, for which reader."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lukasa.agents.questions import sizes_of
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.ground.registry import is_own
from lukasa.launch.kinds.questions.experiment import QuestionExperiment
from lukasa.memory.readers import Sizes
from lukasa.tasks.questions import QuestionData, QuestionSet, check_loaded, make_questions

ALL = "all tasks"
"""What a reader is called that answers the questions of every task."""


def read_tasks(text: str, known: Sequence[int]) -> list[int]:
    """Numbers of tasks out of the command line; all that there are for an empty text.

    Raises:
        UserError: there is no such task, one is named twice, or the text is something else.

    Example:
        >>> read_tasks("1-3,5", range(1, 21))
        [1, 2, 3, 5]
    """
    if not text.strip():
        return list(known)
    found: list[int] = []
    for part in text.split(","):
        numbers = re.fullmatch(r"(\d{1,9})(?:-(\d{1,9}))?", part.strip())
        if numbers is None:
            raise UserError(f"option --tasks has {part.strip()!r}: expected numbers of tasks, such as 1-3,5")
        first, last = (int(one) for one in numbers.groups(numbers[1]))
        found += range(first, last + 1)[: len(known) + 1]  # one too many is refused below
    missing = [task for task in found if task not in known]
    if missing or len(set(found)) < len(found) or not found:
        numbers = ", ".join(map(str, known))
        raise UserError(f"option --tasks is {text!r}: expected different numbers among {numbers}")
    return found


def make_data(experiment: QuestionExperiment) -> QuestionData:
    """The set of questions that an experiment is about.

    Raises:
        tasks.questions.UnknownQuestionDataError: there is no such set, or an option of it is unknown.
        UserError: an option cannot be used.
    """
    with as_user_error():
        return make_questions(experiment.data, **experiment.dataset)


def groups_of(experiment: QuestionExperiment) -> dict[str, list[int]]:
    """The tasks of each reader, by the reader's name: one reader for all of them, or each task with its own.

    Raises:
        UserError: there is no such task.
    """
    tasks = read_tasks(experiment.tasks, list(make_data(experiment).tasks))
    return {f"task {task}": [task] for task in tasks} if experiment.apart else {ALL: tasks}


def load_questions(experiment: QuestionExperiment, part: str, tasks: Sequence[int]) -> QuestionSet:
    """The questions of a part of some tasks, with as many sentences as the reader holds.

    Raises:
        UserError: there is no such part.
        tasks.questions.UnknownQuestionDataError: a set of the user's own loaded something else.
        tasks.DataError: the files are not available, or broken.
    """
    data = make_data(experiment)
    if part not in data.parts:
        raise UserError(f"questions {experiment.data!r} have no part {part!r}: take one of {', '.join(data.parts)}")
    with as_user_error():
        found = data.load(part, tasks)
    if is_own(experiment.data):
        found = check_loaded(experiment.data, found, part, tasks)
    return found.last_sentences(experiment.sentences)


def reader_sizes(experiment: QuestionExperiment, tasks: Sequence[int]) -> Sizes:
    """What a reader has to hold for the questions of some tasks, whatever the part.

    Raises:
        UserError: the set cannot be loaded.
        tasks.DataError: the files are not available, or broken.
    """
    names = sorted(make_data(experiment).parts, key=lambda part: part != "train")  # what it learns from comes first
    parts = [load_questions(experiment, part, tasks) for part in names]
    return sizes_of(*parts, sentences=experiment.sentences)
