"""What every index of a sparse memory can do, and what it is told about the memory.

Legend: B batch, N slots, W word size, R queries a row, M changed slots, k neighbours asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Contents:
    """The rows that an index points into.

    Attributes:
        batch_size: B.
        slots: N at construction; a memory may grow past it.
        word_size: W.
        device: where rows and queries live.
        rows: gives the rows [B, N, W] as they are now.
    """

    batch_size: int
    slots: int
    word_size: int
    device: torch.device
    rows: Callable[[], Tensor]


class Index(Protocol):
    """Finds the written slots nearest to a query by cosine similarity; one object serves all rows of a batch.

    Slots of a row are handed out in the order 0, 1, 2 ...; a slot is known once it was given to ``update`` or
    ``rebuild``. Nothing here is differentiated.
    """

    @property
    def rebuild_seconds(self) -> float:
        """Time spent so far on building from the contents."""
        ...

    def update(self, rows: Tensor, slots: Tensor, words: Tensor) -> None:
        """Take in the new contents of some slots.

        Args:
            rows: int64 [M], the batch row of each.
            slots: int64 [M]; a pair of row and slot occurs once.
            words: [M, W].
        """
        ...

    def search(self, queries: Tensor, k: int) -> Tensor:
        """The nearest slots of each query, the most similar first.

        Args:
            queries: [B, R, W].
            k: how many.

        Returns:
            int64 [B, R, k]; -1 where fewer are written or found.
        """
        ...

    def reset(self, rows: Tensor) -> None:
        """Forget all slots of some batch rows, int64 [M]."""
        ...

    def truncate(self, used: Tensor) -> None:
        """Forget the slots from ``used``, int64 [B], on, as undoing writes does; the contents there are stale."""
        ...

    def rebuild(self, words: Tensor, used: Tensor) -> None:
        """Start over from the contents.

        Args:
            words: [B, N, W].
            used: int64 [B], how many slots of each row are written.
        """
        ...
