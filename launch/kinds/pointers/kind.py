"""Pointers at points: the kind ``pointers``."""

from __future__ import annotations

from lukasa.launch.kinds.pointers.experiment import PointerExperiment
from lukasa.launch.kinds.pointers.published import published_exact
from lukasa.launch.kinds.pointers.recipes import POINTING
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.training.batch_kind import batch_kind, one_agent


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


ROOM = "lukasa.launch.kinds.pointers"
KIND = batch_kind(
    POINTING,
    room=ROOM,
    job="PointerJob",
    check=check_experiment,
    subject=subject,
    load_agent=one_agent(ROOM, "load_pointer_agent", "pointers", "answers one set at a time"),
)
"""Pointers at points."""
