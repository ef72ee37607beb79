"""Who follows what a core asks of a sparse memory and does to it.

Legend: B batch, S slots of one operation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor


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


def chosen(listener: Listener | None, shape: tuple[int, ...], own: Callable[[], Tensor]) -> Tensor:
    """A memory's answer: that of its listener, if it has one."""
    return own() if listener is None else listener.choose(shape, own)
