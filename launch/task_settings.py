"""From an experiment to samplers: of a split, of a length, and whether the memory can hold what they ask."""

from __future__ import annotations

from typing import Any

import tasks
from launch.errors import UserError
from launch.task_experiment import TaskExperiment
from tasks import Sampler

LENGTHS: dict[str, tuple[str, ...]] = {
    "mqar": ("pairs",),
    "nth_farthest": ("pause",),
    "ngrams": ("length",),
    "traversal": ("min_path", "max_path"),
    "shortest_path": ("min_path", "max_path"),
    "inference": ("min_path", "max_path"),
}
"""The settings that are the length of a sequence, for tasks where it is not their first range."""


def higher_is_better(unit: str) -> bool:
    """Whether a higher score in this unit is a better one."""
    return unit == "accuracy %"


def split_settings(experiment: TaskExperiment, split: str) -> dict[str, Any]:
    """The experiment's settings of the task, but for those that a split decides about."""
    decided = tasks.TASKS[experiment.task].splits[split].options
    return {name: value for name, value in experiment.sampler.items() if name not in decided}


def length_settings(task: str, length: int) -> dict[str, int]:
    """The settings that make every sequence of a task this long.

    Raises:
        UserError: the task has no length.

    Example:
        >>> length_settings("associative_recall", 12)
        {'min_items': 12, 'max_items': 12}
    """
    options = tasks.task_options(task)
    ranges = [name.removeprefix("min_") for name in options if name.startswith("min_")]
    names = LENGTHS.get(task) or tuple(f"{end}_{name}" for name in ranges[:1] for end in ("min", "max"))
    if not names:
        raise UserError(f"task {task!r} has no length to test it at: leave --length out")
    if task == "mqar":
        # The sequence grows with the pairs, as from the default to the split "longer".
        return {"pairs": length, "length": max(64, 16 * length)}
    return dict.fromkeys(names, length)


def length_name(task: str) -> str:
    """What the length of a sequence counts, such as "length" or "items"."""
    return next(iter(length_settings(task, 2))).removeprefix("min_")


def make_sampler(task: str, split: str, settings: dict[str, Any]) -> Sampler:
    """The sampler of a split with settings of one's own.

    Raises:
        UserError: the task cannot have these settings.
        tasks.UnknownTaskError: there is no such task or split.
    """
    try:
        return tasks.make_task(task, split=split, **settings)
    except tasks.UnknownTaskError:
        raise
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from None


def note_on_slots(experiment: TaskExperiment, sampler: Sampler) -> str | None:
    """A sentence where the task asks for more words at once than the memory has slots; None where it does not."""
    slots, words = experiment.memory.get("slots"), sampler.spec.holds
    if slots is None or words <= slots:
        return None
    return f"{words} words are to be held at once and the memory has {slots} slots: --memory.slots {words} would do"
