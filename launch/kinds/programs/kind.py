"""Programs that are learned from execution traces: the kind ``programs``."""

from __future__ import annotations

from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import Evaluation, Kind, Listen, Pictures, refuse_draws
from lukasa.launch.kinds.programs.experiment import ProgramExperiment
from lukasa.launch.kinds.programs.recipes import PROGRAMS
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.ray.placement import OnRay
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume


def check_experiment(experiment: ProgramExperiment) -> None:
    """Build everything and learn from a trace, so that mistakes show before anything is written.

    Raises:
        UserError: a number or an option cannot be used.
        tasks.programs.UnknownProgramTaskError: there is no such task.
    """
    PROGRAMS.check_numbers(experiment)
    import torch

    from lukasa.launch.kinds.programs.job import make_trainer
    from lukasa.launch.training.by_batch import check_device
    from lukasa.tasks.programs.environment import POINTER_RANGE

    check_device(experiment)
    if experiment.longest > POINTER_RANGE:
        raise UserError(f"option --longest is {experiment.longest}: expected at most {POINTER_RANGE:,}")
    trainer = make_trainer(experiment)
    trainer.source.longest = min(3, experiment.longest)
    trainer.learner.learn(trainer.source.sample(None, 1, torch.Generator().manual_seed(0)))


def subject(experiment: ProgramExperiment) -> Subject:
    """What a run is scored on."""
    return Subject(
        name=f"{experiment.tasks}, {experiment.form}",
        plural="tasks",
        unit="exact %",
        counted="traces",
        score_key="score",
        learner=f"npi {experiment.size}",
        best=100.0,
    )


def _train(run: Run, experiment: ProgramExperiment, resume: Resume | None, listen: Listen | None = None) -> Outcome:
    from lukasa.launch.kinds.programs.job import ProgramJob
    from lukasa.launch.training.loop import quietly

    return ProgramJob.train(run, experiment, resume, None if listen is None else quietly(listen))


def _on_ray() -> OnRay[ProgramExperiment]:
    from lukasa.launch.kinds.programs.job import ProgramJob
    from lukasa.launch.training.data_parallel import on_workers  # imports Ray

    return on_workers(ProgramJob.train)


def _evaluation() -> Evaluation[ProgramExperiment]:
    from lukasa.launch.kinds.programs.evaluation import EVALUATION

    return EVALUATION


def _pictures() -> Pictures[ProgramExperiment]:
    from lukasa.launch.kinds.programs.pictures import PICTURES

    return PICTURES


def _load_agent(run: Run, experiment: ProgramExperiment, checkpoint: str, **options: Any) -> Any:
    from lukasa.launch.kinds.programs.evaluation import load_core

    if options.pop("copies") is not None:
        raise UserError(
            f"run {run.path} is of kind 'programs', which carries out one problem at a time: leave copies out"
        )
    refuse_draws(run, "programs", **options)
    return load_core(run, experiment, checkpoint).agent


KIND = Kind(
    PROGRAMS,
    check=check_experiment,
    train=_train,
    subject=subject,
    evaluation=_evaluation,
    pictures=_pictures,
    load_agent=_load_agent,
    on_ray=_on_ray,
)
"""Programs that are learned from execution traces."""
