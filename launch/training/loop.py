"""The loop of every kind that trains batch by batch, alone or beside others: train, measure, save, stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from lukasa.agents.sequence import ALONE, DivergenceError, Sharing
from lukasa.ground.mistakes import TrainingError
from lukasa.launch.runs.checkpoints import fitting, last_good, save_checkpoint, set_later_aside, to_plain
from lukasa.launch.runs.directory import MetricsWriter, Run, rewind_metrics
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.runs.metering import measured
from lukasa.launch.runs.progress import Reporter, Silence, make_reporter
from lukasa.launch.runs.stopping import Wish, stop_on_signals

FIRST_SEED = 1_000_000
"""Added to the seed of what is drawn to train on, which must not be what a split draws."""

Row = dict[str, Any]


class Settings(Protocol):
    """The fields of an experiment that the loop follows."""

    @property
    def steps(self) -> int:
        """How many to train on: sequences or episodes."""
        ...

    @property
    def batch_size(self) -> int:
        """How many in a batch."""
        ...

    @property
    def stop_at(self) -> float | None:
        """A score that ends the run."""
        ...

    @property
    def report_every(self) -> int:
        """Steps of one line of metrics."""
        ...

    @property
    def validate_every(self) -> int | None:
        """Steps after which the next line of metrics has a validation."""
        ...

    @property
    def checkpoint_every(self) -> float:
        """Seconds between two checkpoints."""
        ...


class Trainer(Protocol):
    """What is trained, and everything that decides about the batches to come."""

    batches: int

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides about the batches to come."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        ...


class Job(Protocol):
    """One kind of training, as the loop sees it."""

    @property
    def trainer(self) -> Trainer:
        """Whose batches they are."""
        ...

    @property
    def unit(self) -> str:
        """Of the score."""
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

    def learn(self) -> Row:
        """Take one batch; numbers whose mean goes into a line of metrics, the score as total and count."""
        ...

    def measure(self) -> Row:
        """What else goes into a line of metrics."""
        ...

    def validate(self) -> float:
        """The score on what was not trained on."""
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


def train_job(
    run: Run,
    experiment: Any,
    resume: Resume | None,
    worker: Worker | None,
    make_trainer: Callable[[Any, Sharing], Any],
    make_job: Callable[[Any, Any], Job],
) -> Outcome:
    """Make the trainer of an experiment, and train until it is done; raises as ``train_batches``.

    Args:
        run: a run directory that this process holds.
        experiment: what to train: ``Settings``, ``threads`` and ``start_from``, which says nothing to a resumed run.
        resume: the checkpoint to continue from and its state.
        worker: what this process is among others; the only one when None.
        make_trainer: of an experiment and who shares its batches.
        make_job: of an experiment and its trainer.
    """
    torch.set_num_threads(experiment.threads)
    worker = worker or Worker()
    trainer = make_trainer(replace(experiment, start_from=None) if resume else experiment, worker.sharing)
    return train_batches(run, experiment, make_job(experiment, trainer), resume, worker)


def train_batches(
    run: Run, settings: Settings, job: Job, resume: Resume | None, worker: Worker | None = None
) -> Outcome:
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
    worker, window = worker or Worker(), Window()
    if resume:
        state = to_plain(resume[1])  # arrays as tensors again
        with fitting(resume[0]):
            job.trainer.load_state_dict(state["trainer"])
            torch.set_rng_state(state["random"])
            window = Window(state["window"])
        if worker.leads:
            set_later_aside(run.checkpoints, resume[0].step)
    done = job.trainer.batches * settings.batch_size
    rows = rewind_metrics(run, done) if worker.leads else []
    writer = MetricsWriter(run, done) if worker.leads else None
    try:
        with worker.listen() as stop:
            sitting = _Sitting(run, settings, job, window, rows[-1] if rows else None, writer)
            return sitting.run_until(stop, worker)
    except DivergenceError as error:
        left = last_good(run.checkpoints)
        raise TrainingError(f"{error}: stopped, nothing was overwritten, and {left}") from None
    finally:
        if writer:
            writer.close()


class Window:
    """Batches since the last line of metrics."""

    def __init__(self, batches: list[Row] | None = None):
        self.batches = list(batches or [])

    def row(self) -> Row:
        """Their means; the score weighs each batch by its items, the learning rate is the last one."""
        mean = {name: sum(one[name] for one in self.batches) / len(self.batches) for name in self.batches[0]}
        count = mean.pop("score_count")
        score = mean.pop("score_total") / count if count else None
        return mean | {"score": score, "lr": self.batches[-1]["lr"]}


class _Sitting:
    """One sitting of training."""

    def __init__(
        self,
        run: Run,
        settings: Settings,
        job: Job,
        window: Window,
        last: Row | None,
        writer: MetricsWriter | None,
    ):
        self.folder, self.counted, self.writer = run.checkpoints, run.step_key, writer
        self.settings, self.job, self.window = settings, job, window
        self.last: Row = last or {self.counted: 0, "seconds": 0.0, "score": None}
        self.started = time.monotonic()
        # A run that has begun can always be resumed: the first batch is saved at once.
        self.saved_at = self.started if self.done else -math.inf
        self.before, self.saved = self.last["seconds"], self.done

    @property
    def done(self) -> int:
        return self.job.trainer.batches * self.settings.batch_size

    def run_until(self, stop: Wish, worker: Worker) -> Outcome:
        settings, unit = self.settings, self.job.unit
        with worker.make_reporter(settings.steps, self.done, unit=self.counted, score=unit) as reporter:
            while self.done < settings.steps and stop.signal is None:
                self.window.batches.append(self.job.learn())
                full = len(self.window.batches) * settings.batch_size >= settings.report_every
                if full or self.done >= settings.steps:
                    self.last = self._row()
                    if self.writer:
                        self.writer.write(self.last)
                    rate = self.last[f"{self.counted}_per_second"]
                    reporter.update(self.done, self.last["score"], rate, *self.job.standing())
                    if self._reached():
                        break
                if time.monotonic() - self.saved_at >= settings.checkpoint_every:
                    self._save()
        if self.saved != self.done:
            self._save()
        return Outcome(self.done, self.counted, self._seconds(), self.last["score"], unit, stop.signal)

    def _row(self) -> Row:
        seconds, done = self._seconds(), self.done
        elapsed = max(seconds - self.last["seconds"], 1e-9)
        row = {
            self.counted: done,
            "batches": self.job.trainer.batches,
            "seconds": round(seconds, 3),
            f"{self.counted}_per_second": round((done - self.last[self.counted]) / elapsed, 1),
        } | (self.window.row() | measured(elapsed))
        self.window = Window()
        if self.writer is None:
            return row  # nobody reads what else could be measured
        if self._validates(done):
            row["validation"] = self.job.validate()
        return row | self.job.measure()

    def _validates(self, done: int) -> bool:
        """Whether the line of metrics at so many steps has a validation: it follows from the line before."""
        every = self.settings.validate_every
        if every is None:
            return False
        return done >= self.settings.steps or done // every > self.last[self.counted] // every

    def _reached(self) -> bool:
        goal, score = self.settings.stop_at, self.last["score"]
        if goal is None or score is None:
            return False
        return score >= goal if self.job.higher_is_better else score <= goal

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.started

    def _save(self) -> None:
        score = self.last["score"] if self.job.scores_compare else None
        if score is not None and not self.job.higher_is_better:
            score = -score
        if self.writer is None:
            return
        state = {
            "trainer": self.job.trainer.state_dict(),
            "window": self.window.batches,
            "random": torch.get_rng_state(),
        }
        save_checkpoint(self.folder, self.done, state, score)
        self.saved, self.saved_at = self.done, time.monotonic()
