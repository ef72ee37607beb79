"""Neural Random-Access Machines that find a program: the kind ``circuits``."""

from __future__ import annotations

from lukasa.launch.kinds.circuits.experiment import CircuitExperiment
from lukasa.launch.kinds.circuits.recipes import CIRCUITS
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.training.batch_kind import batch_kind, one_agent


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


ROOM = "lukasa.launch.kinds.circuits"
KIND = batch_kind(
    CIRCUITS,
    room=ROOM,
    job="CircuitJob",
    check=check_experiment,
    subject=subject,
    load_agent=one_agent(ROOM, "load_program", "circuits", "takes any number of memories"),
)
"""Programs for a random-access memory."""
