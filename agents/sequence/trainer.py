"""One trainer for every task and every core.

Dimensions: B rows, T steps, K columns of the output.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lukasa import memory
from lukasa.agents.sequence.answering import on_core, respond
from lukasa.agents.sequence.drawing import Drawing
from lukasa.agents.sequence.gradients import DivergenceError, clip, group_norms, unusable_groups
from lukasa.agents.sequence.memory_use import memory_use_loss
from lukasa.agents.sequence.precision import Precision, mixed_precision
from lukasa.agents.sequence.sharing import ALONE, Sharing
from lukasa.memory import Core
from lukasa.memory.sparse import UnstorableError
from lukasa.tasks import Batch, Curriculum, Doubling, Sampler, Score, Uniform


@dataclass(frozen=True)
class StepResult:
    """What one batch gave.

    Attributes:
        loss: nats per sequence (the sum of squares for a task of numbers), mean over the batch.
        score: of the batch, in the task's unit, before the update.
        lr: the learning rate of the update.
        level: the curriculum's lesson or level.
        norms: Euclidean norm of the gradient in each parameter group, before clipping.
        draw_wait: share of the step's time in which it waited for the batch to be drawn.
    """

    loss: float
    score: Score
    lr: float
    level: int
    norms: dict[str, float]
    draw_wait: float = field(compare=False)


class Trainer:
    """Draws batches, and after each takes one step of gradient descent.

    Args:
        core: what is trained, on its device.
        sampler: of the task.
        optimizer: of the core's parameters.
        generator: decides, alone, which sequences are drawn; a CPU generator.
        batch_size: sequences in a batch.
        schedule: of the learning rate; constant by default.
        curriculum: which settings of the task come next; always the sampler's own by default.
        clip_value: largest size of one element of the gradient.
        clip_norm: largest Euclidean norm of the whole gradient, after ``clip_value``.
        chunk: steps that are backpropagated through (truncated BPTT); all by default. The chunks of a sequence share
            one update, with the sum of their gradients.
        teacher_forcing: share of the steps that show the right answer before, where outputs feed back.
        memory_use: weight of an auxiliary loss, minus ``slot_information`` in nats, that rewards reading and writing
            different slots at different steps; it is not part of the loss that is reported.
        precision: "bfloat16" runs the core's layers under ``torch.autocast``; parameters, memory and loss stay as they
            are.
        prefetch: draw each batch while the one before is learned, in a thread; the batches stay the same.
        sharing: the processes that this one shares every batch with; none by default.

    Raises:
        ValueError: the task is wider than the core, ``chunk`` is not positive, or a batch cannot be shared evenly.
    """

    def __init__(
        self,
        core: Core,
        sampler: Sampler,
        optimizer: Optimizer,
        generator: Generator,
        *,
        batch_size: int,
        schedule: LRScheduler | None = None,
        curriculum: Curriculum | None = None,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        chunk: int | None = None,
        teacher_forcing: float = 1.0,
        memory_use: float = 0.0,
        precision: Precision = "float32",
        prefetch: bool = False,
        sharing: Sharing = ALONE,
    ):
        self.core, self.sampler, self.optimizer, self.generator = core, sampler, optimizer, generator
        self.schedule = schedule
        self.curriculum: Curriculum = curriculum or Uniform()
        self.batch_size, self.clip_value, self.clip_norm, self.chunk = batch_size, clip_value, clip_norm, chunk
        self.memory_use = memory_use
        self.precision: Precision = precision
        self.sharing = sharing
        self.spec = sampler.spec  # settings of a curriculum change neither columns nor unit
        self.batches = 0
        self._drawing = Drawing(sampler, self.curriculum, generator, batch_size, teacher_forcing, prefetch)
        sizes, widths = (self.spec.input_size, self.spec.output_size), (core.input_size, core.output_size)
        if sizes != widths:
            raise ValueError(f"the task has inputs and outputs of width {sizes}, the core has {widths}")
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk is {chunk}: expected at least 1 step")
        if batch_size % sharing.workers:
            raise ValueError(f"a batch of {batch_size} sequences cannot be shared evenly by {sharing.workers} workers")

    @property
    def sequences(self) -> int:
        """Sequences trained on so far."""
        return self.batches * self.batch_size

    @property
    def level(self) -> int:
        """The curriculum's lesson or level."""
        return int(self.curriculum.state_dict()["level"])

    def step(self) -> StepResult:
        """Draw a batch, learn from it, tell the curriculum.

        Raises:
            DivergenceError: the loss or a gradient is not finite; the parameters are unchanged.
        """
        level, began = self.level, time.perf_counter()
        batch, own = self._draw()
        drawn = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        try:
            outputs, loss = self._backward(batch, own)
        except UnstorableError as error:  # a sparse memory refuses what dense ones carry on to the loss
            raise DivergenceError(math.nan, self.batches + 1, unusable_groups(self.core)) from error
        self.sharing.average_gradients(self.core.parameters())
        loss = self.sharing.totals([loss])[0] / self.sharing.workers
        norms = group_norms(self.core)
        if not all(map(math.isfinite, [loss, *norms.values()])):
            raise DivergenceError(loss, self.batches + 1, unusable_groups(self.core))
        lr = float(self.optimizer.param_groups[0]["lr"])
        clip(self.core.parameters(), self.clip_value, self.clip_norm)
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        self.batches += 1
        mine = self.spec.score(outputs, batch)
        total, count = self.sharing.totals([mine.total, mine.count])
        score = Score(total, int(count))
        # A level doubles on a low loss; lessons are mastered by the score.
        self.curriculum.report(loss / math.log(2) if isinstance(self.curriculum, Doubling) else score.value)
        draw_wait = (drawn - began) / (time.perf_counter() - began)
        return StepResult(loss, score, lr, level, norms, draw_wait)

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides about the steps to come."""
        return {
            "core": self.core.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule else None,
            "generator": self.generator.get_state(),
            "curriculum": self.curriculum.state_dict(),
            "batches": self.batches,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state: the steps to come are those that would have come then, bit for bit."""
        self.core.load_state_dict(state["core"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule:
            self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"])
        self.curriculum.load_state_dict(state["curriculum"])
        self.batches = state["batches"]

    def _draw(self) -> tuple[Batch, Tensor | None]:
        """This process's rows of the next batch, and which of their steps show the core its own answers."""
        whole, own = self._drawing.draw()
        share = self.batch_size // self.sharing.workers
        rows = slice(self.sharing.rank * share, (self.sharing.rank + 1) * share)
        batch = on_core(self.core, Batch(*(tensor[rows] for tensor in whole)))
        return batch, None if own is None else own[rows].to(batch.mask.device)

    def _backward(self, batch: Batch, own: Tensor | None) -> tuple[Tensor, float]:
        """Outputs [B, T, K] and the mean loss of a sequence, with its gradient in the parameters."""
        state, before, total, answers = None, None, 0.0, []
        for start, part in self._chunks(batch):
            recorded = memory.record(self.core) if self.memory_use else nullcontext(None)
            mine = None if own is None else own[:, start : start + part.mask.shape[1]]
            with recorded as recording, mixed_precision(self.core, self.precision):
                outputs, state = respond(self.core, self.spec, part.inputs, state=state, own=mine, before=before)
            outputs = outputs.to(batch.inputs.dtype)
            loss = objective = self.spec.loss(outputs, part).mean()
            if recording is not None:
                steps = torch.arange(start, start + part.mask.shape[1], device=batch.inputs.device)
                inside = steps < batch.lengths[:, None]
                objective = loss + self.memory_use * memory_use_loss(recording, inside)
            objective.backward()
            state, before = memory.detach_state(state), outputs[:, -1].detach()
            total += float(loss.detach())
            answers.append(outputs.detach())
        return torch.cat(answers, 1), total

    def _chunks(self, batch: Batch) -> Iterator[tuple[int, Batch]]:
        """Stretches of the batch, each with the number of its first step."""
        steps = batch.mask.shape[1]
        size = self.chunk or steps
        for start in range(0, steps, size):
            inputs, targets, mask = (tensor[:, start : start + size] for tensor in batch[:3])
            yield start, Batch(inputs, targets, mask, batch.lengths)
