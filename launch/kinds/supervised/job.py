"""Supervised training of a core on a task: from an experiment to what ``lukasa.launch.training.loop`` trains."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from typing import Any

import torch

from lukasa import memory
from lukasa.agents.sequence import ALONE, Sharing, Trainer, evaluate, make_optimizer, make_schedule, state_gradients
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.initial_weights import load_initial_weights
from lukasa.launch.kinds.supervised.curricula import chance_now, make_curriculum, stage_now
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.kinds.supervised.settings import higher_is_better, make_sampler, split_sequences, split_settings
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.endings import Outcome, Resume
from lukasa.launch.training.loop import FIRST_SEED, Row, Worker, train_job

FLOW_SEQUENCES = 8
"""Sequences that the gradient's flow is measured on."""

VALIDATED = 256
"""Sequences of a validation."""


def make_core(experiment: TaskExperiment, spec: Any) -> memory.Core:
    """The untrained core of an experiment; its weights follow from the seed.

    Raises:
        UserError: the core cannot have these options.
        memory.UnknownNameError: the core is unknown.
    """
    torch.manual_seed(experiment.seed)
    sizes = {"input_size": spec.input_size, "output_size": spec.output_size}
    with as_user_error("", ImportError):
        core = memory.make_core(experiment.core, **sizes, **experiment.memory)
        core.initial_state(experiment.batch_size)  # a memory too large, or an index that cannot be made, shows here
    return core.to(experiment.device)


def compile_step(core: memory.Core) -> None:
    """Have the core's step compiled when it is first called.

    Raises:
        UserError: there is no C++ compiler.
    """
    if not any(map(shutil.which, ("c++", "g++", "clang++"))):
        raise UserError("--compile needs a C++ compiler and there is none: install g++, or train without --compile")
    core.compile(dynamic=False)


def make_trainer(experiment: TaskExperiment, sharing: Sharing = ALONE) -> Trainer:
    """The trainer of an experiment, before its first batch.

    Args:
        experiment: what to train.
        sharing: the processes that share its batches.

    Raises:
        UserError: an option cannot be used.
        memory.UnknownNameError, tasks.UnknownTaskError: the core or the task is unknown.
    """
    sampler = make_sampler(experiment.task, "train", dict(experiment.sampler))
    spec = sampler.spec
    core = make_core(experiment, spec)
    if experiment.start_from:
        load_initial_weights(core, "task", "core", experiment.start_from)
    if experiment.compile:
        compile_step(core)
    curriculum = make_curriculum(
        experiment.curriculum, experiment.task, experiment.sampler, higher_is_better=higher_is_better(spec.unit)
    )
    with as_user_error():
        optimizer = make_optimizer(
            experiment.optimizer,
            [one for one in core.parameters() if one.requires_grad],
            experiment.lr,
            momentum=experiment.momentum,
            epsilon=experiment.epsilon,
            weight_decay=experiment.weight_decay,
        )
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
        prefetch=experiment.prefetch,
        sharing=sharing,
    )


def train(run: Run, experiment: TaskExperiment, resume: Resume | None, worker: Worker | None = None) -> Outcome:
    """Train until the sequences are done, the score is reached or the user stops; saves before it returns.

    Args:
        run: a run directory that this process holds.
        experiment: what to train.
        resume: the checkpoint to continue from and its state.
        worker: what this process is among others; the only one when None.

    Raises:
        TrainingError: the loss or a gradient is not finite; names the last good checkpoint.
    """
    return train_job(run, experiment, resume, worker, make_trainer, TaskJob)


@dataclass(frozen=True)
class TaskJob:
    """A core and its task, as ``lukasa.launch.training.loop`` sees them."""

    experiment: TaskExperiment
    trainer: Trainer

    @property
    def unit(self) -> str:
        """Of the score."""
        return self.trainer.spec.unit

    @property
    def higher_is_better(self) -> bool:
        """Whether a higher score is a better one."""
        return higher_is_better(self.unit)

    @property
    def scores_compare(self) -> bool:
        """Scores of a curriculum's different levels do not."""
        return self.experiment.curriculum.kind == "uniform"

    def standing(self) -> tuple[float | None, str]:
        """What guessing scores on the sequences of now, and which lesson or level they are of."""
        return chance_now(self.experiment, self.trainer.curriculum), stage_now(self.trainer.curriculum)

    def learn(self) -> Row:
        """Take one batch."""
        result = self.trainer.step()
        row: Row = {"loss": result.loss, "score_total": result.score.total, "score_count": result.score.count}
        if self.trainer.spec.target.kind != "scalar":
            row["bits"] = result.loss / math.log(2)
        row |= {"draw_wait": result.draw_wait, "lr": result.lr, "grad_norm": math.hypot(*result.norms.values())}
        return row | {f"grad_norm/{name}": norm for name, norm in result.norms.items()}

    def measure(self) -> Row:
        """The curriculum's level, and how the gradient flows where that was asked for."""
        return {"level": self.trainer.level} | (_flow(self.trainer) if self.experiment.gradient_flow else {})

    def validate(self) -> float:
        """The score on validation sequences."""
        return validation_score(self.trainer.core, self.experiment)


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
