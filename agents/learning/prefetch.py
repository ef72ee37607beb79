"""Drawing the batches of a trainer, one ahead of what is being learned where that pays."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, NamedTuple

import torch
from torch import Generator, Tensor

from lukasa.agents.learning.sources import BatchType, Source


class Drawn(NamedTuple):
    """A batch, and what it was drawn from."""

    batch: Any
    chosen: Any
    before: Tensor  # the generator's state before the batch, after the choice
    after: Tensor  # and after the batch


class Drawing(Generic[BatchType]):
    """Draws batches, which depend on the source and the generator alone, prefetched or not.

    Prefetching draws the next batch in a thread while the trainer learns from this one, on a copy of the source's
    choices and of the generator. If the source then chooses something else, because this batch ended a lesson, what was
    drawn is dropped and the batch drawn anew. It pays where drawing takes long and is done by few large operations of
    torch: a sampler that loops in Python would hold up the trainer's thread.

    Args:
        source: draws.
        generator: decides, alone, what.
        rows: examples in a batch.
        prefetch: draw ahead.
    """

    def __init__(self, source: Source[BatchType], generator: Generator, rows: int, prefetch: bool):
        self.source, self.generator, self.rows = source, generator, rows
        self._thread = ThreadPoolExecutor(1, "prefetch") if prefetch else None
        self._next: Future[Drawn] | None = None

    def draw(self) -> BatchType:
        """The next batch; begins to draw the one after it."""
        ready, self._next = self._next, None
        ahead = ready.result() if ready else None
        chosen = self.source.choose(self.generator)
        if ahead and ahead.chosen == chosen and torch.equal(ahead.before, self.generator.get_state()):
            self.generator.set_state(ahead.after)
            drawn = ahead
        else:
            drawn = self._sample(chosen, self.generator)
        if self._thread:
            self._next = self._thread.submit(self._ahead, self.source.ahead(), self.generator.clone_state())
        return drawn.batch

    def _ahead(self, source: Source[Any], generator: Generator) -> Drawn:
        return self._sample(source.choose(generator), generator)

    def _sample(self, chosen: Any, generator: Generator) -> Drawn:
        before = generator.get_state()
        batch = self.source.sample(chosen, self.rows, generator)
        return Drawn(batch, chosen, before, generator.get_state())
