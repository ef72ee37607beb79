"""Sequences of a task, and a core that learns from them.

Dimensions: B rows, T steps, K columns of the output.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple, Self

import torch
from torch import Generator, Tensor
from torch.optim import Optimizer

from lukasa import memory
from lukasa.agents.learning import Learned, Precision, Trainer, mixed_precision
from lukasa.agents.sequence.answering import on_core, own_steps, respond
from lukasa.agents.sequence.memory_use import memory_use_loss
from lukasa.agents.sequence.reinforce import reinforce_loss
from lukasa.memory import Auxiliary, Core
from lukasa.tasks import Batch, Curriculum, Doubling, Sampler, Spec, Uniform


class Shown(NamedTuple):
    """Sequences, and which of their steps show the core its own answers."""

    batch: Batch
    own: Tensor | None  # bool [B, T]; None where all steps show what the batch holds

    def rows(self, start: int, stop: int) -> Shown:
        """Some of the sequences."""
        own = None if self.own is None else self.own[start:stop]
        return Shown(Batch(*(tensor[start:stop] for tensor in self.batch)), own)


class Sequences:
    """Draws sequences of a task, with the settings that a curriculum asks for.

    Args:
        sampler: of the task.
        curriculum: which settings of the task come next; always the sampler's own by default.
        teacher_forcing: share of the steps that show the right answer before, where outputs feed back.
    """

    def __init__(self, sampler: Sampler, curriculum: Curriculum | None = None, teacher_forcing: float = 1.0):
        self.sampler, self.teacher_forcing = sampler, teacher_forcing
        self.curriculum: Curriculum = curriculum or Uniform()

    @property
    def spec(self) -> Spec:
        """Of the task; settings of a curriculum change neither columns nor unit."""
        return self.sampler.spec

    @property
    def level(self) -> int:
        """The curriculum's lesson or level."""
        return int(self.curriculum.state_dict()["level"])

    def choose(self, generator: Generator) -> dict[str, Any]:
        """Settings of the task."""
        return self.curriculum.draw(generator)

    def sample(self, chosen: dict[str, Any], rows: int, generator: Generator) -> Shown:
        """Sequences with these settings."""
        batch = dataclasses.replace(self.sampler, **chosen).sample(rows, generator)  # pyright: ignore
        return Shown(batch, own_steps(self.spec, batch, self.teacher_forcing, generator))

    def report(self, learned: Learned) -> None:
        """A level doubles on a low loss; lessons are mastered by the score."""
        doubling = isinstance(self.curriculum, Doubling)
        self.curriculum.report(learned.loss / math.log(2) if doubling else learned.score.value)

    def ahead(self) -> Self:
        """A copy with a curriculum of its own."""
        other = copy.copy(self)
        other.curriculum = copy.deepcopy(self.curriculum)
        return other

    def state_dict(self) -> dict[str, Any]:
        """Of the curriculum."""
        return self.curriculum.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Of the curriculum."""
        self.curriculum.load_state_dict(state)


class SequenceLearner:
    """A core that learns to answer sequences by backpropagation through time.

    What the core hands out beside its outputs, its own costs and the choices it made at random (``memory.Auxiliary``),
    is minimised with the loss, and is not part of the loss that is reported.

    Args:
        core: what is trained, on its device.
        spec: of the task.
        chunk: steps that are backpropagated through (truncated BPTT); all by default. The chunks of a sequence share
            one update, with the sum of their gradients.
        memory_use: weight of an auxiliary loss, minus ``slot_information`` in nats, that rewards reading and writing
            different slots at different steps; it is not part of the loss that is reported.
        precision: "bfloat16" runs the core's layers under ``torch.autocast``; parameters, memory and loss stay as they
            are.

    Raises:
        ValueError: the task is wider than the core, or ``chunk`` is not positive.
    """

    part = "core"

    def __init__(
        self,
        core: Core,
        spec: Spec,
        *,
        chunk: int | None = None,
        memory_use: float = 0.0,
        precision: Precision = "float32",
    ):
        self.core, self.spec, self.chunk, self.memory_use = core, spec, chunk, memory_use
        self.precision: Precision = precision
        sizes, widths = (spec.input_size, spec.output_size), (core.input_size, core.output_size)
        if sizes != widths:
            raise ValueError(f"the task has inputs and outputs of width {sizes}, the core has {widths}")
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk is {chunk}: expected at least 1 step")

    @property
    def module(self) -> Core:
        """The core."""
        return self.core

    def learn(self, shown: Shown) -> Learned:
        """Add the gradient of the mean loss of a sequence, nats, to that of the parameters."""
        batch = on_core(self.core, shown.batch)
        own = None if shown.own is None else shown.own.to(batch.mask.device)
        state, before, total, answers = None, None, 0.0, []
        for start, part in self._chunks(batch):
            recorded = memory.record(self.core) if self.memory_use else nullcontext(None)
            mine = None if own is None else own[:, start : start + part.mask.shape[1]]
            handed_out = memory.collect_auxiliary(self.core)
            with recorded as recording, handed_out as auxiliary, mixed_precision(self.core, self.precision):
                outputs, state = respond(self.core, self.spec, part.inputs, state=state, own=mine, before=before)
            outputs = outputs.to(batch.inputs.dtype)
            losses = self.spec.loss(outputs, part)
            steps = torch.arange(start, start + part.mask.shape[1], device=batch.inputs.device)
            inside = steps < batch.lengths[:, None]
            loss = losses.mean()
            objective = loss + _beside_the_task(auxiliary, losses, inside)
            if recording is not None:
                objective = objective + self.memory_use * memory_use_loss(recording, inside)
            objective.backward()
            state, before = memory.detach_state(state), outputs[:, -1].detach()
            total += float(loss.detach())
            answers.append(outputs.detach())
        return Learned(total, self.spec.score(torch.cat(answers, 1), batch))

    def _chunks(self, batch: Batch) -> Iterator[tuple[int, Batch]]:
        """Stretches of the batch, each with the number of its first step."""
        steps = batch.mask.shape[1]
        size = self.chunk or steps
        for start in range(0, steps, size):
            inputs, targets, mask = (tensor[:, start : start + size] for tensor in batch[:3])
            yield start, Batch(inputs, targets, mask, batch.lengths)


def _beside_the_task(auxiliary: Auxiliary, losses: Tensor, inside: Tensor) -> Tensor | float:
    """What the core handed out: its costs, of a sequence as a whole as the loss is, and Reinforce of its choices."""
    cost, chosen = auxiliary.cost(inside), auxiliary.log_probabilities()
    total = 0.0 if cost is None else cost * (inside.sum() / len(inside))
    return total if chosen is None else total + reinforce_loss(chosen, losses, inside)


def sequence_trainer(
    core: Core,
    sampler: Sampler,
    optimizer: Optimizer,
    generator: Generator,
    *,
    curriculum: Curriculum | None = None,
    teacher_forcing: float = 1.0,
    chunk: int | None = None,
    memory_use: float = 0.0,
    precision: Precision = "float32",
    **training: Any,
) -> Trainer[SequenceLearner, Sequences]:
    """A trainer of a core on a task.

    Args:
        core: who is trained, on its device.
        sampler: of the task.
        optimizer: of the core's parameters.
        generator: decides, alone, which sequences are drawn; a CPU generator.
        curriculum: as in ``Sequences``.
        teacher_forcing: as in ``Sequences``.
        chunk: as in ``SequenceLearner``.
        memory_use: as in ``SequenceLearner``.
        precision: as in ``SequenceLearner``.
        **training: as in ``lukasa.agents.learning.Trainer``; ``batch_size`` has to be given.

    Raises:
        ValueError: the task is wider than the core, or a number cannot be used.
    """
    learner = SequenceLearner(core, sampler.spec, chunk=chunk, memory_use=memory_use, precision=precision)
    return Trainer(learner, Sequences(sampler, curriculum, teacher_forcing), optimizer, generator, **training)
