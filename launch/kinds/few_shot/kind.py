"""Learners of few-shot episodes: the kind ``few-shot``.

Recipes whose episodes are sequences, such as ``omniglot_mann``, are of kind ``task``.
"""

from __future__ import annotations

from typing import Any

from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.few_shot.experiment import FewShotExperiment
from lukasa.launch.kinds.few_shot.recipes import FEW_SHOT
from lukasa.launch.kinds.kind import Evaluation, Kind, Listen, Pictures, refuse_draws
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.ray.placement import OnRay
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume


def check_experiment(experiment: FewShotExperiment) -> None:
    """Build everything and answer an episode, so that mistakes show before anything is written.

    Raises:
        UserError: a number or an option cannot be used, or the data is too small for the episodes.
        memory.UnknownNameError: the learner or an option is unknown.
        tasks.DataError: the data is not available.
    """
    FEW_SHOT.check_numbers(experiment)
    import torch

    from lukasa.agents.few_shot import evaluate_episodes
    from lukasa.launch.kinds.few_shot.data import make_shots, validation_part
    from lukasa.launch.kinds.few_shot.job import make_trainer
    from lukasa.launch.training.by_batch import check_device

    check_device(experiment)
    tested_parts = [experiment.part]
    if experiment.validate_every is not None:
        tested_parts.append(validation_part(experiment))
    trainer = make_trainer(experiment)
    ways, shots = experiment.tested_on
    with as_user_error():
        scored = [make_shots(experiment, part, ways=ways, shots=shots) for part in tested_parts]
        for tested in (trainer.source.shots, *scored):
            evaluate_episodes(trainer.learner.module, tested, 1, torch.Generator())


def subject(experiment: FewShotExperiment) -> Subject:
    """What a run is scored on."""
    return Subject(
        name=f"{experiment.data_title}, {experiment.ways} ways, {experiment.shots} shot{'s'[: experiment.shots > 1]}",
        plural="kinds of episodes",
        unit="accuracy %",
        counted="episodes",
        score_key="score",
        learner=experiment.learner,
        chance=100 / experiment.ways,
        best=100.0,
    )


def _train(run: Run, experiment: FewShotExperiment, resume: Resume | None, listen: Listen | None = None) -> Outcome:
    from lukasa.launch.kinds.few_shot.job import FewShotJob
    from lukasa.launch.training.loop import quietly

    return FewShotJob.train(run, experiment, resume, None if listen is None else quietly(listen))


def _on_ray() -> OnRay[FewShotExperiment]:
    from lukasa.launch.kinds.few_shot.job import FewShotJob
    from lukasa.launch.training.data_parallel import on_workers  # imports Ray

    return on_workers(FewShotJob.train)


def _evaluation() -> Evaluation[FewShotExperiment]:
    from lukasa.launch.kinds.few_shot.evaluation import EVALUATION

    return EVALUATION


def _pictures() -> Pictures[FewShotExperiment]:
    from lukasa.launch.kinds.few_shot.pictures import PICTURES

    return PICTURES


def _load_agent(run: Run, experiment: FewShotExperiment, checkpoint: str, **options: Any) -> Any:
    from lukasa.agents.few_shot import ClassAgent
    from lukasa.launch.kinds.few_shot.evaluation import load_learner

    if options.pop("copies") is not None:
        raise UserError(
            f"run {run.path} is of kind 'few-shot', whose learner takes any number of queries: leave copies out"
        )
    refuse_draws(run, "few-shot", **options)
    return ClassAgent(load_learner(run, experiment, checkpoint).learner)


KIND = Kind(
    FEW_SHOT,
    check=check_experiment,
    train=_train,
    subject=subject,
    evaluation=_evaluation,
    pictures=_pictures,
    load_agent=_load_agent,
    on_ray=_on_ray,
)
"""Few-shot episodes of support and queries."""
