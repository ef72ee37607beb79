"""Programs that are learned from execution traces: the kind ``programs``."""

from __future__ import annotations

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.programs.experiment import ProgramExperiment
from lukasa.launch.kinds.programs.recipes import PROGRAMS
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.training.batch_kind import batch_kind, one_agent


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


ROOM = "lukasa.launch.kinds.programs"
KIND = batch_kind(
    PROGRAMS,
    room=ROOM,
    job="ProgramJob",
    check=check_experiment,
    subject=subject,
    load_agent=one_agent(ROOM, "load_program_agent", "programs", "carries out one problem at a time"),
)
"""Programs that are learned from execution traces."""
