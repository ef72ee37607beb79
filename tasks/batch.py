"""Batches of sequences, and what every sampler of them offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

if TYPE_CHECKING:
    from tasks.spec import Spec


class Batch(NamedTuple):
    """Sequences side by side, the shorter ones padded with zeros at the end.

    B rows, T steps of the longest row, D columns of the input, S symbols in one target.
    """

    inputs: Tensor  # [B, T, D], float
    targets: Tensor  # [B, T, S], float bits or numbers, or int64 classes; zero where nothing is asked
    mask: Tensor  # [B, T], bool: steps that are scored
    lengths: Tensor  # [B], int64: steps of each row before its padding

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(*(tensor.to(device) for tensor in self))


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
