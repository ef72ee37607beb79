"""What runs of supervised tasks are scored on."""

from __future__ import annotations

import math

from lukasa import tasks
from lukasa.launch.kinds.published import PUBLISHED
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.kinds.supervised.settings import higher_is_better, make_sampler


def subject(experiment: TaskExperiment) -> Subject:
    """What a run is scored on."""
    spec = make_sampler(experiment.task, "train", dict(experiment.sampler)).spec
    own = {name: value for name, value in experiment.sampler.items() if name not in ("equal_lengths", "data_dir")}
    defaults = {name: one.default for name, one in tasks.task_options(experiment.task).items()}
    is_default = all(defaults[name] == value for name, value in own.items())
    return Subject(
        name=experiment.task,
        plural="tasks",
        unit=spec.unit,
        counted="sequences",
        score_key="score",
        learner=experiment.core,
        chance=_known(spec.chance),
        best=_known(spec.best),
        published=PUBLISHED.get((experiment.task, experiment.core)) if is_default else None,
        stage="level" if experiment.curriculum.kind == "doubling" else "lesson",
        higher_is_better=higher_is_better(spec.unit),
    )


def _known(score: float) -> float | None:
    return score if math.isfinite(score) else None
