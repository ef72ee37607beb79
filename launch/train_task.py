"""``lukasa train task``: supervised training of a core on a task."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from launch.asking import words_or_questions
from launch.errors import UserError
from launch.placement import OnRay
from launch.runs import Run
from launch.task_experiment import TaskExperiment
from launch.task_recipes import TASK
from launch.training import Outcome, Request, Resume, read_request, train_command


def main(argv: Sequence[str]) -> int:
    """Train, or continue training; returns the exit code."""
    return train_command(TASK, words_or_questions(TASK, argv), check_experiment, _train, _on_ray)


def read_command_line(argv: Sequence[str]) -> Request[TaskExperiment]:
    """Parse the options; raises as ``launch.training.read_request``."""
    return read_request(TASK, argv)


def check_experiment(experiment: TaskExperiment) -> None:
    """Build everything and draw a sequence, so that mistakes show before anything is written.

    Raises:
        UserError: a number or an option cannot be used.
        memory.UnknownNameError, tasks.UnknownTaskError: the core or the task is unknown.
        tasks.DataError: the task's data is not available.
    """
    TASK.check_numbers(experiment)
    if not experiment.momentum < 1:
        raise UserError(f"option --momentum is {experiment.momentum}: expected less than 1")

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


def _train(run: Run, experiment: TaskExperiment, resume: Resume | None) -> Outcome:
    from launch.task import train

    return train(run, experiment, resume)


def _on_ray() -> OnRay[TaskExperiment]:
    from launch.data_parallel import on_workers  # imports Ray
    from launch.task import train

    return on_workers(train)
