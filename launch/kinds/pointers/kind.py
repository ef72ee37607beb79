"""Pointers at points: the kind ``pointers``."""

from __future__ import annotations

from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import Evaluation, Kind, Listen, Pictures, refuse_draws
from lukasa.launch.kinds.pointers.experiment import PointerExperiment
from lukasa.launch.kinds.pointers.published import published_exact
from lukasa.launch.kinds.pointers.recipes import POINTING
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.ray.placement import OnRay
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume


def check_experiment(experiment: PointerExperiment) -> None:
    """Build everything and answer a batch of two sets, so that mistakes show before anything is written.

    Raises:
        UserError: a number or an option cannot be used.
        memory.UnknownNameError: a name is unknown.
    """
    POINTING.check_numbers(experiment)
    import torch

    from lukasa.ground.mistakes import as_user_error
    from lukasa.launch.kinds.pointers.job import make_trainer
    from lukasa.launch.training.by_batch import check_device

    check_device(experiment)
    trainer = make_trainer(experiment)
    with as_user_error():
        batch = trainer.source.sample(None, 2, torch.Generator().manual_seed(0)).to(experiment.device)
        trainer.learner.model(batch.points, batch.sizes, batch.answers)


def subject(experiment: PointerExperiment) -> Subject:
    """What a run is scored on."""
    return Subject(
        name=experiment.task_title,
        plural="pointing tasks",
        unit="exact %",
        counted="sets of points",
        score_key="score",
        learner=experiment.model,
        best=100.0,
        published=published_exact(experiment),
    )


def _train(run: Run, experiment: PointerExperiment, resume: Resume | None, listen: Listen | None = None) -> Outcome:
    from lukasa.launch.kinds.pointers.job import PointerJob
    from lukasa.launch.training.loop import quietly

    return PointerJob.train(run, experiment, resume, None if listen is None else quietly(listen))


def _on_ray() -> OnRay[PointerExperiment]:
    from lukasa.launch.kinds.pointers.job import PointerJob
    from lukasa.launch.training.data_parallel import on_workers  # imports Ray

    return on_workers(PointerJob.train)


def _evaluation() -> Evaluation[PointerExperiment]:
    from lukasa.launch.kinds.pointers.evaluation import EVALUATION

    return EVALUATION


def _pictures() -> Pictures[PointerExperiment]:
    from lukasa.launch.kinds.pointers.pictures import PICTURES

    return PICTURES


def _load_agent(run: Run, experiment: PointerExperiment, checkpoint: str, **options: Any) -> Any:
    from lukasa.launch.kinds.pointers.evaluation import load_pointer_agent

    if options.pop("copies") is not None:
        raise UserError(f"run {run.path} is of kind 'pointers', which answers one set at a time: leave copies out")
    refuse_draws(run, "pointers", **options)
    return load_pointer_agent(run, experiment, checkpoint)


KIND = Kind(
    POINTING,
    check=check_experiment,
    train=_train,
    subject=subject,
    evaluation=_evaluation,
    pictures=_pictures,
    load_agent=_load_agent,
    on_ray=_on_ray,
)
"""Pointers at points."""
