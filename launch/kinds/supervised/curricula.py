"""Curricula from the command line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.supervised.experiment import CurriculumOptions, TaskExperiment

if TYPE_CHECKING:
    from lukasa.tasks import Curriculum


def make_curriculum(
    options: CurriculumOptions, task: str, settings: Mapping[str, Any], *, higher_is_better: bool
) -> Curriculum:
    """The curriculum that the options ask for.

    Args:
        options: of the curriculum.
        task: its name.
        settings: of the task, for every batch unless the curriculum says otherwise.
        higher_is_better: whether a higher score of the task is a better one.

    Raises:
        UserError: nobody could follow such a curriculum, or the task cannot take it.
    """
    from lukasa import tasks

    if options.kind == "uniform" and options != CurriculumOptions():
        raise UserError("options of --curriculum need a kind: add --curriculum.kind lessons, or doubling")
    with as_user_error():
        if options.kind == "lessons":
            curriculum: Curriculum = tasks.Lessons(
                _read_lessons(options.lessons),
                mastery=options.mastery,
                review=options.review,
                window=options.window,
                higher_is_better=higher_is_better,
            )
        elif options.kind == "doubling":
            curriculum = tasks.Doubling(
                options.level,
                start=options.start,
                limit=options.limit,
                threshold=options.threshold,
                lowest=options.lowest,
                window=options.window,
            )
        else:
            curriculum = tasks.Uniform()
        tasks.check_curriculum(task, curriculum, **settings)
    return curriculum


def stage_now(curriculum: Curriculum) -> str:
    """The lesson or level for people; empty where all sequences are alike."""
    from lukasa import tasks

    if isinstance(curriculum, tasks.Lessons):
        lesson = curriculum.lesson
        settings = " ".join(f"{name} {value}" for name, value in curriculum.lessons[lesson].items())
        return f"lesson {lesson + 1} of {len(curriculum.lessons)} ({settings})"
    if isinstance(curriculum, tasks.Doubling):
        return f"level {curriculum.level:,} of {curriculum.limit:,}"
    return ""


def chance_now(experiment: TaskExperiment, curriculum: Curriculum) -> float | None:
    """What guessing scores on the sequences that the curriculum draws now; None where it is not known.

    Of a level that doubles it is the mean of some levels up to the highest so far, which are drawn alike.
    """
    from lukasa import tasks

    given = dict(experiment.sampler)
    if isinstance(curriculum, tasks.Lessons):
        each = [curriculum.lessons[curriculum.lesson]]
    elif isinstance(curriculum, tasks.Doubling):
        lowest, highest = curriculum.lowest, curriculum.level
        levels = {round(lowest + (highest - lowest) * part / 8) for part in range(9)}
        each = [dict.fromkeys(curriculum.names, level) for level in sorted(levels)]
    else:
        each = [{}]
    scores = [tasks.make_task(experiment.task, **{**given, **settings}).spec.chance for settings in each]
    mean = sum(scores) / len(scores)
    return mean if math.isfinite(mean) else None


def _read_lessons(text: str) -> list[dict[str, Any]]:
    """Lessons out of JSON, or out of a file that holds it."""
    where = "--curriculum.lessons"
    if text and not text.lstrip().startswith("["):
        where, path = text, Path(text)
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise UserError(
                f"--curriculum.lessons {path} cannot be read: {reason}: expected a JSON list or a file"
            ) from None
    expected = """expected a JSON list of settings such as '[{"max_length": 5}, {"max_length": 20}]'"""
    if not text:
        raise UserError(f"--curriculum.kind lessons needs --curriculum.lessons: {expected}")
    try:
        lessons = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is no JSON: line {error.lineno}: {error.msg}: {expected}") from None
    if not isinstance(lessons, list) or not all(isinstance(lesson, dict) for lesson in lessons):
        raise UserError(f"{where} holds something else: {expected}")
    return lessons
