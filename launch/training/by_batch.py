"""From what is asked of training batch by batch to its trainer and its job, whatever is learned from."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import nn

from lukasa.agents.learning import (
    ALONE,
    Learner,
    Sharing,
    SideBySide,
    Source,
    Trainer,
    make_optimizer,
    make_schedule,
)
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.initial_weights import load_initial_weights
from lukasa.launch.kinds.kind import Experiments
from lukasa.launch.kinds.running import ByBatch
from lukasa.launch.runs.checkpoints import to_plain
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.runs.metering import measured
from lukasa.launch.training.loop import Worker, train_job

Trained = TypeVar("Trained", bound=ByBatch)

FIRST_SEED = 1_000_000
"""Added to the seed of what is drawn to train on, which must not be what a split draws."""


def check_device(experiment: ByBatch) -> None:
    """Refuse a GPU that is not there.

    Raises:
        UserError: there is none.
    """
    if experiment.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda needs a GPU that this PyTorch can use, and there is none: take --device cpu")


def on_this_machine(experiment: Trained) -> Trained:
    """The experiment of a trained run as this machine can compute it: on the CPU where there is no GPU for it."""
    if experiment.device == "cpu" or torch.cuda.is_available():
        return experiment
    print("note: this run was trained on a GPU, and there is none here: it is computed on the CPU", file=sys.stderr)
    return replace(experiment, device="cpu")


def make_trainer(
    experiment: ByBatch,
    kind: str,
    learner: Learner[Any],
    source: Source[Any],
    sharing: Sharing = ALONE,
    first: tuple[int, float] | None = None,
) -> Trainer[Any, Any]:
    """The trainer of an experiment, before its first batch.

    Args:
        experiment: how it learns.
        kind: of training, the word after ``lukasa train``.
        learner: who learns; given the weights of ``start_from``.
        source: draws what it learns from.
        sharing: the processes that share its batches.
        first: batches before the schedule begins, and their learning rate.

    Raises:
        UserError: an option cannot be used.
    """
    if experiment.start_from:
        part = learner.part
        load_initial_weights(
            learner.module, kind, lambda state: to_plain(state)["trainer"][part], experiment.start_from
        )
    optimizer = make_optimizer_of(experiment, learner.module)
    schedule = make_schedule(
        optimizer,
        experiment.schedule,
        batches=math.ceil(experiment.steps / experiment.batch_size),
        warmup=experiment.warmup // experiment.batch_size,
        final=experiment.final_lr,
        halve_every=experiment.halve_every / experiment.batch_size,
        before=(first[0], first[1] / experiment.lr) if first else None,
    )
    with as_user_error():
        return Trainer(
            learner,
            source,
            optimizer,
            torch.Generator().manual_seed(FIRST_SEED + experiment.seed),
            batch_size=experiment.batch_size,
            schedule=schedule,
            clip_value=experiment.clip_value,
            clip_norm=experiment.clip_norm,
            prefetch=experiment.prefetch,
            sharing=sharing,
        )


def make_optimizer_of(experiment: ByBatch, module: nn.Module) -> torch.optim.Optimizer:
    """The optimiser of what is trained in a module.

    Raises:
        UserError: an option cannot be used.
    """
    with as_user_error():
        return make_optimizer(
            experiment.optimizer,
            [one for one in module.parameters() if one.requires_grad],
            experiment.lr,
            momentum=experiment.momentum,
            epsilon=experiment.epsilon,
            weight_decay=experiment.weight_decay,
        )


class BatchJob:
    """Training batch by batch, as ``lukasa.launch.training.loop`` sees it; a kind says what its scores are.

    Args:
        experiment: what is trained.
        trainer: before its first batch.
        kind: what is asked of its kind of training.

    A kind's own job is made of an experiment and who shares its batches.
    """

    unit: str = "accuracy %"
    higher_is_better: bool = True
    scores_compare: bool = True
    score_key = "score"

    def __init__(self, experiment: Any, trainer: Trainer[Any, Any] | SideBySide[Any, Any], kind: Experiments[Any]):
        self.experiment = experiment
        self.trainer: Any = trainer
        self.counted = self.steps_name = kind.step_key
        self._window: list[dict[str, Any]] = []

    @classmethod
    def train(cls, run: Run, experiment: Any, resume: Resume | None, worker: Worker | None = None) -> Outcome:
        """Train until the steps are done, the score is reached or the user stops; saves before it returns.

        Args:
            run: a run directory that this process holds.
            experiment: what to train; ``start_from`` says nothing to a resumed run.
            resume: the checkpoint to continue from and its state.
            worker: what this process is among others; the only one when None.

        Raises:
            TrainingError: the loss or a gradient is not finite; names the last good checkpoint.
        """
        torch.set_num_threads(experiment.threads)
        worker = worker or Worker()
        begins = replace(experiment, start_from=None) if resume else experiment
        make: Any = cls
        return train_job(run, experiment, make(begins, worker.sharing), resume, worker)

    @property
    def done(self) -> int:
        """Examples so far."""
        return self.trainer.done

    def standing(self) -> tuple[float | None, str]:
        """What guessing scores now, None when it is not known, and the lesson of a curriculum where there is one."""
        return None, ""

    def measure(self) -> dict[str, Any]:
        """What else goes into a line of metrics."""
        return {}

    def validate(self) -> float:
        """The score on what was not trained on."""
        raise NotImplementedError

    def in_bits(self) -> bool:
        """Whether the loss is a surprise in nats, which people read in bits."""
        return False

    def begin(self, rows: list[dict[str, Any]]) -> None:
        """What is already there says nothing about the batches to come."""

    def learn(self) -> None:
        """Take one batch."""
        result = self.trainer.step()
        row = {"loss": result.loss, "score_total": result.score.total, "score_count": result.score.count}
        if self.in_bits():
            row["bits"] = result.loss / math.log(2)
        row |= {"draw_wait": result.draw_wait, "lr": result.lr, "grad_norm": math.hypot(*result.norms.values())}
        self._window.append(row | {f"grad_norm/{name}": norm for name, norm in result.norms.items()})

    def line(self, seconds: float, before: dict[str, Any], *, writes: bool) -> dict[str, Any] | None:
        """The means since the line before, and every so often a validation."""
        experiment, done = self.experiment, self.done
        full = len(self._window) * experiment.batch_size >= experiment.report_every
        if not full and done < experiment.steps:
            return None
        elapsed, counted_before = max(seconds - before["seconds"], 1e-9), before[self.counted]
        row = {
            self.counted: done,
            "batches": self.trainer.batches,
            "seconds": round(seconds, 3),
            f"{self.counted}_per_second": round((done - counted_before) / elapsed, 1),
        }
        row |= means(self._window) | measured(elapsed)
        self._window = []
        if not writes:
            return row
        every = experiment.validate_every
        if every is not None and (done >= experiment.steps or done // every > counted_before // every):
            row["validation"] = self.validate()
        return row | self.measure()

    def is_whole(self, error: Exception) -> bool:
        """No: what failed may have been half done."""
        return False

    def state(self) -> dict[str, Any]:
        """Of the trainer, the line that is not full yet, and torch's own random numbers."""
        return {"trainer": self.trainer.state_dict(), "window": self._window, "random": torch.get_rng_state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        state = to_plain(state)  # arrays as tensors again
        self.trainer.load_state_dict(state["trainer"])
        torch.set_rng_state(state["random"])
        self._window = list(state["window"])


def means(batches: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a line of metrics says of its batches: the score weighs each by its items, the learning rate is the last."""
    mean = {name: sum(one[name] for one in batches) / len(batches) for name in batches[0]}
    count, total = mean.pop("score_count"), mean.pop("score_total")
    return mean | {"score": total / count if count else None, "lr": batches[-1]["lr"]}
