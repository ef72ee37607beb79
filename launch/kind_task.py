"""Supervised training of a core on a task: the kind ``task``."""

from __future__ import annotations

import sys
from typing import Any

from launch.endings import Outcome, Resume
from launch.errors import UserError
from launch.kinds import Evaluation, Kind, Listen, Pictures, refuse_draws
from launch.placement import OnRay
from launch.runs import Run
from launch.subjects import Subject
from launch.task_experiment import TaskExperiment
from launch.task_recipes import TASK


def check_experiment(experiment: TaskExperiment) -> None:
    """Build everything and draw a sequence, so that mistakes show before anything is written.

    Raises:
        UserError: a number or an option cannot be used.
        memory.UnknownNameError, tasks.UnknownTaskError: the core or the task is unknown.
        tasks.DataError: the task's data is not available.
    """
    TASK.check_numbers(experiment)

    import torch

    from launch.task import make_trainer
    from launch.task_settings import hardest, note_on_slots

    if experiment.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda needs a GPU that this PyTorch can use, and there is none: take --device cpu")
    if experiment.precision == "bfloat16" and experiment.device == "cpu":
        raise UserError("--precision bfloat16 is for GPUs: add --device cuda, or take float32")
    trainer = make_trainer(experiment)
    trainer.sampler.sample(1, torch.Generator())
    if experiment.memory_use and "slots" not in experiment.memory:
        raise UserError(f"core {experiment.core!r} has no slots for --memory-use to encourage: take ntm or dnc")
    note = note_on_slots(experiment, hardest(trainer.sampler, trainer.curriculum))
    if note:
        print(f"warning: {note}", file=sys.stderr)


def _train(run: Run, experiment: TaskExperiment, resume: Resume | None, listen: Listen | None = None) -> Outcome:
    from launch.task import train

    if listen is None:
        return train(run, experiment, resume)

    from launch.loop import Worker
    from launch.progress import Silence

    worker = Worker(listen=listen, make_reporter=lambda *_, **__: Silence())
    return train(run, experiment, resume, worker)


def _on_ray() -> OnRay[TaskExperiment]:
    from launch.data_parallel import on_workers  # imports Ray
    from launch.task import train

    return on_workers(train)


def _evaluation() -> Evaluation[TaskExperiment]:
    from launch.evaluate_task import EVALUATION

    return EVALUATION


def _pictures() -> Pictures[TaskExperiment]:
    from launch.plot_task import PICTURES

    return PICTURES


def _load_agent(run: Run, experiment: TaskExperiment, checkpoint: str, **options: Any) -> Any:
    from agents.sequence import CoreAgent
    from launch.evaluate_task import load_core
    from launch.task_settings import make_sampler

    copies = options.pop("copies")
    refuse_draws(run, "task", **options)
    core = load_core(run, experiment, checkpoint).core
    return CoreAgent(core, make_sampler(experiment.task, "train", dict(experiment.sampler)).spec, copies=copies)


def _subject(experiment: TaskExperiment) -> Subject:
    from launch.plot_task import subject  # builds a sampler

    return subject(experiment)


KIND = Kind(
    TASK,
    check=check_experiment,
    train=_train,
    subject=_subject,
    evaluation=_evaluation,
    pictures=_pictures,
    load_agent=_load_agent,
    on_ray=_on_ray,
)
"""Supervised tasks."""
