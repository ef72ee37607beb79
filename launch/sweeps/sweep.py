"""A sweep on disk: what was asked, a run directory for every trial, how each of them ended.

::

    SWEEP/sweep.json        what was asked, and the command line of every trial
    SWEEP/endings.json      how trials ended; those that are missing are still to be trained
    SWEEP/trials/000/       a run directory, as `lukasa train` writes it
    SWEEP/sweep.png         the picture
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lukasa.ground.files import all_or_none, write_text
from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.table import kind_of, subject_of
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run, create_run, describe_run, is_score, open_run, read_metrics

FORMAT = 1
DONE, STOPPED, FAILED = "done", "stopped early", "failed"


@dataclass(frozen=True)
class Trial:
    """One combination of values.

    Attributes:
        name: of its run directory.
        values: what differs between trials, by field, as the command line has it.
        words: the command line after ``lukasa train KIND``.
    """

    name: str
    values: Mapping[str, str]
    words: Sequence[str]


@dataclass(frozen=True)
class Sweep:
    """A sweep that exists on disk.

    Attributes:
        path: its directory.
        kind: of training.
        fields: those that were swept.
        trials: all of them.
        settings: when trials are stopped early, by the names of the options.
    """

    path: Path
    kind: str
    fields: Sequence[str]
    trials: Sequence[Trial]
    settings: Mapping[str, Any]

    @property
    def picture(self) -> Path:
        """Where the picture is drawn."""
        return self.path / "sweep.png"

    def folder(self, trial: Trial) -> Path:
        """The run directory of a trial."""
        return self.path / "trials" / trial.name

    def endings(self) -> dict[str, str]:
        """How trials ended, by name: done, stopped early, or failed and why."""
        file = self.path / "endings.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def note_ending(self, name: str, ending: str) -> None:
        """Remember how a trial ended."""
        write_text(self.path / "endings.json", json.dumps(self.endings() | {name: ending}, indent=1) + "\n")

    def waiting(self) -> list[Trial]:
        """The trials that have not ended."""
        ended = self.endings()
        return [trial for trial in self.trials if trial.name not in ended]


@dataclass(frozen=True)
class Result:
    """How far a trial came.

    Attributes:
        trial: which.
        run: its run directory.
        experiment: what it trained.
        steps: the steps of each line of metrics that has a score.
        scores: those scores.
        ending: how it ended, "unfinished" where it has not.
    """

    trial: Trial
    run: Run
    experiment: Any
    steps: Sequence[int]
    scores: Sequence[float]
    ending: str

    @property
    def score(self) -> float | None:
        """The last one."""
        return self.scores[-1] if self.scores else None


def create_sweep(sweep: Sweep, experiments: Sequence[Any], recipe: str | None) -> None:
    """Write a new sweep, with an empty run for every trial.

    Args:
        sweep: what to write.
        experiments: one for each trial.
        recipe: that they were made from.

    Raises:
        UserError: the directory is not empty, or cannot be written.
    """
    if sweep.path.exists() and (not sweep.path.is_dir() or any(sweep.path.iterdir())):
        if (sweep.path / "sweep.json").exists():
            raise UserError(f"sweep {sweep.path} exists: add --resume to continue it, or choose another --out")
        raise UserError(f"--out {sweep.path} is not an empty folder: choose one that does not exist yet")
    config = describe_run(sweep.kind, recipe, {}, kind_of(sweep.kind).experiments.step_key)
    asked = dataclasses.asdict(sweep) | {"format": FORMAT}
    del asked["path"]
    with all_or_none(sweep.path) as made:
        for trial, experiment in zip(sweep.trials, experiments, strict=True):
            own = {"experiment": dataclasses.asdict(experiment)}
            made.append(create_run(sweep.folder(trial), config | own).path)
        # Last: a sweep that has this file is whole.
        write_text(sweep.path / "sweep.json", json.dumps(asked, indent=1) + "\n")


def open_sweep(path: Path) -> Sweep:
    """A sweep that exists.

    Raises:
        UserError: there is none, or its file is broken.
    """
    file = path / "sweep.json"
    if not file.is_file():
        raise UserError(f"there is no sweep at {path}: give the folder that `lukasa tune` wrote (its --out)")
    try:
        found = json.loads(file.read_text())
        if found.pop("format") != FORMAT:
            raise UserError(f"sweep {path} was written by another version of lukasa: use that one")
        return Sweep(path=path, **found | {"trials": [Trial(**one) for one in found["trials"]]})
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{file} is corrupt: train anew in another folder") from None


def results(sweep: Sweep) -> list[Result]:
    """How far every trial came, out of the run directories."""
    ended = sweep.endings()
    found = []
    for trial in sweep.trials:
        run, config = open_run(sweep.folder(trial))
        experiment = kind_of(sweep.kind).experiments.from_json(config["experiment"])
        key = subject_of(sweep.kind, experiment).score_key
        rows = [row for row in read_metrics(run) if is_score(row.get(key))]
        steps, scores = [row[run.step_key] for row in rows], [row[key] for row in rows]
        found.append(Result(trial, run, experiment, steps, scores, ended.get(trial.name, "unfinished")))
    return found


def ranked(sweep: Sweep, found: Sequence[Result]) -> list[Result]:
    """The best first; of equal scores the one that took fewer steps; those without a score last."""
    sign = -1 if subject_of(sweep.kind, found[0].experiment).higher_is_better else 1

    def place(one: Result) -> tuple[bool, bool, float, int]:
        if one.score is None:
            return True, True, 0.0, 0
        return False, one.ending.startswith(FAILED), sign * one.score, one.steps[-1]

    return sorted(found, key=place)


def has_checkpoint(result: Result) -> bool:
    """Whether there is something to evaluate."""
    return bool(list_checkpoints(result.run.checkpoints))
