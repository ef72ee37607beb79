"""Learning tasks one after the other: the kind ``continual``."""

from __future__ import annotations

from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.continual.experiment import ContinualExperiment
from lukasa.launch.kinds.continual.recipes import CONTINUAL
from lukasa.launch.kinds.kind import Evaluation, Kind, Listen, Pictures, refuse_draws
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.ray.placement import OnRay
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume


def check_experiment(experiment: ContinualExperiment) -> None:
    """Build everything and answer an example of each task, so that mistakes show before anything is written.

    Raises:
        UserError: a number or an option cannot be used.
        memory.UnknownNameError: a name is unknown.
        tasks.DataError: the data is not available.
    """
    CONTINUAL.check_numbers(experiment)
    from lukasa.ground.mistakes import as_user_error
    from lukasa.launch.kinds.continual.job import make_trainer, within_stream
    from lukasa.launch.training.by_batch import check_device

    check_device(experiment)
    lessons = make_trainer(within_stream(experiment))
    with as_user_error():
        for examples in lessons.stream.train:
            one = examples.rows(0, 1).to(experiment.device)
            lessons.method.scores(one.inputs, one.tasks)


def subject(experiment: ContinualExperiment) -> Subject:
    """What a run is scored on."""
    return Subject(
        name=experiment.subject_name,
        plural="streams of tasks",
        unit="accuracy %",
        counted="examples",
        score_key="average_accuracy",
        learner=experiment.method,
        best=100.0,
        averaged=", all tasks so far",
        stage="task",
    )


def _train(run: Run, experiment: ContinualExperiment, resume: Resume | None, listen: Listen | None = None) -> Outcome:
    from lukasa.launch.kinds.continual.job import ContinualJob
    from lukasa.launch.training.loop import quietly

    return ContinualJob.train(run, experiment, resume, None if listen is None else quietly(listen))


def _on_ray() -> OnRay[ContinualExperiment]:
    from lukasa.launch.kinds.continual.job import ContinualJob
    from lukasa.launch.training.data_parallel import on_workers  # imports Ray

    return on_workers(ContinualJob.train)


def _evaluation() -> Evaluation[ContinualExperiment]:
    from lukasa.launch.kinds.continual.evaluation import EVALUATION

    return EVALUATION


def _pictures() -> Pictures[ContinualExperiment]:
    from lukasa.launch.kinds.continual.pictures import PICTURES

    return PICTURES


def _load_agent(run: Run, experiment: ContinualExperiment, checkpoint: str, **options: Any) -> Any:
    from lukasa.launch.kinds.continual.evaluation import load_agent

    if options.pop("copies") is not None:
        raise UserError(f"run {run.path} is of kind 'continual', which answers any number at once: leave copies out")
    refuse_draws(run, "continual", **options)
    return load_agent(run, experiment, checkpoint)


KIND = Kind(
    CONTINUAL,
    check=check_experiment,
    train=_train,
    subject=subject,
    evaluation=_evaluation,
    pictures=_pictures,
    load_agent=_load_agent,
    on_ray=_on_ray,
)
"""Tasks that are learned one after the other."""
