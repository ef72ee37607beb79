"""Drawing the batches of a trainer, one ahead of what is being learned where that pays."""

from __future__ import annotations

import copy
import dataclasses
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from lukasa.agents.sequence.answering import own_steps
from lukasa.tasks import Batch, Curriculum, Sampler


class Drawn(NamedTuple):
    """A batch, and what it was drawn from."""

    batch: Batch
    own: Tensor | None  # bool [B, T], which steps show the core its own answers
    settings: dict[str, Any]
    before: Tensor  # the generator's state before the batch, after the curriculum
    after: Tensor  # and after the batch


class Drawing:
    """Draws batches, which depend on the curriculum and the generator alone, prefetched or not.

    Prefetching draws the next batch in a thread while the trainer learns from this one, on a copy of the curriculum and
    of the generator. If the curriculum then asks for something else, because this batch ended a lesson, what was
    drawn is dropped and the batch drawn anew. It pays where drawing takes long and is done by few large operations of
    torch: a sampler that loops in Python would hold up the trainer's thread.

    Args:
        sampler: of the task.
        curriculum: which settings of the task come next; the trainer reports to it.
        generator: decides, alone, which sequences are drawn.
        batch_size: sequences in a batch.
        teacher_forcing: share of the steps that show the right answer before, where outputs feed back.
        prefetch: draw ahead.
    """

    def __init__(
        self,
        sampler: Sampler,
        curriculum: Curriculum,
        generator: Generator,
        batch_size: int,
        teacher_forcing: float,
        prefetch: bool,
    ):
        self.sampler, self.curriculum, self.generator = sampler, curriculum, generator
        self.batch_size, self.teacher_forcing = batch_size, teacher_forcing
        self._thread = ThreadPoolExecutor(1, "prefetch") if prefetch else None
        self._next: Future[Drawn] | None = None

    def draw(self) -> tuple[Batch, Tensor | None]:
        """The next batch, and which of its steps show the core its own answers; begins to draw the one after it."""
        ready, self._next = self._next, None
        ahead = ready.result() if ready else None
        settings = self.curriculum.draw(self.generator)
        if ahead and ahead.settings == settings and torch.equal(ahead.before, self.generator.get_state()):
            self.generator.set_state(ahead.after)
            drawn = ahead
        else:
            drawn = self._sample(settings, self.generator)
        if self._thread:
            self._next = self._thread.submit(self._ahead, copy.deepcopy(self.curriculum), self.generator.clone_state())
        return drawn.batch, drawn.own

    def _ahead(self, curriculum: Curriculum, generator: Generator) -> Drawn:
        return self._sample(curriculum.draw(generator), generator)

    def _sample(self, settings: dict[str, Any], generator: Generator) -> Drawn:
        before, sampler = generator.get_state(), self.sampler
        batch = dataclasses.replace(sampler, **settings).sample(self.batch_size, generator)  # pyright: ignore
        own = own_steps(sampler.spec, batch, self.teacher_forcing, generator)
        return Drawn(batch, own, settings, before, generator.get_state())
