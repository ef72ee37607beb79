"""Questions about stored stories: the kind ``questions``."""

from __future__ import annotations

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.questions.experiment import QuestionExperiment
from lukasa.launch.kinds.questions.recipes import QUESTIONS
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.options.described import rows
from lukasa.launch.training.batch_kind import batch_kind, one_agent


def check_experiment(experiment: QuestionExperiment) -> None:
    """Build everything and answer a question of each task, so that mistakes show before anything is written.

    Raises:
        UserError: a number or an option cannot be used.
        memory.UnknownNameError, tasks.questions.UnknownQuestionDataError: a name is unknown.
        tasks.DataError: the questions are not available.
    """
    QUESTIONS.check_numbers(experiment)
    import torch

    from lukasa.ground.mistakes import as_user_error
    from lukasa.launch.kinds.questions.data import groups_of, load_questions
    from lukasa.launch.kinds.questions.job import make_trainer
    from lukasa.launch.training.by_batch import check_device

    check_device(experiment)
    if experiment.keep == "best" and experiment.validate_every is None:
        raise UserError("--keep best keeps what is best on validation questions: add --validate-every QUESTIONS")
    for trainer in make_trainer(experiment).trainers.values():
        reader, questions = trainer.learner.reader, trainer.source.questions
        # Empty memories may make a story twice as long, of which the oldest sentences give way.
        kept = questions.last_sentences(experiment.sentences // 2) if experiment.noise else questions
        with as_user_error():
            reader.check_taught(kept.support, questions.counts)
            reader.train().losses(questions.take(torch.tensor([0])).to(experiment.device))
    if experiment.validate_every is not None:
        for name, tasks in groups_of(experiment).items():
            if not len(load_questions(experiment, "validation", tasks)):
                raise UserError(f"part validation has no question of {name}: leave --validate-every out")


def subject(experiment: QuestionExperiment) -> Subject:
    """What a run is scored on."""
    described = rows("questions").get(experiment.data)
    unit = described["unit"] if described else "accuracy %"
    is_error = unit.startswith("error")
    tasks = f", tasks {experiment.tasks}" if experiment.tasks else ""
    return Subject(
        name=f"{experiment.data_title}{tasks}",
        plural="sets of questions",
        unit=unit,
        counted="questions",
        score_key="score",
        learner=experiment.reader,
        best=0.0 if is_error else 100.0,
        higher_is_better=not is_error,
    )


ROOM = "lukasa.launch.kinds.questions"
KIND = batch_kind(
    QUESTIONS,
    room=ROOM,
    job="QuestionJob",
    check=check_experiment,
    subject=subject,
    load_agent=one_agent(ROOM, "load_answerer", "questions", "answers one at a time"),
    agent_by_task=True,
)
"""Questions about stored stories."""
