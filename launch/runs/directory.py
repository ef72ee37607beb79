"""The run directory: what was asked, what was measured, where the checkpoints are.

::

    RUN/config.json      the experiment, versions, commit, time
    RUN/metrics.jsonl    one JSON object a line
    RUN/events/          the same numbers for TensorBoard
    RUN/tracking.json    what other trackers call the run, where it has any
    RUN/checkpoints/     the last few and the best
    RUN/plots/           what ``lukasa plot`` drew
"""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lukasa.ground.files import remove_empty, remove_partial, write_text
from lukasa.ground.mistakes import UserError
from lukasa.launch.runs.model_files import located, nearest_model, run_in

if TYPE_CHECKING:
    from filelock import FileLock

FORMAT = 1
PACKAGES = ("lukasa", "torch", "ray", "gymnasium", "numpy")

STEP_KEYS_OF_OLD = {"rl": "env_steps", "task": "sequences", "few-shot": "episodes"}
"""By kind, what runs count whose ``config.json`` does not say: it was written before it did."""


@dataclass(frozen=True)
class Run:
    """The places inside a run directory; or the file of a trained model, which is a run with one checkpoint.

    Attributes:
        path: the directory, or the file.
        step_key: what its metrics and checkpoints count.
    """

    path: Path
    step_key: str = "env_steps"

    @property
    def config_file(self) -> Path:
        """What was asked."""
        return self.path / "config.json"

    @property
    def metrics_file(self) -> Path:
        """What was measured."""
        return self.path / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """The folder of TensorBoard."""
        return self.path / "events"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def plots(self) -> Path:
        """The folder of pictures."""
        return plots_of(self.path)

    @property
    def is_model(self) -> bool:
        """Whether it is a file."""
        return self.path.is_file()


def create_run(path: Path, config: Mapping[str, Any]) -> Run:
    """Make a run directory and write its config.

    Raises:
        UserError: the directory exists and is not empty, or cannot be made.
    """
    run = Run(path, step_key_of(config))
    exists = f"run {path} exists: add --resume to continue it, or choose another --out"
    if path.exists() and not path.is_dir():
        raise UserError(f"--out {path} is a file: choose a folder that does not exist yet")
    if path.is_dir() and any(path.iterdir()):
        if run.config_file.exists():
            raise UserError(exists)
        raise UserError(f"--out {path} is not empty and holds no run: choose a folder that does not exist yet")
    missing = [one for one in (run.checkpoints, path, *path.parents) if not one.exists()]
    try:
        run.checkpoints.mkdir(parents=True)
        write_text(run.config_file, json.dumps(config, indent=2, allow_nan=False) + "\n")
    except FileExistsError:  # another process makes it in this moment
        raise UserError(exists) from None
    except OSError as error:  # of a full disk, say: what is no run would be in the way of the next one
        remove_empty(missing)
        raise UserError(f"--out {path} cannot be written: {error.strerror}") from None
    return run


def open_run(path: Path) -> tuple[Run, dict[str, Any]]:
    """A run that exists, and its config; also that of a model, by the name of its file or by its own.

    Raises:
        UserError: there is none, or its config is broken.
    """
    path = located(path)
    run = Run(path)
    if run.is_model:
        return _checked(path, path, run_in(path)["config"])
    if not path.is_dir():
        meant = nearest_model(path)
        onward = f", or a model by its name: did you mean {meant!r}?" if meant else ""
        raise UserError(f"there is no run at {path}: give the folder that `lukasa train` wrote (its --out){onward}")
    if not run.config_file.is_file():
        raise UserError(f"{path} is not a run: it has no config.json")
    try:
        config = json.loads(run.config_file.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{run.config_file} is corrupt: line {error.lineno}: {error.msg}") from None
    except UnicodeDecodeError:
        raise UserError(f"{run.config_file} is corrupt: it is not text") from None
    except (RecursionError, ValueError) as error:  # nested without end, or a number of thousands of digits
        raise UserError(f"{run.config_file} is corrupt: {error}") from None
    except OSError as error:
        raise UserError(f"{run.config_file} cannot be read: {error.strerror}") from None
    return _checked(path, run.config_file, config)


def _checked(path: Path, file: Path, config: Any) -> tuple[Run, dict[str, Any]]:
    """The run of a path, and its config out of a file, if it can be read."""
    if not isinstance(config, dict) or not isinstance(config.get("experiment"), dict):
        raise UserError(f"{file} is corrupt: it has no experiment")
    if config.get("format") != FORMAT:
        raise UserError(
            f"run {path} has format {config.get('format')}, this version of lukasa reads {FORMAT}: "
            f"use {_version_of(config)}"
        )
    if not isinstance(config.get("kind"), str) or not isinstance(step_key_of(config), str):
        raise UserError(
            f"run {path} is of kind {config.get('kind')!r}: expected {' or '.join(map(repr, STEP_KEYS_OF_OLD))}"
        )
    return Run(path, step_key_of(config)), config


def plots_of(path: Path) -> Path:
    """The folder of pictures of a run; those of a model's file are in the working folder."""
    return Path(f"{path.stem}-plots") if path.is_file() else path / "plots"


def step_key_of(config: Mapping[str, Any]) -> Any:
    """What the run of a ``config.json`` counts."""
    return config.get("step_key") or STEP_KEYS_OF_OLD.get(config.get("kind", ""))


def _version_of(config: Mapping[str, Any]) -> str:
    versions = config.get("versions")
    version = versions.get("lukasa") if isinstance(versions, dict) else None
    return f"lukasa {version}" if version else "the version that wrote it"


def describe_run(
    kind: str, recipe: str | None, experiment: Mapping[str, Any], step_key: str | None = None
) -> dict[str, Any]:
    """The content of ``config.json``: what was asked, and with what it ran.

    Args:
        kind: the word after ``lukasa train``.
        recipe: that the experiment was made from.
        experiment: what was asked.
        step_key: what the run counts; may be left out for the kinds of this project.
    """
    return {
        "format": FORMAT,
        "kind": kind,
        "step_key": step_key or STEP_KEYS_OF_OLD.get(kind),
        "recipe": recipe,
        "experiment": dict(experiment),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """Hold a run for this process alone; the system lets go of it however the process ends.

    Raises:
        UserError: another process holds it, or its folder cannot be written.
    """
    lock = _hold(run)
    try:
        yield
    finally:
        lock.release()


def _hold(run: Run) -> FileLock:
    from filelock import FileLock, Timeout  # torch and Ray load it anyway; a mistake on the command line does without

    # Beside the lock, whose content is its own where the file system has no flock. A trial of Ray Tune lets go of its
    # run in another thread than the one that took it.
    owner = run.path / ".lock-owner"
    lock = FileLock(run.path / ".lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
        owner.write_text(f"process {os.getpid()}")
    except Timeout:
        known = owner.read_text().strip() if owner.is_file() else ""
        raise UserError(
            f"run {run.path} is in use by {known or 'another process'}: wait until it ends, or choose another --out"
        ) from None
    except OSError as error:  # of a full disk, or of a folder that is not ours to write to
        lock.release()
        raise UserError(f"run {run.path} cannot be written: {error.strerror}") from None
    remove_partial(run.path)  # what the process before was killed in the middle of
    return lock


def read_metrics(run: Run) -> list[dict[str, Any]]:
    """All lines of ``metrics.jsonl``; a last line that a kill cut short is left out.

    Raises:
        UserError: another line is broken.
    """
    if not run.metrics_file.exists():
        return []
    text = run.metrics_file.read_text(errors="replace")
    lines = text.split("\n")
    rows = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            row = json.loads(line)
            rows.append(row | {run.step_key: int(row[run.step_key])})
        except (ValueError, KeyError, TypeError):
            raise UserError(
                f"{run.metrics_file} is corrupt: line {number} is not a JSON object with {run.step_key}"
            ) from None
    return rows


def _version(package: str) -> str | None:
    from importlib import metadata  # takes longer than all else that a mistake on the command line needs

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit of the source tree this runs from, None for an installed package."""
    import subprocess

    source = Path(__file__).resolve().parents[2]
    if not (source / ".git").exists():
        return None
    command = ["git", "-C", str(source), "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def is_score(value: Any) -> bool:
    """Whether a value of the metrics is a number that can be compared and drawn.

    Example:
        >>> [is_score(value) for value in (1, -0.5, None, float("nan"), float("inf"))]
        [True, True, False, False, False]
    """
    return isinstance(value, int | float) and math.isfinite(value)
