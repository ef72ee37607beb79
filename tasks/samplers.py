"""What draws the sequences of a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch

from lukasa.tasks.batch import Batch
from lukasa.tasks.spec import Spec


class Sampler(Protocol):
    """Draws sequences of one task: a frozen dataclass whose fields are the task's options."""

    @property
    def spec(self) -> Spec:
        """What the sequences show, ask and cost."""
        ...

    def sample(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        ...


@runtime_checkable
class FiniteSampler(Protocol):
    """A sampler over a set of sequences that has an end."""

    def __len__(self) -> int:
        """How many sequences there are."""
        ...

    def every(self, batch_size: int) -> Iterator[Batch]:
        """Each sequence of the set once, in order."""
        ...
