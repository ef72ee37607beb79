"""One trial of a sweep, as Ray Tune runs it in a process of its own; imports no more than its training does."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

from ray import tune

from lukasa.ground.mistakes import TrainingError, UserError
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint
from lukasa.launch.runs.directory import Run, is_score, locked, open_run, read_metrics
from lukasa.launch.runs.endings import Resume
from lukasa.launch.runs.stopping import Stop

LOOK_SECONDS = 0.2
"""Between two looks of a trial at its metrics."""
LOCK_SECONDS = 30.0
"""How long a trial waits for the process that had its run before to be gone."""
REPORTS = 200
"""Lines of metrics of a whole trial that Tune hears of, about: it needs some milliseconds for each."""


class TrialRun(tune.Trainable):
    """A run that trains in a thread, and tells Tune what it measures."""

    def setup(self, config: dict[str, Any]) -> None:
        """Begin to train, from the last checkpoint where there is one."""
        self._run, written = open_run(Path(config["folder"]))
        self._kind = kind_of(written["kind"])
        self._experiment = self._kind.experiments.from_json(written["experiment"])
        self._score_key = self._kind.subject(self._experiment).score_key
        self._stop, self._told = Stop(), -1
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._train, name="trial", daemon=True)
        self._thread.start()

    def step(self) -> dict[str, Any]:
        """Wait until training has come further; a trial that is begun again tells what it had measured once more.

        Raises:
            Exception: training failed in a way that another attempt may mend.
        """
        every = max(1, self._experiment.steps // REPORTS)
        while True:
            ended = not self._thread.is_alive()  # asked first: what was written before it ended is then seen
            rows = self._new_rows()
            further = (row for row in rows if row["steps"] >= self._told + every)
            if row := next(further, None):
                self._told = row["steps"]
                return row
            if ended:
                return self._end(rows[-1] if rows else {})
            time.sleep(LOOK_SECONDS)

    def cleanup(self) -> None:
        """Stop training; the run saves first."""
        self._stop.signal = signal.SIGTERM
        self._thread.join()

    def _new_rows(self) -> list[dict[str, Any]]:
        """Steps and score of the lines of metrics from the last one on that was told."""
        key = self._run.step_key
        rows = [row for row in read_metrics(self._run) if row[key] >= self._told and is_score(row.get(self._score_key))]
        return [{"steps": row[key], "score": row[self._score_key]} for row in rows]

    def _end(self, last: dict[str, Any]) -> dict[str, Any]:
        if isinstance(self._error, UserError | TrainingError):
            return {"done": True, "failed": str(self._error), **last}
        if self._error is not None:
            raise self._error
        # Tune sets ``done`` for trials that it stops as well.
        return {"done": True, "whole": True, **last}

    def _train(self) -> None:
        try:
            with ExitStack() as stack:
                _lock_soon(self._run, stack)
                checkpoints = list_checkpoints(self._run.checkpoints)
                resume = (checkpoints[-1], load_checkpoint(checkpoints[-1])) if checkpoints else None
                self._train_from(resume)
        except Exception as error:  # told by step(), to Tune
            self._error = error

    def _train_from(self, resume: Resume | None) -> None:
        def listen() -> Any:
            return nullcontext(self._stop)

        self._kind.train(self._run, self._experiment, resume, listen)


def _lock_soon(run: Run, stack: ExitStack) -> None:
    """Hold a run as soon as the process that had it has gone.

    Raises:
        UserError: it does not go.
    """
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            stack.enter_context(locked(run))
            return
        except UserError:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_SECONDS)
