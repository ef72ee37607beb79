"""Listeners of a sparse memory for tests: one that writes down what it hears, one that answers what it was given.

Legend: B batch, T steps, H heads, C slots that a head reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.sparse.listener import UNKNOWN, Steps

Heard = list[tuple[str, Tensor]]


class Notes:
    """Writes down in order what it hears, of equations and of native code alike.

    Args:
        heads: H, by which the answers of a step are told apart.
    """

    def __init__(self, heads: int):
        self.heads, self.native = heads, 0
        self.heard: Heard = []

    def choose(self, shape: tuple[int, ...], own: Callable[[], Tensor]) -> Tensor:
        slots = own()
        self.heard.append(("chose", slots.flatten(1)))
        return slots

    def wrote(self, slots: Tensor) -> None:
        self.heard.append(("wrote", slots))

    def accessed(self, slots: Tensor) -> None:
        self.heard.append(("accessed", slots))

    def known(self, count: int) -> Tensor:
        return torch.empty(1, 0, dtype=torch.int64)

    def passed(self, steps: Steps) -> None:
        for time in range(steps.answers.shape[1]):
            self.native += 1
            if steps.answers.shape[2]:
                self.heard.append(("chose", steps.answers[:, time, : self.heads]))
            self.heard.append(("wrote", steps.written[:, time]))
            if steps.answers.shape[2]:
                self.heard.append(("chose", steps.answers[:, time, self.heads :]))
            if steps.accessed is not None:
                self.heard.append(("accessed", steps.accessed[:, time]))

    def choices(self) -> Tensor:
        """All answers, int64 [B, T (H + H C)]."""
        return torch.cat([slots for what, slots in self.heard if what == "chose"], 1)


class Answers:
    """Answers what it was given, and asks the memory where that ends or holds ``UNKNOWN``."""

    def __init__(self, choices: Tensor):
        self.choices, self.place, self.asked, self.native = choices, 0, 0, 0

    def choose(self, shape: tuple[int, ...], own: Callable[[], Tensor]) -> Tensor:
        self.asked += 1
        some = self.known(math.prod(shape[1:]))
        self.place += math.prod(shape[1:])
        if not some.shape[1]:
            return own()
        some = some.reshape(shape)
        return torch.where(some == UNKNOWN, own(), some) if bool((some == UNKNOWN).any()) else some

    def wrote(self, slots: Tensor) -> None:
        pass

    def accessed(self, slots: Tensor) -> None:
        pass

    def known(self, count: int) -> Tensor:
        return self.choices[:, self.place : self.place + count]

    def passed(self, steps: Steps) -> None:
        self.native += steps.answers.shape[1]
        self.place += math.prod(steps.answers.shape[1:])


def follow(state: Any, listener: Any, of_links: Any = None) -> Any:
    """The state, whose memory is followed now."""
    state.memory.store.listener = listener
    if hasattr(state, "links"):
        state.links.tables.listener = of_links
    return state
