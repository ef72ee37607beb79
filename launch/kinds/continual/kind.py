"""Learning tasks one after the other: the kind ``continual``."""

from __future__ import annotations

from lukasa.launch.kinds.continual.experiment import ContinualExperiment
from lukasa.launch.kinds.continual.recipes import CONTINUAL
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.training.batch_kind import batch_kind, one_agent


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


ROOM = "lukasa.launch.kinds.continual"
KIND = batch_kind(
    CONTINUAL,
    room=ROOM,
    job="ContinualJob",
    check=check_experiment,
    subject=subject,
    load_agent=one_agent(ROOM, "load_agent", "continual", "answers any number at once"),
    exported=dict,  # a method may find what it keeps by what its optimizer has
)
"""Tasks that are learned one after the other."""
