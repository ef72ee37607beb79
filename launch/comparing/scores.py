"""How far runs and experiments of several seeds came, out of their metrics.

Dimensions: n seeds, T places along a curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lukasa.ground.statistics import Interval, bootstrap_band, bootstrap_interval
from lukasa.launch.comparing.several_seeds import Compared, SeveralSeeds
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run, is_score, read_metrics
from lukasa.launch.runs.progress import show_score

MOST_PLACES = 400


@dataclass(frozen=True)
class SeedCurve:
    """What one seed measured.

    Attributes:
        run: its run directory.
        seed: its seed.
        steps: of each line of metrics that has a score.
        scores: those scores.
        seconds: trained so far.
        asked: steps that it was asked for.
        ended: whether the run is over: by its steps or by a score that it reached.
    """

    run: Run
    seed: int
    steps: Sequence[float]
    scores: Sequence[float]
    seconds: float
    asked: int
    ended: bool

    @property
    def score(self) -> float | None:
        """The last one."""
        return self.scores[-1] if self.scores else None


def read_curve(run: Run, experiment: Any, subject: Subject) -> SeedCurve:
    """The curve of one run.

    Args:
        run: a run directory.
        experiment: what it trains.
        subject: what it is scored on.
    """
    rows = read_metrics(run)
    scored = [row for row in rows if is_score(row.get(subject.score_key))]
    steps, scores = [row[run.step_key] for row in scored], [row[subject.score_key] for row in scored]
    ended = is_finished(run, rows, subject.score_key, experiment.steps, experiment.stop_at, subject.higher_is_better)
    seconds = float(rows[-1].get("seconds") or 0) if rows else 0.0
    return SeedCurve(run, experiment.seed, steps, scores, seconds, experiment.steps, ended)


def curves_of(compared: Compared, subject: Subject) -> list[SeedCurve]:
    """The curve of every seed.

    Args:
        compared: a run, or an experiment of several seeds.
        subject: what it is scored on.
    """
    return [read_curve(run, experiment, subject) for run, experiment in compared.runs]


def best_seed(compared: Compared) -> int:
    """The place among the seeds of the one with the best last score; the first where none has any."""
    if len(compared.runs) == 1:
        return 0
    subject = compared.kind.subject(compared.experiment)
    sign = 1 if subject.higher_is_better else -1
    scores = [curve.score for curve in curves_of(compared, subject)]
    known = [place for place, score in enumerate(scores) if score is not None]
    return max(known, key=lambda place: sign * (scores[place] or 0.0), default=0)


def is_finished(
    run: Run, rows: Sequence[dict[str, Any]], key: str, steps: int, stop_at: float | None, higher: bool
) -> bool:
    """Whether a run has the steps or the score that are asked for, and has saved them.

    Args:
        run: a run directory.
        rows: its metrics.
        key: of the score.
        steps: asked for.
        stop_at: the score that ends it.
        higher: whether a higher score is a better one.
    """
    checkpoints = list_checkpoints(run.checkpoints)
    if not rows or not checkpoints or checkpoints[-1].step < rows[-1][run.step_key]:
        return False
    if rows[-1][run.step_key] >= steps:
        return True
    score = rows[-1].get(key)
    if stop_at is None or score is None or not is_score(score):
        return False
    return score >= stop_at if higher else score <= stop_at


def mean_curve(curves: Sequence[SeedCurve]) -> tuple[np.ndarray, np.ndarray]:
    """The scores of several seeds at the same steps, between their lines of metrics by straight lines.

    A seed that ended early, at the score that it was to reach, keeps its last score; one that is still to go on ends
    the curve for all.

    Returns:
        Steps [T] and scores [n, T].
    """
    first = max(curve.steps[0] for curve in curves)
    open_ends = [curve.steps[-1] for curve in curves if not curve.ended]
    last = max(first, min(open_ends) if open_ends else max(curve.steps[-1] for curve in curves))
    places = np.unique([step for curve in curves for step in curve.steps if first <= step <= last])
    if len(places) > MOST_PLACES:
        places = np.linspace(first, last, MOST_PLACES)
    return places, np.stack([np.interp(places, curve.steps, curve.scores) for curve in curves])


def band(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The bootstrap interval of the mean at every place of ``scores`` [n, T]; None for one seed."""
    return bootstrap_band(scores, 2000) if len(scores) > 1 else None


def mean_score(curves: Sequence[SeedCurve]) -> tuple[float | None, Interval | None]:
    """The mean of the seeds' last scores and its bootstrap interval; None where it is not known."""
    scores = [curve.score for curve in curves if curve.score is not None]
    return (float(np.mean(scores)) if scores else None), bootstrap_interval(scores)


def show_interval(interval: Interval | None) -> str:
    """An interval for people."""
    return "-" if interval is None else f"{show_score(interval[0])} to {show_score(interval[1])}"


def describe_scores(several: SeveralSeeds) -> str:
    """The mean of the last scores of training over all seeds, for people."""
    kind = kind_of(several.kind)
    opened = [(run, kind.experiments.from_json(config["experiment"])) for run, config in several.runs()]
    subject = kind.subject(opened[0][1])
    curves = curves_of(Compared(several.path, kind, opened), subject)
    mean, interval = mean_score(curves)
    known = sum(curve.score is not None for curve in curves)
    over = f"over {known} seed{'s' if known != 1 else ''}"
    how = f", 95 % confidence {show_interval(interval)} (bootstrap over seeds)" if interval else ""
    return f"mean {subject.unit} {show_score(mean)} {over}{how}"
