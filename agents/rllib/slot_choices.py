"""Which slots a core chose: written down on the runner, chosen again by the learner.

A core asks a sparse memory which slots are nearest to its keys and which were accessed least recently; all that it
reads and writes follows from the answers. The learner gives the answers that the runner gave, so that an approximate
index, or weights that have moved on, cannot make it read other words than the agent did.

Legend: B batch, T steps, C slots chosen in one step, S slots of one operation, W word size, N slots.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lukasa.memory.sparse.listener import UNKNOWN, Steps


class StepRecord(NamedTuple):
    """What one step of a core did to one sparse memory, in all rows of the batch."""

    choices: np.ndarray  # int32 [B, C]
    changed: np.ndarray  # int32 [B, S], the slots whose rows may have changed, -1 for nothing
    accessed: tuple[np.ndarray, ...]  # one int32 [B, S] for each event, -1 for nothing


class Recording:
    """A listener (``lukasa.memory.sparse.listener``) that writes down what a core asks a memory and does to it.

    Args:
        batch_size: B.
    """

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

    def known(self, count: int) -> Tensor:
        """The memory answers all questions itself."""
        return torch.empty(len(self._choices[0]), 0, dtype=torch.int64)

    def passed(self, steps: Steps) -> None:
        """Note all that some steps did."""
        self._choices.append(_short(steps.answers.flatten(1)))
        self._changed.append(_short(steps.written.flatten(1)))
        if steps.accessed is not None:
            self._accessed += [_short(event) for event in steps.accessed.unbind(1)]

    def record(self) -> StepRecord:
        """All that was noted."""
        return StepRecord(
            choices=torch.cat(self._choices, 1).numpy(),
            changed=torch.cat(self._changed, 1).numpy(),
            accessed=tuple(event.numpy() for event in self._accessed),
        )


class Replay:
    """A listener (``lukasa.memory.sparse.listener``) that answers what was written down, and asks the memory beyond.

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

    def known(self, count: int) -> Tensor:
        """What was written down of the next choices."""
        return self._choices[:, self._next : self._next + count]

    def passed(self, steps: Steps) -> None:
        """Go on behind the choices of these steps."""
        self._next += math.prod(steps.answers.shape[1:])


def _short(slots: Tensor) -> Tensor:
    return slots.to("cpu", torch.int32)
