"""What the runs of a campaign came to: a small JSON file for each, which outlives its run directory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lukasa.ground.files import write_text
from lukasa.ground.mistakes import UserError
from lukasa.launch.campaigns.job import Job
from lukasa.launch.comparing.scores import curves_of, is_finished
from lukasa.launch.comparing.several_seeds import Compared
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import is_score, open_run, read_metrics

MOST_POINTS = 200
"""Of a learning curve in a record."""


@dataclass(frozen=True)
class Record:
    """What a job came to.

    Attributes:
        name: of the job.
        asked: how it was trained and scored.
        steps: trained so far.
        of: steps that it was to be trained.
        counted: what the steps are.
        finished: whether it was trained to its end.
        seconds: that training took.
        evaluation: what ``lukasa eval --json`` printed, but for where the run is; None before it was scored.
        steps_scored: trained when it was scored.
        curve: steps and scores of training.
        unit: of the score in the curve.
        best: the highest score of training, or the lowest where less is better.
        last: the numbers of the last line of metrics.
        written_by: versions, commit and time.
        failure: why it could not be trained or scored; empty where it could.
    """

    name: str
    asked: dict[str, Any]
    steps: int = 0
    of: int = 0
    counted: str = "steps"
    finished: bool = False
    seconds: float = 0.0
    evaluation: dict[str, Any] | None = None
    steps_scored: int = 0
    curve: tuple[tuple[float, float], ...] = ()
    unit: str = "score"
    best: float | None = None
    last: dict[str, float] = field(default_factory=dict)
    written_by: dict[str, Any] = field(default_factory=dict)
    failure: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do: it was trained to its end, and scored there."""
        return self.finished and self.evaluation is not None and self.steps_scored == self.steps and not self.failure


@dataclass(frozen=True)
class Folder:
    """Where a campaign is on disk.

    ::

        CAMPAIGN/records/JOB.json   what a job came to
        CAMPAIGN/runs/JOB/          its run, as `lukasa train` writes it
        CAMPAIGN/runs/JOB.log       what training and scoring printed
    """

    path: Path

    def run(self, name: str) -> Path:
        """The run directory of a job."""
        return self.path / "runs" / name

    def log(self, name: str) -> Path:
        """What a job printed."""
        return self.path / "runs" / f"{name}.log"

    def record(self, job: Job) -> Record | None:
        """What a job came to; None before it was begun.

        Raises:
            UserError: the record is broken, or is of a job that was asked for otherwise.
        """
        file = self._file(job)
        if not file.is_file():
            return None
        try:
            found = json.loads(file.read_text())
            record = Record(**{**found, "curve": tuple((step, score) for step, score in found["curve"])})
        except (ValueError, TypeError, KeyError, AttributeError):
            raise UserError(f"{file} is corrupt: delete it, and its run is scored again") from None
        except OSError as error:
            raise UserError(f"{file} cannot be read: {error.strerror}") from None
        if record.asked != job.asked:
            raise UserError(
                f"{file} is of a run that was trained or scored otherwise: give the options of before, choose another "
                f"--out, or delete it and {self.run(job.name)} to begin that run anew"
            )
        return record

    def write(self, job: Job, record: Record) -> None:
        """Keep what a job came to.

        Raises:
            UserError: it cannot be written.
        """
        file = self._file(job)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, json.dumps(asdict(record), indent=1) + "\n")
        except OSError as error:
            raise UserError(f"{file} cannot be written: {error.strerror}") from None

    def _file(self, job: Job) -> Path:
        return self.path / "records" / f"{job.name}.json"


def look_at_run(path: Path, record: Record) -> Record:
    """A record with what a run directory says of its training.

    Args:
        path: a run directory.
        record: what was known before.
    """
    run, config = open_run(path)
    kind = kind_of(config["kind"])
    experiment = kind.experiments.from_json(config["experiment"])
    subject, rows = kind.subject(experiment), read_metrics(run)
    curve = curves_of(Compared(path, kind, [(run, experiment)]), subject)[0]
    higher, scores = subject.higher_is_better, [float(score) for score in curve.scores]
    checkpoints = list_checkpoints(run.checkpoints)
    return replace(
        record,
        steps=checkpoints[-1].step if checkpoints else 0,
        of=experiment.steps,
        counted=subject.counted,
        finished=is_finished(run, rows, subject.score_key, experiment.steps, experiment.stop_at, higher),
        seconds=round(curve.seconds, 1),
        curve=_thinned(list(zip(map(float, curve.steps), scores, strict=True))),
        unit=subject.unit,
        best=(max if higher else min)(scores) if scores else None,
        last={name: value for name, value in (rows[-1] if rows else {}).items() if is_score(value)},
        written_by={name: config[name] for name in ("versions", "commit", "created")},
    )


def minutes_of(records: Iterable[Record]) -> float:
    """Minutes of training in all."""
    return sum(record.seconds for record in records) / 60


def _thinned(points: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Evenly spaced points of a curve, the last one among them."""
    keep = max(1, -(-len(points) // MOST_POINTS))
    return tuple([*points[:-1:keep], *points[-1:]])
