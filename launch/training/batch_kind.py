"""Kinds of training whose runs learn batch by batch: what all of them do alike."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.kind import Experiments, Kind, Listen, refuse_draws
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.runs.model_files import without_training

Experiment = TypeVar("Experiment")


def batch_kind(
    experiments: Experiments[Experiment],
    *,
    room: str,
    job: str,
    check: Callable[[Experiment], None],
    subject: Callable[[Experiment], Subject],
    load_agent: Callable[..., Any],
    agent_by_task: bool = False,
    exported: Callable[[dict[str, Any]], dict[str, Any]] = without_training,
) -> Kind[Experiment]:
    """A kind that trains with a ``lukasa.launch.training.by_batch.BatchJob``, here or on workers of Ray.

    Args:
        experiments: what can be asked.
        room: package of the kind. Its modules are imported when they are needed: ``job``, ``evaluation`` with
            ``EVALUATION``, ``pictures`` with ``PICTURES``, and ``views`` with ``VIEWS``.
        job: name of the job's class in the module ``job``.
        check: refuses, with a ``UserError``, an experiment that cannot run.
        subject: what an experiment is scored on.
        load_agent: as that of ``Kind``; ``one_agent`` makes it where an agent has no copies.
        agent_by_task: as that of ``Kind``.
        exported: as that of ``Kind``.
    """

    def of_room(module: str, name: str) -> Any:
        return getattr(import_module(f"{room}.{module}"), name)

    def train(run: Run, experiment: Experiment, resume: Resume | None, listen: Listen | None = None) -> Outcome:
        from lukasa.launch.training.loop import quietly

        return of_room("job", job).train(run, experiment, resume, None if listen is None else quietly(listen))

    def on_ray() -> Any:
        from lukasa.launch.training.data_parallel import on_workers  # imports Ray

        return on_workers(of_room("job", job).train)

    return Kind(
        experiments,
        check=check,
        train=train,
        subject=subject,
        evaluation=lambda: of_room("evaluation", "EVALUATION"),
        pictures=lambda: of_room("pictures", "PICTURES"),
        views=lambda: of_room("views", "VIEWS"),
        load_agent=load_agent,
        agent_by_task=agent_by_task,
        on_ray=on_ray,
        exported=exported,
    )


def one_agent(room: str, name: str, kind: str, which: str) -> Callable[..., Any]:
    """What makes an agent of a run, where copies of it would do nothing and it draws no actions.

    Args:
        room: package of the kind.
        name: of a function in its module ``evaluation``, of a run, its experiment and a checkpoint's name; and of a
            task, where there is an agent for each.
        kind: the word after ``lukasa train``.
        which: what its agents do, for the sentence that refuses copies: "answers one at a time".
    """

    def load_agent(run: Run, experiment: Any, checkpoint: str, **options: Any) -> Any:
        if options.pop("copies") is not None:
            raise UserError(f"run {run.path} is of kind {kind!r}, which {which}: leave copies out")
        whose = {"task": options.pop("task")} if "task" in options else {}
        refuse_draws(run, kind, **options)
        return getattr(import_module(f"{room}.evaluation"), name)(run, experiment, checkpoint, **whose)

    return load_agent
