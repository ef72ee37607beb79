"""Samplers by name, with options checked before anything is drawn, and the sequences of each split."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from torch import Generator

from lukasa.ground.names import nearest, unknown
from lukasa.ground.options import options_of
from lukasa.ground.registry import is_own
from lukasa.tasks.batch import Batch
from lukasa.tasks.catalogue import TASKS, UnknownTaskError
from lukasa.tasks.curriculum import Curriculum
from lukasa.tasks.samplers import FiniteSampler, Sampler


def task_options(name: str) -> dict[str, inspect.Parameter]:
    """The options of a task: name to parameter, with this task's default and the resolved type annotation.

    Raises:
        UnknownTaskError: there is no such task.
    """
    task = TASKS.find(name)
    options = options_of(task.sampler, given=0 if is_own(name) else None)
    return {option: one.replace(default=task.options.get(option, one.default)) for option, one in options.items()}


def make_task(name: str, *, split: str = "train", **options: Any) -> Sampler:
    """The sampler of a task.

    Args:
        name: a key of ``TASKS``, or the import path of a task or sampler of your own, "package.module:Name".
        split: one of the task's splits, whose settings it has.
        **options: settings that are to be different.

    Raises:
        UnknownTaskError: there is no such task or split.
        TypeError: the task has no such option; the message gives the nearest one.
        ValueError: an option's value cannot be used.

    Example:
        >>> sampler = make_task("copy", bits=4)
        >>> batch = sampler.sample(2, Generator().manual_seed(0))
        >>> batch.inputs.shape[-1], sampler.spec.output_size
        (5, 4)
    """
    task = TASKS.find(name)
    if split not in task.splits:
        raise UnknownTaskError(unknown(f"split of task {name!r}:", split, task.splits))
    known = task_options(name)
    for option in options:
        if option not in known:
            raise TypeError(f"task {name!r} has no option {option!r}: {nearest(option, known)}")
    return task.sampler(**{**task.options, **task.splits[split].options, **options})


def split_batches(name: str, split: str, batch_size: int, **options: Any) -> Iterator[Batch]:
    """The sequences of a split, the same ones every time; a training split has no end.

    Args:
        name: a key of ``TASKS``.
        split: one of the task's splits.
        batch_size: sequences in a batch; the last one may have fewer.
        **options: settings that are to be different from those of the split.

    Raises:
        UnknownTaskError, TypeError, ValueError: as ``make_task``.
        lukasa.tasks.data.DataError: the task's data is not available.
    """
    sampler = make_task(name, split=split, **options)
    drawn = TASKS.find(name).splits[split]
    if split != "train" and isinstance(sampler, FiniteSampler):
        yield from sampler.every(batch_size)
        return
    generator = Generator().manual_seed(drawn.seed)
    left = drawn.size
    while left > 0 or drawn.size == 0:
        yield sampler.sample(min(batch_size, left) if drawn.size else batch_size, generator)
        left -= batch_size


def check_curriculum(name: str, curriculum: Curriculum, **options: Any) -> None:
    """Refuse a curriculum with settings that a task cannot take.

    Args:
        name: a key of ``TASKS``.
        curriculum: whose settings are tried.
        **options: settings of the task that the curriculum leaves as they are.

    Raises:
        ValueError: the message says which settings, and why.
    """
    for settings in curriculum.extremes():
        try:
            make_task(name, **{**options, **settings})
        except (TypeError, ValueError) as refused:
            raise ValueError(f"curriculum: task {name!r} cannot take {settings}: {refused}") from refused
