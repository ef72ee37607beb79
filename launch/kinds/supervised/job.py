"""Supervised training of a core on a task: from an experiment to what ``lukasa.launch.training.loop`` trains."""

from __future__ import annotations

import shutil
from typing import Any

import torch

from lukasa import memory
from lukasa.agents.learning import ALONE, Sharing, Trainer
from lukasa.agents.sequence import SequenceLearner, Sequences, evaluate, state_gradients
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.supervised.curricula import chance_now, make_curriculum, stage_now
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.kinds.supervised.settings import higher_is_better, make_sampler, split_sequences, split_settings
from lukasa.launch.training import by_batch

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
    # Kernels that write into what others still read gave an ACT around a SNAIL wrong gradients (PyTorch 2.13).
    core.compile(dynamic=False, options={"inplace_buffers": False})


def make_trainer(experiment: TaskExperiment, sharing: Sharing = ALONE) -> Trainer[SequenceLearner, Sequences]:
    """The trainer of an experiment, before its first batch.

    Args:
        experiment: what to train.
        sharing: the processes that share its batches.

    Raises:
        UserError: an option cannot be used.
        memory.UnknownNameError, tasks.UnknownTaskError: the core or the task is unknown.
    """
    sampler = make_sampler(experiment.task, "train", dict(experiment.sampler))
    core = make_core(experiment, sampler.spec)
    curriculum = make_curriculum(
        experiment.curriculum, experiment.task, experiment.sampler, higher_is_better=higher_is_better(sampler.spec.unit)
    )
    learner = SequenceLearner(
        core,
        sampler.spec,
        chunk=experiment.chunk,
        memory_use=experiment.memory_use,
        precision=experiment.precision,
    )
    source = Sequences(sampler, curriculum, experiment.teacher_forcing)
    trainer = by_batch.make_trainer(experiment, "task", learner, source, sharing)
    if experiment.compile:
        compile_step(core)
    return trainer


class TaskJob(by_batch.BatchJob):
    """A core and its task, as ``lukasa.launch.training.loop`` sees them.

    Args:
        experiment: what is trained.
        sharing: the processes that share its batches.
    """

    def __init__(self, experiment: TaskExperiment, sharing: Sharing = ALONE):
        super().__init__(experiment, make_trainer(experiment, sharing), TASK)
        self.core, self.source = self.trainer.learner.core, self.trainer.source
        self.unit = self.source.spec.unit
        self.higher_is_better = higher_is_better(self.unit)
        # Scores of a curriculum's different levels do not compare.
        self.scores_compare = experiment.curriculum.kind == "uniform"

    def standing(self) -> tuple[float | None, str]:
        """What guessing scores on the sequences of now, and which lesson or level they are of."""
        return chance_now(self.experiment, self.source.curriculum), stage_now(self.source.curriculum)

    def in_bits(self) -> bool:
        """But for a task of numbers."""
        return self.source.spec.target.kind != "scalar"

    def measure(self) -> dict[str, Any]:
        """The curriculum's level, and how the gradient flows where that was asked for."""
        return {"level": self.source.level} | (self._flow() if self.experiment.gradient_flow else {})

    def validate(self) -> float:
        """The score on validation sequences."""
        return validation_score(self.core, self.experiment)

    def _flow(self) -> dict[str, Any]:
        """The gradient with respect to each step's state, on the same sequences each time."""
        batch = self.source.sampler.sample(FLOW_SEQUENCES, torch.Generator().manual_seed(by_batch.FIRST_SEED))
        found = state_gradients(self.core, self.source.spec, batch)
        return {f"flow/{name}": norms.tolist() for name, norms in found.items()}


def validation_score(core: memory.Core, experiment: TaskExperiment) -> float:
    """The score on the first sequences of the validation split, the same ones each time; the core sees its own answers.

    Args:
        core: who is scored.
        experiment: its task, with the settings that a curriculum leads to.
    """
    sampler = make_sampler(experiment.task, "validation", split_settings(experiment, "validation"))
    batches = split_sequences(experiment.task, sampler, "validation", VALIDATED)
    return evaluate(core, sampler.spec, batches).score
