"""Who follows what a core asks of a sparse memory and does to it.

Legend: B batch, T steps, S slots of one operation, C numbers of the answers of a step, A slots that a step accesses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from torch import Tensor

UNKNOWN = -2
"""In place of an answer that a listener leaves to the memory."""


class Listener(Protocol):
    """Follows a row store or a table of links: set as its ``listener`` for as long as it is to hear.

    A core asks a memory which slots are nearest to its keys and which were accessed least recently, and all that it
    reads and writes follows from the answers. So a listener that repeats answers repeats what the core did.
    """

    def choose(self, shape: tuple[int, ...], own: Callable[[], Tensor]) -> Tensor:
        """The slots to answer with, int64 of that shape; ``own`` asks the memory."""
        ...

    def wrote(self, slots: Tensor) -> None:
        """The rows of slots [B, S] were or may have been changed; -1 is nothing."""
        ...

    def accessed(self, slots: Tensor) -> None:
        """Slots [B, S] were marked as accessed, -1 for those that were not."""
        ...


class Steps(NamedTuple):
    """What a listener would have heard of some steps, one after the other."""

    answers: Tensor  # int64 [B, T, C], those of a step in the order of its questions, [B, T, 0] where nobody asks
    written: Tensor  # int64 [B, T, S], -1 is nothing
    accessed: Tensor | None  # int64 [B, T, A], -1 for those that were not; None where no slot is marked


class ForeknowingListener(Listener, Protocol):
    """A listener that can say its answers before it is asked, so that native code takes the steps without calling it.

    Native code asks ``known`` once, takes its steps, and gives ``passed`` what the other methods would have heard.
    """

    def known(self, count: int) -> Tensor:
        """The answers to come, as ``choose`` would give them.

        Args:
            count: how many numbers of each row the steps will ask for.

        Returns:
            int64 [B, K], the next ones in the order of the questions, at most ``count``; ``UNKNOWN`` where the memory
            is to answer by itself, as it is behind the last of them.
        """
        ...

    def passed(self, steps: Steps) -> None:
        """These steps were taken: the next question is the one behind them."""
        ...


def chosen(listener: Listener | None, shape: tuple[int, ...], own: Callable[[], Tensor]) -> Tensor:
    """A memory's answer: that of its listener, if it has one."""
    return own() if listener is None else listener.choose(shape, own)


def foreknows(listener: Listener | None) -> bool:
    """Whether steps may be taken without calling a listener in between."""
    return listener is None or (hasattr(listener, "known") and hasattr(listener, "passed"))
