"""Learning curves of runs, out of their metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launch.errors import UserError
from launch.formats import check_picture_name
from launch.runs import Run, read_metrics


@dataclass(frozen=True)
class Subject:
    """What runs are compared on.

    Attributes:
        name: of the environment or task.
        plural: "environments" or "tasks".
        unit: of the score.
        counted: what the steps are.
        score_key: key of the score in the metrics.
        spread_key: key of its standard deviation; empty where there is none.
        learner: the core or the learner of episodes, which tells one run from another.
        chance: score of a guess, None when it is not known.
        best: the best score there is, None when it is not known.
        published: score that a paper reports, None when it is not known or for other settings.
        averaged: over what each score in the metrics is the mean, such as ", last 100 episodes".
        stage: what a curriculum's levels are called: "lesson", numbered from 0 in the metrics and from 1 for people, or
            "level".
    """

    name: str
    plural: str
    unit: str
    counted: str
    score_key: str
    spread_key: str = ""
    learner: str = ""
    chance: float | None = None
    best: float | None = None
    published: float | None = None
    averaged: str = ""
    stage: str = "lesson"


def plot_learning(runs: Sequence[tuple[Run, Any]], subject_of: Callable[[Any], Subject], path: Path) -> Path:
    """Draw the learning curves of runs on one environment or task.

    Args:
        runs: with their experiments.
        subject_of: from an experiment to what it is scored on.
        path: the picture to write: PNG, PDF or SVG by its name.

    Raises:
        UserError: the runs are of several environments or tasks, or one has no metrics.
    """
    from launch.plots import draw_learning

    subjects = [subject_of(experiment) for _, experiment in runs]
    names = list(dict.fromkeys(subject.name for subject in subjects))
    if len(names) > 1:
        plural = subjects[0].plural
        raise UserError(f"these runs are of {len(names)} {plural} ({', '.join(names)}): draw those of one at a time")
    check_picture_name(path)
    curves = [_curve(run, label, subjects[0]) for (run, _), label in zip(runs, _labels(runs, subjects), strict=True)]
    draw_learning(curves, path, subjects[0])
    return path


def _curve(run: Run, label: str, subject: Subject) -> Any:
    from launch.plots import Curve

    rows = [row for row in read_metrics(run) if is_finite(row.get(subject.score_key))]
    if not rows:
        raise UserError(f"run {run.path} has no {subject.score_key} yet: train it for longer")
    spread: list[Any] = [row.get(subject.spread_key) for row in rows] if subject.spread_key else []
    first = 1 if subject.stage == "lesson" else 0
    return Curve(
        label,
        [row[run.step_key] for row in rows],
        [row[subject.score_key] for row in rows],
        spread if all(map(is_finite, spread)) else (),
        [row["level"] + first for row in rows if row.get("level") is not None],
        [(row[run.step_key], row["validation"]) for row in rows if is_finite(row.get("validation"))],
        stage=subject.stage,
    )


def is_finite(value: Any) -> bool:
    """Whether a value of the metrics is a number that can be drawn.

    Example:
        >>> [is_finite(value) for value in (1, -0.5, None, float("nan"), float("inf"))]
        [True, True, False, False, False]
    """
    return isinstance(value, int | float) and math.isfinite(value)


def _labels(runs: Sequence[tuple[Run, Any]], subjects: Sequence[Subject]) -> list[str]:
    """The core or learner of each run; with the seed, then the folder, where that does not tell them apart."""
    labels = [subject.learner for subject in subjects]
    if len(set(labels)) < len(runs):
        labels = [f"{label}, seed {experiment.seed}" for label, (_, experiment) in zip(labels, runs, strict=True)]
    if len(set(labels)) < len(runs):
        labels = [str(run.path) for run, _ in runs]
    return labels
