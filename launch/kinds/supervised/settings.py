"""From an experiment to samplers: of a split, of a length, and whether the memory can hold what they ask."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Any

import torch

from lukasa import memory, tasks
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.tasks import Batch, Curriculum, FiniteSampler, Sampler

SIDE_BY_SIDE = 50
"""Sequences of a split that are run at once."""


def higher_is_better(unit: str) -> bool:
    """Whether a higher score in this unit is a better one."""
    return unit == "accuracy %"


def split_settings(experiment: TaskExperiment, split: str) -> dict[str, Any]:
    """The experiment's settings of the task, but for those that a split decides about."""
    decided = tasks.TASKS.find(experiment.task).splits[split].options
    return {name: value for name, value in experiment.sampler.items() if name not in decided}


def length_settings(task: str, length: int) -> dict[str, int]:
    """The settings that make every sequence of a task this long.

    Raises:
        UserError: the task has no length.

    Example:
        >>> length_settings("associative_recall", 12)
        {'min_items': 12, 'max_items': 12}
    """
    settings = tasks.TASKS.find(task).at_length(length)
    if not settings:
        raise UserError(f"task {task!r} has no length to test it at: leave --length out")
    return settings


def length_name(task: str) -> str:
    """What the length of a sequence counts, such as "length" or "items"."""
    return next(iter(length_settings(task, 2))).removeprefix("min_")


def make_sampler(task: str, split: str, settings: dict[str, Any]) -> Sampler:
    """The sampler of a split with settings of one's own.

    Raises:
        UserError: the task cannot have these settings.
        tasks.UnknownTaskError: there is no such task or split.
    """
    with as_user_error("", TypeError):
        return tasks.make_task(task, split=split, **settings)


def split_sequences(task: str, sampler: Sampler, split: str, count: int | None) -> Iterator[Batch]:
    """The sequences of a split, the same ones every time, in batches.

    Args:
        task: its name.
        sampler: of the task, with the settings that are wanted.
        split: whose seed draws them.
        count: how many, drawn anew beyond the split's size; that size when None.
    """
    drawn = tasks.TASKS.find(task).splits[split]
    if isinstance(sampler, FiniteSampler):
        left = count or len(sampler)
        for batch in itertools.islice(sampler.every(SIDE_BY_SIDE), math.ceil(left / SIDE_BY_SIDE)):
            yield Batch(*(tensor[:left] for tensor in batch))
            left -= len(batch.mask)
        return
    generator, left = torch.Generator().manual_seed(drawn.seed), count or drawn.size
    while left > 0:
        yield sampler.sample(min(SIDE_BY_SIDE, left), generator)
        left -= SIDE_BY_SIDE


def hardest(sampler: Sampler, curriculum: Curriculum) -> Sampler:
    """The sampler at those settings of a curriculum that ask for most words to be held at once."""
    changed: Any = sampler
    samplers = [dataclasses.replace(changed, **settings) for settings in curriculum.extremes()]
    return max(samplers, key=lambda one: one.spec.holds)


def note_on_slots(experiment: TaskExperiment, sampler: Sampler) -> str | None:
    """A sentence where the task asks for more words at once than the memory has slots of a word; None elsewhere."""
    slots, words = experiment.memory.get("slots"), sampler.spec.holds
    if slots is None or words <= slots or "word_size" not in memory.core_options(experiment.core):
        return None
    return (
        f"{words} words are to be held at once and the memory has {slots} slots: "
        f"{words} would do, by training with --memory.slots {words}"
    )
