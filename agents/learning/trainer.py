"""One trainer for every learner and every source."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from torch import Generator
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from lukasa.agents.learning.gradients import DivergenceError, clip, group_norms, unusable_groups
from lukasa.agents.learning.prefetch import Drawing
from lukasa.agents.learning.sharing import ALONE, Sharing
from lukasa.agents.learning.sources import Learned, Learner, Source
from lukasa.memory.sparse import UnstorableError
from lukasa.tasks import Score

LearnerType = TypeVar("LearnerType", bound=Learner[Any], covariant=True)
SourceType = TypeVar("SourceType", bound=Source[Any], covariant=True)


@dataclass(frozen=True)
class StepResult:
    """What one batch gave.

    Attributes:
        loss: mean over the batch: nats per sequence or per query, or the sum of squares for a task of numbers.
        score: of the batch, in the source's unit, before the update.
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


class Trainer(Generic[LearnerType, SourceType]):
    """Draws batches, and after each takes one step of gradient descent.

    Args:
        learner: who is trained, on its device.
        source: draws the batches.
        optimizer: of the learner's parameters.
        generator: decides, alone, what is drawn; a CPU generator.
        batch_size: examples in a batch: sequences or episodes.
        schedule: of the learning rate, in batches; constant by default.
        clip_value: largest size of one element of the gradient.
        clip_norm: largest Euclidean norm of the whole gradient, after ``clip_value``.
        prefetch: draw each batch while the one before is learned, in a thread; the batches stay the same.
        sharing: the processes that this one shares every batch with; none by default.

    Attributes:
        batches: how many it has learned from.

    Raises:
        ValueError: ``batch_size`` is not positive or cannot be shared evenly.
    """

    def __init__(
        self,
        learner: LearnerType,
        source: SourceType,
        optimizer: Optimizer,
        generator: Generator,
        *,
        batch_size: int,
        schedule: LRScheduler | None = None,
        clip_value: float | None = None,
        clip_norm: float | None = None,
        prefetch: bool = False,
        sharing: Sharing = ALONE,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}: expected at least 1")
        if batch_size % sharing.workers:
            raise ValueError(f"a batch of {batch_size} cannot be shared evenly by {sharing.workers} workers")
        self.learner, self.source, self.optimizer, self.generator = learner, source, optimizer, generator
        self.batch_size, self.clip_value, self.clip_norm = batch_size, clip_value, clip_norm
        self.schedule, self.sharing = schedule, sharing
        self.batches = 0
        self._drawing = Drawing(source, generator, batch_size, prefetch)

    @property
    def done(self) -> int:
        """Examples trained on so far."""
        return self.batches * self.batch_size

    def step(self) -> StepResult:
        """Draw a batch, learn from it, and let the source know.

        Raises:
            DivergenceError: the loss or a gradient is not finite; the parameters are unchanged.
        """
        module, level, began = self.learner.module, self.source.level, time.perf_counter()
        share = self.batch_size // self.sharing.workers
        batch = self._drawing.draw().rows(self.sharing.rank * share, (self.sharing.rank + 1) * share)
        drawn = time.perf_counter()
        self.optimizer.zero_grad(set_to_none=True)
        try:
            mine = self.learner.learn(batch)
        except UnstorableError as error:  # a sparse memory refuses what dense ones carry on to the loss
            raise DivergenceError(math.nan, self.batches + 1, unusable_groups(module)) from error
        self.sharing.average_gradients(module.parameters())
        loss, total, count = self.sharing.totals([mine.loss, mine.score.total, mine.score.count])
        learned = Learned(loss / self.sharing.workers, Score(total, int(count)))
        norms = group_norms(module)
        if not all(map(math.isfinite, [learned.loss, *norms.values()])):
            raise DivergenceError(learned.loss, self.batches + 1, unusable_groups(module))
        lr = float(self.optimizer.param_groups[0]["lr"])
        clip(module.parameters(), self.clip_value, self.clip_norm)
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        self.batches += 1
        self.source.report(learned)
        draw_wait = (drawn - began) / (time.perf_counter() - began)
        return StepResult(learned.loss, learned.score, lr, level, norms, draw_wait)

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides about the steps to come."""
        return {
            self.learner.part: self.learner.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict() if self.schedule else None,
            "generator": self.generator.get_state(),
            "curriculum": self.source.state_dict(),
            "batches": self.batches,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state: the steps to come are those that would have come then, bit for bit."""
        self.learner.module.load_state_dict(state[self.learner.part])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.schedule:
            self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"])
        self.source.load_state_dict(state.get("curriculum", {}))  # few-shot runs had none
        self.batches = state["batches"]
