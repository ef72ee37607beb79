"""The training loop of supervised tasks: train, measure, save, stop."""

from __future__ import annotations

import math
import shutil
import time
from typing import Any

import torch

import memory
from agents.sequence import DivergenceError, Trainer, evaluate, make_optimizer, make_schedule, state_gradients
from launch.checkpoints import list_checkpoints, save_checkpoint, set_later_aside, to_plain
from launch.curricula import make_curriculum
from launch.errors import TrainingError, UserError
from launch.progress import make_reporter
from launch.runs import MetricsWriter, Run, rewind_metrics
from launch.stopping import Stop, stop_on_signals
from launch.task_experiment import TaskExperiment
from launch.task_settings import higher_is_better, make_sampler, split_sequences, split_settings
from launch.training import Outcome, Resume

FIRST_SEED = 1_000_000
"""Added to the seed of the sequences, which must not be those of a split."""

FLOW_SEQUENCES = 8
"""Sequences that the gradient's flow is measured on."""

VALIDATED = 256
"""Sequences of a validation."""

Row = dict[str, Any]


def make_core(experiment: TaskExperiment, spec: Any) -> memory.Core:
    """The untrained core of an experiment; its weights follow from the seed.

    Raises:
        UserError: the core cannot have these options.
        memory.UnknownNameError: the core is unknown.
    """
    torch.manual_seed(experiment.seed)
    sizes = {"input_size": spec.input_size, "output_size": spec.output_size}
    try:
        core = memory.make_core(experiment.core, **sizes, **experiment.memory)
        core.initial_state(experiment.batch_size)  # a memory too large, or an index that cannot be made, shows here
    except memory.UnknownNameError:
        raise
    except (ImportError, ValueError) as error:
        raise UserError(str(error)) from None
    return core.to(experiment.device)


def compile_step(core: memory.Core) -> None:
    """Have the core's step compiled when it is first called.

    Raises:
        UserError: there is no C++ compiler.
    """
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise UserError("--compile needs a C++ compiler and there is none: install g++, or train without --compile")
    core.compile(dynamic=False)


def make_trainer(experiment: TaskExperiment) -> Trainer:
    """The trainer of an experiment, before its first batch.

    Raises:
        UserError: an option cannot be used.
        memory.UnknownNameError, tasks.UnknownTaskError: the core or the task is unknown.
    """
    sampler = make_sampler(experiment.task, "train", dict(experiment.sampler))
    spec = sampler.spec
    core = make_core(experiment, spec)
    if experiment.compile:
        compile_step(core)
    curriculum = make_curriculum(
        experiment.curriculum, experiment.task, experiment.sampler, higher_is_better=higher_is_better(spec.unit)
    )
    try:
        optimizer = make_optimizer(
            experiment.optimizer,
            [one for one in core.parameters() if one.requires_grad],
            experiment.lr,
            momentum=experiment.momentum,
            epsilon=experiment.epsilon,
            weight_decay=experiment.weight_decay,
        )
    except ValueError as error:
        raise UserError(str(error)) from None
    schedule = make_schedule(
        optimizer,
        experiment.schedule,
        batches=math.ceil(experiment.steps / experiment.batch_size),
        warmup=experiment.warmup // experiment.batch_size,
        final=experiment.final_lr,
    )
    return Trainer(
        core,
        sampler,
        optimizer,
        torch.Generator().manual_seed(FIRST_SEED + experiment.seed),
        batch_size=experiment.batch_size,
        schedule=schedule,
        curriculum=curriculum,
        clip_value=experiment.clip_value,
        clip_norm=experiment.clip_norm,
        chunk=experiment.chunk,
        teacher_forcing=experiment.teacher_forcing,
        memory_use=experiment.memory_use,
        precision=experiment.precision,
    )


def train(run: Run, experiment: TaskExperiment, resume: Resume | None) -> Outcome:
    """Train until the sequences are done, the score is reached or the user stops; saves before it returns.

    Args:
        run: a run directory that this process holds.
        experiment: what to train.
        resume: the checkpoint to continue from and its state.

    Raises:
        TrainingError: the loss or a gradient is not finite; names the last good checkpoint.
    """
    torch.set_num_threads(experiment.threads)
    trainer = make_trainer(experiment)
    window = Window()
    if resume:
        state = to_plain(resume[1])  # arrays as tensors again
        trainer.load_state_dict(state["trainer"])
        torch.set_rng_state(state["random"])
        window = Window(state["window"])
        set_later_aside(run.checkpoints, resume[0].step)
    rows = rewind_metrics(run, trainer.sequences)
    writer = MetricsWriter(run, trainer.sequences)
    try:
        with stop_on_signals("batch") as stop:
            return _Loop(run, experiment, trainer, window, rows[-1] if rows else None).run_until(stop, writer)
    except DivergenceError as error:
        raise TrainingError(f"{error}: stopped, nothing was overwritten, and {_last_good(run)}") from None
    finally:
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


class _Loop:
    """One sitting of training."""

    def __init__(self, run: Run, experiment: TaskExperiment, trainer: Trainer, window: Window, last: Row | None):
        self.folder, self.experiment, self.trainer, self.window = run.checkpoints, experiment, trainer, window
        self.last: Row = last or {"sequences": 0, "seconds": 0.0, "score": None}
        self.started = self.saved_at = time.monotonic()
        self.before, self.saved = self.last["seconds"], trainer.sequences

    def run_until(self, stop: Stop, writer: MetricsWriter) -> Outcome:
        experiment, trainer = self.experiment, self.trainer
        unit = trainer.spec.unit
        with make_reporter(experiment.steps, trainer.sequences, unit="sequences", score=unit) as reporter:
            while trainer.sequences < experiment.steps and stop.signal is None:
                self.window.batches.append(_batch_row(trainer))
                full = len(self.window.batches) * experiment.batch_size >= experiment.report_every
                if full or trainer.sequences >= experiment.steps:
                    self.last = self._row()
                    writer.write(self.last)
                    reporter.update(trainer.sequences, self.last["score"], self.last["sequences_per_second"])
                    if self._reached():
                        break
                if time.monotonic() - self.saved_at >= experiment.checkpoint_every:
                    self._save()
        if self.saved != trainer.sequences:
            self._save()
        return Outcome(trainer.sequences, "sequences", self._seconds(), self.last["score"], unit, stop.signal)

    def _row(self) -> Row:
        seconds, sequences = self._seconds(), self.trainer.sequences
        elapsed = max(seconds - self.last["seconds"], 1e-9)
        row = {
            "sequences": sequences,
            "batches": self.trainer.batches,
            "seconds": round(seconds, 3),
            "sequences_per_second": round((sequences - self.last["sequences"]) / elapsed, 1),
            "level": self.trainer.level,
        } | self.window.row()
        self.window = Window()
        if self._validates(sequences):
            row["validation"] = validation_score(self.trainer.core, self.experiment)
        return row | (_flow(self.trainer) if self.experiment.gradient_flow else {})

    def _validates(self, sequences: int) -> bool:
        """Whether the line of metrics at so many sequences has a validation: it follows from the line before."""
        every = self.experiment.validate_every
        if every is None:
            return False
        return sequences >= self.experiment.steps or sequences // every > self.last["sequences"] // every

    def _reached(self) -> bool:
        goal, score = self.experiment.stop_at, self.last["score"]
        if goal is None or score is None:
            return False
        return score >= goal if higher_is_better(self.trainer.spec.unit) else score <= goal

    def _seconds(self) -> float:
        return self.before + time.monotonic() - self.started

    def _save(self) -> None:
        score = self.last["score"]
        if self.experiment.curriculum.kind != "uniform":
            score = None  # scores of different levels do not compare: the last checkpoint counts as the best
        elif score is not None and not higher_is_better(self.trainer.spec.unit):
            score = -score
        state = {
            "trainer": self.trainer.state_dict(),
            "window": self.window.batches,
            "random": torch.get_rng_state(),
        }
        save_checkpoint(self.folder, self.trainer.sequences, state, score)
        self.saved, self.saved_at = self.trainer.sequences, time.monotonic()


def _batch_row(trainer: Trainer) -> Row:
    result = trainer.step()
    row: Row = {"loss": result.loss, "score_total": result.score.total, "score_count": result.score.count}
    if trainer.spec.target.kind != "scalar":
        row["bits"] = result.loss / math.log(2)
    row |= {"lr": result.lr, "grad_norm": math.hypot(*result.norms.values())}
    return row | {f"grad_norm/{name}": norm for name, norm in result.norms.items()}


def validation_score(core: memory.Core, experiment: TaskExperiment) -> float:
    """The score on the first sequences of the validation split, the same ones each time; the core sees its own answers.

    Args:
        core: who is scored.
        experiment: its task, with the settings that a curriculum leads to.
    """
    sampler = make_sampler(experiment.task, "validation", split_settings(experiment, "validation"))
    batches = split_sequences(experiment.task, sampler, "validation", VALIDATED)
    return evaluate(core, sampler.spec, batches).score


def _flow(trainer: Trainer) -> Row:
    """The gradient with respect to each step's state, on the same sequences each time."""
    batch = trainer.sampler.sample(FLOW_SEQUENCES, torch.Generator().manual_seed(FIRST_SEED))
    found = state_gradients(trainer.core, trainer.spec, batch)
    return {f"flow/{name}": norms.tolist() for name, norms in found.items()}


def _last_good(run: Run) -> str:
    checkpoints = list_checkpoints(run.checkpoints)
    return f"the last good checkpoint is {checkpoints[-1].path}" if checkpoints else "there is no checkpoint yet"
