"""Supervised training of a core on a task: the kind ``task``."""

from __future__ import annotations

import sys
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import refuse_draws
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.runs.directory import Run
from lukasa.launch.training.batch_kind import batch_kind


def check_experiment(experiment: TaskExperiment) -> None:
    """Build everything and draw a sequence, so that mistakes show before anything is written.

    Raises:
        UserError: a number or an option cannot be used.
        memory.UnknownNameError, tasks.UnknownTaskError: the core or the task is unknown.
        tasks.DataError: the task's data is not available.
    """
    TASK.check_numbers(experiment)

    import torch

    from lukasa.launch.kinds.supervised.job import make_trainer
    from lukasa.launch.kinds.supervised.settings import hardest, note_on_slots
    from lukasa.launch.training.by_batch import check_device

    check_device(experiment)
    if experiment.precision == "bfloat16" and experiment.device == "cpu":
        raise UserError("--precision bfloat16 is for GPUs: add --device cuda, or take float32")
    trainer = make_trainer(experiment)
    trainer.source.sampler.sample(1, torch.Generator())
    if experiment.memory_use and "slots" not in experiment.memory:
        raise UserError(f"core {experiment.core!r} has no slots for --memory-use to encourage: take ntm or dnc")
    note = note_on_slots(experiment, hardest(trainer.source.sampler, trainer.source.curriculum))
    if note:
        print(f"warning: {note}", file=sys.stderr)


def _load_agent(run: Run, experiment: TaskExperiment, checkpoint: str, **options: Any) -> Any:
    from lukasa.agents.sequence import CoreAgent
    from lukasa.launch.kinds.supervised.evaluation import load_core
    from lukasa.launch.kinds.supervised.settings import make_sampler

    copies = options.pop("copies")
    refuse_draws(run, "task", **options)
    core = load_core(run, experiment, checkpoint).core
    return CoreAgent(core, make_sampler(experiment.task, "train", dict(experiment.sampler)).spec, copies=copies)


def _subject(experiment: TaskExperiment) -> Subject:
    from lukasa.launch.kinds.supervised.subject import subject  # builds a sampler

    return subject(experiment)


KIND = batch_kind(
    TASK,
    room="lukasa.launch.kinds.supervised",
    job="TaskJob",
    check=check_experiment,
    subject=_subject,
    load_agent=_load_agent,
)
"""Supervised tasks."""
