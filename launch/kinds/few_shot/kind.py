"""Learners of few-shot episodes: the kind ``few-shot``.

Recipes whose episodes are sequences, such as ``omniglot_mann``, are of kind ``task``.
"""

from __future__ import annotations

from lukasa.ground.mistakes import as_user_error
from lukasa.launch.kinds.few_shot.experiment import FewShotExperiment
from lukasa.launch.kinds.few_shot.recipes import FEW_SHOT
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.training.batch_kind import batch_kind, one_agent


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


ROOM = "lukasa.launch.kinds.few_shot"
KIND = batch_kind(
    FEW_SHOT,
    room=ROOM,
    job="FewShotJob",
    check=check_experiment,
    subject=subject,
    load_agent=one_agent(ROOM, "load_class_agent", "few-shot", "learner takes any number of queries"),
)
"""Few-shot episodes of support and queries."""
