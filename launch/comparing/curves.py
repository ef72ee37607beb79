"""Learning curves of runs, out of their metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.comparing.several_seeds import Compared
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.pictures.formats import check_picture_name
from lukasa.launch.runs.directory import Run, is_score, read_metrics


def plot_learning(compared: Sequence[Compared], subject_of: Callable[[Any], Subject], path: Path) -> Path:
    """Draw the learning curves of runs on one environment or task; of several seeds their mean with its interval.

    Args:
        compared: runs, or experiments of several seeds.
        subject_of: from an experiment to what it is scored on.
        path: the picture to write: PNG, PDF or SVG by its name.

    Raises:
        UserError: the runs are of several environments or tasks, or one has no metrics.
    """
    from lukasa.launch.pictures.learning import draw_learning

    curves, subject = read_learning(compared, subject_of, path)
    draw_learning(curves, path, subject)
    return path


def read_learning(
    compared: Sequence[Compared], subject_of: Callable[[Any], Subject], path: Path
) -> tuple[list[Any], Subject]:
    """What ``plot_learning`` draws, and what it is of, before anything is written; raises as it does."""
    check_picture_name(path)
    return learning_curves(compared, subject_of)


def learning_curves(compared: Sequence[Compared], subject_of: Callable[[Any], Subject]) -> tuple[list[Any], Subject]:
    """A curve for each run or experiment, and what they are of.

    Raises:
        UserError: the runs are of several environments or tasks, or one has no metrics.
    """
    subject = common_subject([subject_of(one.experiment) for one in compared], "draw")
    labels = labels_of(compared)
    curves = [
        _curve(one.runs[0][0], label, subject) if len(one.runs) == 1 else _mean_curve(one, label, subject)
        for one, label in zip(compared, labels, strict=True)
    ]
    return curves, subject


def common_subject(subjects: Sequence[Subject], purpose: str) -> Subject:
    """What all of them are scored on.

    Raises:
        UserError: there are several.
    """
    names = list(dict.fromkeys(subject.name for subject in subjects))
    if len(names) > 1:
        plural = subjects[0].plural
        raise UserError(
            f"these runs are of {len(names)} {plural} ({', '.join(names)}): {purpose} those of one at a time"
        )
    return subjects[0]


def labels_of(compared: Sequence[Compared]) -> list[str]:
    """What differs between them, as ``lukasa.launch.comparing.labels`` names it."""
    from lukasa.launch.comparing.labels import make_labels

    experiments, seeds = [one.experiment for one in compared], [one.seeds for one in compared]
    return make_labels(compared[0].kind.experiments, experiments, seeds, [one.path for one in compared])


def _mean_curve(compared: Compared, label: str, subject: Subject) -> Any:
    """The mean over the seeds that have a score."""
    from lukasa.launch.comparing.scores import band, curves_of, mean_curve
    from lukasa.launch.pictures.learning import Curve

    curves = [curve for curve in curves_of(compared, subject) if curve.scores]
    if not curves:
        raise UserError(f"no seed of {compared.path} has a {subject.score_key} yet: train it for longer")
    steps, scores = mean_curve(curves)
    edges = band(scores)
    seeds = f"{len(curves)} seed{'s' if len(curves) > 1 else ''}"
    return Curve(
        f"{label}, mean of {seeds}",
        steps.tolist(),
        scores.mean(0).tolist(),
        low=edges[0].tolist() if edges else (),
        high=edges[1].tolist() if edges else (),
        band="95 % confidence, bootstrap over seeds" if edges else "",
        members=[(curve.steps, curve.scores) for curve in curves],
    )


def _curve(run: Run, label: str, subject: Subject) -> Any:
    from lukasa.launch.pictures.learning import Curve

    rows = [row for row in read_metrics(run) if is_score(row.get(subject.score_key))]
    if not rows:
        raise UserError(f"run {run.path} has no {subject.score_key} yet: train it for longer")
    spread: list[Any] = [row.get(subject.spread_key) for row in rows] if subject.spread_key else []
    apart = "validation" if "validation" in {name for row in rows for name in row} else f"eval_{subject.score_key}"
    first = 1 if subject.stage == "lesson" else 0
    return Curve(
        label,
        [row[run.step_key] for row in rows],
        [row[subject.score_key] for row in rows],
        spread if all(map(is_score, spread)) else (),
        [row["level"] + first for row in rows if row.get("level") is not None],
        [(row[run.step_key], row[apart]) for row in rows if is_score(row.get(apart))],
        validation_name="validation" if apart == "validation" else "evaluation",
        stage=subject.stage,
    )
