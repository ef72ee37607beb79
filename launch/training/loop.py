"""The loop of every kind of training, alone or beside others: learn, measure, save, stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from lukasa.agents.learning import ALONE, DivergenceError, Sharing
from lukasa.ground.mistakes import TrainingError
from lukasa.launch.kinds.running import Running
from lukasa.launch.runs.checkpoints import fitting, last_good, save_checkpoint, set_later_aside
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.runs.metrics import MetricsWriter, rewind_metrics
from lukasa.launch.runs.progress import Reporter, Silence, make_reporter
from lukasa.launch.runs.stopping import Wish, stop_on_signals

Row = dict[str, Any]
"""A line of metrics: the steps under the run's ``step_key``, "seconds", and whatever else was measured."""


class Job(Protocol):
    """One kind of training, as the loop sees it."""

    @property
    def done(self) -> int:
        """Steps so far, as ``Running.steps`` counts them."""
        ...

    @property
    def counted(self) -> str:
        """What a step is, for people."""
        ...

    @property
    def steps_name(self) -> str:
        """What steps are called while they are counted; a line of metrics has so many "..._per_second"."""
        ...

    @property
    def unit(self) -> str:
        """Of the score."""
        ...

    @property
    def score_key(self) -> str:
        """Where the score is in a line of metrics."""
        ...

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher score is a better one."""
        ...

    @property
    def scores_compare(self) -> bool:
        """Whether scores of different times say which checkpoint is the best; the last one is where they do not."""
        ...

    def standing(self) -> tuple[float | None, str]:
        """What guessing scores now, None when it is not known, and the lesson of a curriculum where there is one."""
        ...

    def begin(self, rows: list[Row]) -> None:
        """Hear of the lines of metrics that there are already, before the first batch of a sitting."""
        ...

    def learn(self) -> None:
        """Take one batch.

        Raises:
            DivergenceError: the loss or a gradient is not finite.
        """
        ...

    def line(self, seconds: float, before: Row, *, writes: bool) -> Row | None:
        """A line of metrics, where it is time for one.

        Args:
            seconds: trained so far.
            before: the line before it.
            writes: whether anybody reads what else could be measured.
        """
        ...

    def is_whole(self, error: Exception) -> bool:
        """Whether ``state`` is still that from before the batch that failed."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything that decides about the batches to come, in values that a checkpoint holds."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


def _stop_on_signals() -> AbstractContextManager[Wish]:
    return stop_on_signals("batch")


@dataclass(frozen=True)
class Worker:
    """The process that trains; by default the only one, which hears and shows everything itself.

    Attributes:
        sharing: who shares its batches. The first of them alone writes to the run directory.
        listen: begins to listen for a wish to stop.
        make_reporter: as ``lukasa.launch.runs.progress.make_reporter``.
    """

    sharing: Sharing = ALONE
    listen: Callable[[], AbstractContextManager[Wish]] = _stop_on_signals
    make_reporter: Callable[..., Reporter] = make_reporter

    @property
    def leads(self) -> bool:
        """Whether it writes."""
        return self.sharing.rank == 0


def quietly(listen: Callable[[], AbstractContextManager[Wish]]) -> Worker:
    """The only worker, where nobody sits at the terminal: it shows nothing, and stops on the wish alone."""
    return Worker(listen=listen, make_reporter=lambda *_, **__: Silence())


def train_job(run: Run, settings: Running, job: Job, resume: Resume | None, worker: Worker | None = None) -> Outcome:
    """Train until the steps are done, the score is reached or the user stops; saves before it returns.

    Args:
        run: a run directory that this process holds; its ``step_key`` is what steps are counted in.
        settings: how long, and how often what.
        job: what to train, before its first batch.
        resume: the checkpoint to continue from and its state.
        worker: what this process is among others; the only one when None.

    Raises:
        TrainingError: the loss or a gradient is not finite; names the last good checkpoint.
    """
    worker = worker or Worker()
    if resume:
        with fitting(resume[0]):
            job.restore(resume[1])
        if worker.leads:
            set_later_aside(run.checkpoints, resume[0].step)
    rows = rewind_metrics(run, job.done) if worker.leads else []
    job.begin(rows)
    writer = MetricsWriter(run, job.done) if worker.leads else None
    try:
        with worker.listen() as stop:
            return _Sitting(run, settings, job, rows[-1] if rows else None, writer).run_until(stop, worker)
    except DivergenceError as error:
        left = last_good(run.checkpoints)
        raise TrainingError(f"{error}: stopped, nothing was overwritten, and {left}") from None
    finally:
        if writer:
            writer.close()


class _Sitting:
    """One sitting of training."""

    def __init__(self, run: Run, settings: Running, job: Job, last: Row | None, writer: MetricsWriter | None):
        self.folder, self.writer, self.settings, self.job = run.checkpoints, writer, settings, job
        self.last: Row = last or {run.step_key: 0, "seconds": 0.0}
        self.started = time.monotonic()
        # A run that has begun can always be resumed: the first batch is saved at once.
        self.saved_at = self.started if job.done else -math.inf
        self.before, self.saved = self.last["seconds"], job.done

    @property
    def score(self) -> float | None:
        """Of the last line of metrics."""
        return self.last.get(self.job.score_key)

    def run_until(self, stop: Wish, worker: Worker) -> Outcome:
        job, settings = self.job, self.settings
        with worker.make_reporter(settings.steps, job.done, unit=job.steps_name, score=job.unit) as reporter:
            while job.done < settings.steps and stop.signal is None:
                self._learn()
                row = job.line(self._seconds(), self.last, writes=self.writer is not None)
                if row is not None:
                    self.last = row
                    if self.writer:
                        self.writer.write(row)
                    rate = row[f"{job.steps_name}_per_second"] or 0.0
                    reporter.update(job.done, self.score, rate, *job.standing())
                    if self._reached():
                        break
                if time.monotonic() - self.saved_at >= settings.checkpoint_every:
                    self._save_rest()
        self._save_rest()
        return Outcome(job.done, job.counted, self._seconds(), self.score, job.unit, stop.signal)

    def _learn(self) -> None:
        try:
            self.job.learn()
        except Exception as error:
            if self.job.is_whole(error):
                with suppress(Exception):  # what failed first is what the user should hear of
                    self._save_rest()
            raise

    def _reached(self) -> bool:
        goal, score = self.settings.stop_at, self.score
        # some jobs have a curriculum, whose first lessons are no goal
        if goal is None or score is None or not getattr(self.job, "is_full", True):
            return False
        return score >= goal if self.job.higher_is_better else score <= goal

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.started

    def _save_rest(self) -> None:
        if self.saved != self.job.done:
            self._save()

    def _save(self) -> None:
        if self.writer is None:
            return
        score = self.score if self.job.scores_compare else None
        if score is not None and not self.job.higher_is_better:
            score = -score
        save_checkpoint(self.folder, self.job.done, self.job.state(), score)
        self.saved, self.saved_at = self.job.done, time.monotonic()
