"""Where metrics go beside ``metrics.jsonl``: TensorBoard always, Weights & Biases and MLflow where they are asked for.

Which trackers a run has, and what they call it, is in ``RUN/tracking.json``, so that whoever goes on with the run goes
on in the same tracked one. Logins are the trackers' own (``WANDB_API_KEY``, ``MLFLOW_TRACKING_URI``), never in a run.
"""

from __future__ import annotations

import importlib.util
import json
import netrc
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from lukasa.ground.files import write_text
from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.runs.events import Events

OPTIONS: tuple[tuple[str, Any, Any, str], ...] = (
    (
        "track",
        str | None,
        None,
        "track the run with wandb or mlflow as well, or both, as wandb,mlflow; a resumed run goes on where it was.",
    ),
)
"""Options of the command line beside the experiment: name, type, default, help."""

FILE = "tracking.json"
PROJECT = "lukasa"
"""What runs are filed under, where ``WANDB_PROJECT`` or ``MLFLOW_EXPERIMENT_NAME`` do not say."""

PACKAGES = {"wandb": "wandb", "mlflow": "mlflow"}
"""By the name of a tracker, the package that it needs; the extra has the tracker's name."""

LOGIN = re.compile(r"//[^/@\s]+@")
"""Name and password in an address, which no message repeats."""

START_SECONDS = 30
"""Longest wait for a tracker's server as a run begins."""

AT_ONCE = 100
"""Settings that MLflow takes in one request."""

Numbers = Mapping[str, float]


class Tracker(Protocol):
    """One place that metrics go to."""

    def log(self, step: int, numbers: Numbers) -> None:
        """Take the finite numbers of one line of metrics.

        Args:
            step: steps trained so far.
            numbers: by name.
        """
        ...

    def close(self) -> None:
        """Send what is left, and end."""
        ...


class TensorBoard:
    """Events for TensorBoard in a folder.

    Args:
        folder: of the events.
        step: where writing starts; events after it count as purged.
    """

    def __init__(self, folder: Path, step: int):
        self._events = Events(folder, step)

    def log(self, step: int, numbers: Numbers) -> None:
        """Take one line of metrics."""
        self._events.write(step, numbers)

    def close(self) -> None:
        """Send what is left, and end."""
        self._events.close()


class WeightsAndBiases:
    """A run of Weights & Biases; offline, in the run directory, where nobody is logged in.

    Args:
        run: directory of the run.
        config: what ``config.json`` holds.
        known: what ``id`` gave in an earlier sitting.
    """

    def __init__(self, run: Path, config: Mapping[str, Any], known: str | None):
        wandb = import_module("wandb")  # of an extra that developers need not have
        mode = os.environ.get("WANDB_MODE")
        if mode is None and not logged_in():  # it would ask at the terminal
            mode = "offline"
            print(
                f"wandb has no login here: the run is tracked in {run / 'wandb'}; `wandb sync` sends it",
                file=sys.stderr,
            )
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.name,
            dir=str(run),
            id=known,
            resume="allow" if known else None,
            mode=mode,
            config=dict(config),
            settings=wandb.Settings(silent=True, console="off", init_timeout=START_SECONDS),
        )
        self._run.define_metric("*", step_metric="step")

    @property
    def id(self) -> str:
        """What it is called there."""
        return self._run.id

    def log(self, step: int, numbers: Numbers) -> None:
        """Take one line of metrics."""
        # A resumed run goes back to its checkpoint, where wandb's own steps only ever rise.
        self._run.log({**numbers, "step": step})

    def close(self) -> None:
        """Send what is left, and end."""
        self._run.finish()


def logged_in() -> bool:
    """Whether Weights & Biases has a login here, by its own environment variable or the file of logins; asks nobody."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


class MLflow:
    """A run of MLflow; in the folder ``mlruns``, where ``MLFLOW_TRACKING_URI`` does not say where its server is.

    Args:
        run: directory of the run.
        config: what ``config.json`` holds.
        known: what ``id`` gave in an earlier sitting.
    """

    def __init__(self, run: Path, config: Mapping[str, Any], known: str | None):
        for name, few in (("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2"), ("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")):
            os.environ.setdefault(name, few)  # or a server that is away would hold training up for minutes
        place = os.environ.get("MLFLOW_TRACKING_URI")
        if not place:  # a folder needs no database, and MLflow reads one only where it is told to
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            place = Path("mlruns").absolute().as_uri()
        self._client = import_module("mlflow").MlflowClient(place)
        self._entities = import_module("mlflow.entities")
        if known:
            self._client.update_run(known, status="RUNNING")
            self.id = known
            return
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        filed = found.experiment_id if found else self._client.create_experiment(name)
        self.id = self._client.create_run(filed, run_name=run.name).info.run_id
        settings = [self._entities.Param(_named(key), str(value)[:500]) for key, value in _flat(config)]
        for first in range(0, len(settings), AT_ONCE):
            self._client.log_batch(self.id, params=settings[first : first + AT_ONCE])

    def log(self, step: int, numbers: Numbers) -> None:
        """Take one line of metrics."""
        now = int(time.time() * 1000)
        rows = [self._entities.Metric(_named(name), value, now, step) for name, value in numbers.items()]
        self._client.log_batch(self.id, rows)

    def close(self) -> None:
        """Send what is left, and end."""
        self._client.set_terminated(self.id)


STARTS: dict[str, Callable[[Path, Mapping[str, Any], str | None], Any]] = {"wandb": WeightsAndBiases, "mlflow": MLflow}
"""What starts a tracker, by its name."""


class Careful:
    """A tracker whose failures end its own work and nothing else: training goes on, and is told once.

    Args:
        name: of the tracker.
        make: starts it; may fail too.
    """

    def __init__(self, name: str, make: Callable[[], Tracker]):
        self.name = name
        self.tracker: Any = None
        self.tracker = self._tried(make)

    def log(self, step: int, numbers: Numbers) -> None:
        """Take one line of metrics."""
        if self.tracker is not None:
            self._tried(lambda: self.tracker.log(step, numbers))

    def close(self) -> None:
        """End."""
        if self.tracker is not None:
            self._tried(self.tracker.close)

    def _tried(self, do: Callable[[], Any]) -> Any:
        try:
            return do()
        except Exception as error:  # a server, a disk, a login, a version: whatever it is, the run is worth more
            self.tracker = None
            said = LOGIN.sub("//", " ".join(str(error).split()))[:200] or type(error).__name__
            print(f"warning: {self.name} takes no more metrics ({said}); training goes on without it", file=sys.stderr)
            return None


def read_trackers(text: str | None) -> list[str]:
    """The trackers that ``--track`` names, beside TensorBoard.

    Raises:
        UserError: one is unknown, or its package is not installed.
    """
    names = [word.strip() for word in text.split(",")] if text is not None else []
    for name in names:
        if name not in (*PACKAGES, "tensorboard"):
            raise UserError(f"option --track has {name!r}: {nearest(name, [*PACKAGES, 'tensorboard'])}")
        if name in PACKAGES and importlib.util.find_spec(PACKAGES[name]) is None:
            missing = f"--track {name} needs the package {PACKAGES[name]}, which is not installed"
            raise UserError(f"{missing}: pip install 'lukasa[{name}]'")
    return [name for name in dict.fromkeys(names) if name != "tensorboard"]


def track(run: Path, names: Sequence[str]) -> None:
    """Have a run tracked from its next sitting on; trackers that it has stay.

    Args:
        run: its directory.
        names: of trackers.
    """
    known = _known(run)
    if added := [name for name in names if name not in known]:
        _write(run, {**known, **dict.fromkeys(added)})


def start_trackers(run: Path) -> list[Careful]:
    """The trackers of a run, each going on where it was."""
    known, started = _known(run), []
    for name, its in known.items():
        one = Careful(name, lambda name=name, its=its: STARTS[name](run, _config(run), its))
        if one.tracker is not None and its is None:
            _write(run, {**_known(run), name: one.tracker.id})
        started.append(one)
    return started


def _config(run: Path) -> dict[str, Any]:
    found = json.loads((run / "config.json").read_text(encoding="utf-8"))
    return {name: found.get(name) for name in ("kind", "recipe", "experiment", "versions", "commit")}


def _known(run: Path) -> dict[str, str | None]:
    """By the name of each tracker of a run, what the tracker calls it; None where it was never started."""
    try:
        found = json.loads((run / FILE).read_text(encoding="utf-8"))
        return {name: its for name, its in found.items() if name in STARTS and isinstance(its, str | None)}
    except (OSError, ValueError, AttributeError):
        return {}


def _write(run: Path, known: Mapping[str, str | None]) -> None:
    write_text(run / FILE, json.dumps(known, indent=1) + "\n")


def _flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """Nested settings by their names with dots.

    Example:
        >>> _flat({"a": {"b": 1}, "c": None})
        [('a.b', 1), ('c', None)]
    """
    if not isinstance(value, Mapping):
        return [(name, value)]
    return [one for key, part in value.items() for one in _flat(part, f"{name}.{key}" if name else str(key))]


def _named(name: str) -> str:
    """A name that MLflow takes."""
    return re.sub(r"[^\w\-. /]", "_", name, flags=re.ASCII)
