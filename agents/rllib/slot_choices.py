"""Which slots a core chose: written down on the runner, chosen again by the learner.

A core asks a sparse memory which slots are nearest to its keys and which were accessed least recently; all that it
reads and writes follows from the answers. The learner gives the answers that the runner gave, so that an approximate
index, or weights that have moved on, cannot make it read other words than the agent did.

Legend: B batch, T steps, C slots chosen in one step, S slots of one operation, W word size, N slots.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from lukasa.memory.sparse import SparseMemory
from lukasa.memory.sparse.links import SparseLinks

UNKNOWN = -2
"""In place of a choice that nobody wrote down: the learner makes it itself."""


class Follower(Protocol):
    """Stands between a core and a sparse memory."""

    def choose(self, shape: tuple[int, ...], own: Callable[[], Tensor]) -> Tensor:
        """The slots to answer with, int64 of that shape; ``own`` asks the memory."""
        ...

    def wrote(self, slots: Tensor) -> None:
        """The rows of slots [B, S] were or may have been changed."""
        ...

    def accessed(self, slots: Tensor) -> None:
        """Slots [B, S] were marked as accessed, -1 for those that were not."""
        ...


class StepRecord(NamedTuple):
    """What one step of a core did to one sparse memory, in all rows of the batch."""

    choices: np.ndarray  # int32 [B, C]
    changed: np.ndarray  # int32 [B, S], the slots whose rows may have changed, -1 for nothing
    accessed: tuple[np.ndarray, ...]  # one int32 [B, S] for each event, -1 for nothing


class Recording:
    """Writes down what a core asks a memory and does to it."""

    def __init__(self, batch_size: int):
        self._choices = [torch.empty(batch_size, 0, dtype=torch.int32)]
        self._changed = [torch.empty(batch_size, 0, dtype=torch.int32)]
        self._accessed: list[Tensor] = []

    def choose(self, shape: tuple[int, ...], own: Callable[[], Tensor]) -> Tensor:
        """The memory's answer."""
        slots = own()
        self._choices.append(_short(slots.flatten(1)))
        return slots

    def wrote(self, slots: Tensor) -> None:
        """Note a write."""
        self._changed.append(_short(slots))

    def accessed(self, slots: Tensor) -> None:
        """Note an event of access."""
        self._accessed.append(_short(slots))

    def record(self) -> StepRecord:
        """All that was noted."""
        return StepRecord(
            choices=torch.cat(self._choices, 1).numpy(),
            changed=torch.cat(self._changed, 1).numpy(),
            accessed=tuple(event.numpy() for event in self._accessed),
        )


class Replay:
    """Answers what was written down, and asks the memory where nothing was.

    Args:
        choices: int64 [B, T * C], step after step; ``UNKNOWN`` from where a row's record ends.
    """

    def __init__(self, choices: Tensor):
        self._choices = choices
        self._next = 0
        unknown = (choices == UNKNOWN).any(0).nonzero()
        self._first_unknown = int(unknown[0]) if len(unknown) else choices.shape[1]

    def choose(self, shape: tuple[int, ...], own: Callable[[], Tensor]) -> Tensor:
        """The slots that the runner chose at this point."""
        first, self._next = self._next, self._next + math.prod(shape[1:])
        if self._next <= self._first_unknown:
            return self._choices[:, first : self._next].reshape(shape)
        if self._next > self._choices.shape[1]:
            return own()
        known = self._choices[:, first : self._next].reshape(shape)
        return torch.where(known == UNKNOWN, own(), known)

    def wrote(self, slots: Tensor) -> None:
        """Nobody asks."""

    def accessed(self, slots: Tensor) -> None:
        """Nobody asks."""


class FollowedMemory:
    """A sparse memory as a core sees it, whose answers go through a follower."""

    def __init__(self, followed: SparseMemory, follower: Follower):
        self.followed = followed
        self.follower = follower

    @property
    def batch_size(self) -> int:
        """B."""
        return self.followed.batch_size

    @property
    def slots(self) -> int:
        """N."""
        return self.followed.slots

    @property
    def word_size(self) -> int:
        """W."""
        return self.followed.word_size

    @property
    def used(self) -> Tensor:
        """How many slots of each row are written, int64 [B]."""
        return self.followed.used

    def search(self, queries: Tensor, k: int) -> Tensor:
        """As in ``SparseMemory``."""
        return self.follower.choose((*queries.shape[:2], k), lambda: self.followed.search(queries, k))

    def least_recent(self, count: int) -> Tensor:
        """As in ``SparseMemory``."""
        return self.follower.choose((self.batch_size, count), lambda: self.followed.least_recent(count))

    def read(self, slots: Tensor) -> tuple[Tensor, FollowedMemory]:
        """As in ``SparseMemory``."""
        rows, after = self.followed.read(slots)
        return rows, FollowedMemory(after, self.follower)

    def write(self, slots: Tensor, keep: Tensor, words: Tensor) -> FollowedMemory:
        """As in ``SparseMemory``."""
        self.follower.wrote(slots)
        return FollowedMemory(self.followed.write(slots, keep, words), self.follower)

    def access(self, slots: Tensor, weights: Tensor) -> FollowedMemory:
        """As in ``SparseMemory``."""
        self.follower.accessed(slots.masked_fill(~(weights > self.followed.store.layout.delta), -1))
        return FollowedMemory(self.followed.access(slots, weights), self.follower)

    def reset(self, mask: Tensor) -> FollowedMemory:
        """As in ``SparseMemory``."""
        return FollowedMemory(self.followed.reset(mask), self.follower)

    def detach(self) -> FollowedMemory:
        """As in ``SparseMemory``."""
        return FollowedMemory(self.followed.detach(), self.follower)

    def fork(self) -> SparseMemory:
        """A copy that nobody follows."""
        return self.followed.fork()

    def tensors(self) -> dict[str, Tensor]:
        """As in ``SparseMemory``."""
        return self.followed.tensors()

    def from_tensors(self, tensors: Mapping[str, Tensor]) -> SparseMemory:
        """A memory of this kind that nobody follows."""
        return self.followed.from_tensors(tensors)


class FollowedLinks:
    """Temporal links as a core sees them, whose changes a follower notes."""

    def __init__(self, followed: SparseLinks, follower: Follower):
        self.followed = followed
        self.follower = follower

    @property
    def batch_size(self) -> int:
        """B."""
        return self.followed.batch_size

    @property
    def slots(self) -> int:
        """N."""
        return self.followed.slots

    def update(self, slots: Tensor, weights: Tensor, erased: Tensor) -> FollowedLinks:
        """As in ``SparseLinks``."""
        recent, _ = self.followed.tables.recent  # their rows change too: they get links to what is written now
        self.follower.wrote(torch.cat([slots, erased, recent], 1))
        return FollowedLinks(self.followed.update(slots, weights, erased), self.follower)

    def follow(self, slots: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """As in ``SparseLinks``."""
        return self.followed.follow(slots, weights)

    def grow(self, slots: int) -> FollowedLinks:
        """As in ``SparseLinks``."""
        return FollowedLinks(self.followed.grow(slots), self.follower)

    def reset(self, mask: Tensor) -> FollowedLinks:
        """As in ``SparseLinks``."""
        return FollowedLinks(self.followed.reset(mask), self.follower)

    def detach(self) -> FollowedLinks:
        """As in ``SparseLinks``."""
        return FollowedLinks(self.followed.detach(), self.follower)

    def fork(self) -> SparseLinks:
        """A copy that nobody follows."""
        return self.followed.fork()

    def tensors(self) -> dict[str, Tensor]:
        """As in ``SparseLinks``."""
        return self.followed.tensors()

    def from_tensors(self, tensors: Mapping[str, Tensor]) -> SparseLinks:
        """Links of this kind that nobody follows."""
        return self.followed.from_tensors(tensors)


def _short(slots: Tensor) -> Tensor:
    return slots.to("cpu", torch.int32)
