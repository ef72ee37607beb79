"""Neural Random-Access Machines that find a program: the kind ``circuits``."""

from __future__ import annotations

from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.circuits.experiment import CircuitExperiment
from lukasa.launch.kinds.circuits.recipes import CIRCUITS
from lukasa.launch.kinds.kind import Evaluation, Kind, Listen, Pictures, refuse_draws
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.ray.placement import OnRay
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume


def check_experiment(experiment: CircuitExperiment) -> None:
    """Build everything and draw a batch, so that mistakes show before anything is written.

    Raises:
        UserError: a number, a name or an option cannot be used.
    """
    CIRCUITS.check_numbers(experiment)
    from lukasa.launch.kinds.circuits.job import make_trainer
    from lukasa.launch.training.by_batch import check_device

    check_device(experiment)
    make_trainer(experiment)


def subject(experiment: CircuitExperiment) -> Subject:
    """What a run is scored on."""
    return Subject(
        name=experiment.task,
        plural="tasks",
        unit="error %",
        counted="examples",
        score_key="score",
        learner=f"{experiment.controller}, {experiment.registers} registers",
        best=0.0,
        averaged=", of the best start",
        stage="level",
        higher_is_better=False,
    )


def _train(run: Run, experiment: CircuitExperiment, resume: Resume | None, listen: Listen | None = None) -> Outcome:
    from lukasa.launch.kinds.circuits.job import CircuitJob
    from lukasa.launch.training.loop import quietly

    return CircuitJob.train(run, experiment, resume, None if listen is None else quietly(listen))


def _on_ray() -> OnRay[CircuitExperiment]:
    from lukasa.launch.kinds.circuits.job import CircuitJob
    from lukasa.launch.training.data_parallel import on_workers  # imports Ray

    return on_workers(CircuitJob.train)


def _evaluation() -> Evaluation[CircuitExperiment]:
    from lukasa.launch.kinds.circuits.evaluation import EVALUATION

    return EVALUATION


def _pictures() -> Pictures[CircuitExperiment]:
    from lukasa.launch.kinds.circuits.pictures import PICTURES

    return PICTURES


def _load_agent(run: Run, experiment: CircuitExperiment, checkpoint: str, **options: Any) -> Any:
    from lukasa.launch.kinds.circuits.evaluation import load_program

    if options.pop("copies") is not None:
        raise UserError(f"run {run.path} is of kind 'circuits', which takes any number of memories: leave copies out")
    refuse_draws(run, "circuits", **options)
    return load_program(run, experiment, checkpoint)


KIND = Kind(
    CIRCUITS,
    check=check_experiment,
    train=_train,
    subject=subject,
    evaluation=_evaluation,
    pictures=_pictures,
    load_agent=_load_agent,
    on_ray=_on_ray,
)
"""Programs for a random-access memory."""
