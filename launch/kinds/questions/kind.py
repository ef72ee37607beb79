"""Questions about stored stories: the kind ``questions``."""

from __future__ import annotations

from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import Evaluation, Kind, Listen, Pictures, refuse_draws
from lukasa.launch.kinds.questions.experiment import QuestionExperiment
from lukasa.launch.kinds.questions.recipes import QUESTIONS
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.options.described import rows
from lukasa.launch.ray.placement import OnRay
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume


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
    from lukasa.launch.kinds.questions.job import make_trainer
    from lukasa.launch.training.by_batch import check_device

    check_device(experiment)
    if experiment.keep == "best" and experiment.validate_every is None:
        raise UserError("--keep best keeps what is best on validation questions: add --validate-every QUESTIONS")
    for trainer in make_trainer(experiment).trainers.values():
        asked = trainer.source.questions.take(torch.tensor([0])).to(experiment.device)
        with as_user_error():
            trainer.learner.reader.train().losses(asked)


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


def _train(run: Run, experiment: QuestionExperiment, resume: Resume | None, listen: Listen | None = None) -> Outcome:
    from lukasa.launch.kinds.questions.job import QuestionJob
    from lukasa.launch.training.loop import quietly

    return QuestionJob.train(run, experiment, resume, None if listen is None else quietly(listen))


def _on_ray() -> OnRay[QuestionExperiment]:
    from lukasa.launch.kinds.questions.job import QuestionJob
    from lukasa.launch.training.data_parallel import on_workers  # imports Ray

    return on_workers(QuestionJob.train)


def _evaluation() -> Evaluation[QuestionExperiment]:
    from lukasa.launch.kinds.questions.evaluation import EVALUATION

    return EVALUATION


def _pictures() -> Pictures[QuestionExperiment]:
    from lukasa.launch.kinds.questions.pictures import PICTURES

    return PICTURES


def _load_agent(run: Run, experiment: QuestionExperiment, checkpoint: str, **options: Any) -> Any:
    from lukasa.launch.kinds.questions.evaluation import load_answerer

    if options.pop("copies") is not None:
        raise UserError(f"run {run.path} is of kind 'questions', which answers one at a time: leave copies out")
    refuse_draws(run, "questions", **options)
    return load_answerer(run, experiment, checkpoint)


KIND = Kind(
    QUESTIONS,
    check=check_experiment,
    train=_train,
    subject=subject,
    evaluation=_evaluation,
    pictures=_pictures,
    load_agent=_load_agent,
    on_ray=_on_ray,
)
"""Questions about stored stories."""
