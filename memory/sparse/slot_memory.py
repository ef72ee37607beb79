"""What an access needs of a memory of slots: ``handle.SparseMemory`` is one.

Legend: B batch, N slots, W word size, S slots of one operation, R queries a row, K nearest.
"""

from __future__ import annotations

from typing import Protocol, Self

from torch import Tensor


class SlotMemory(Protocol):
    """A batch of memories as one version of them; what changes one returns the next version.

    The equations of an access in ``memory/kernels/sparse_access/reference.py`` ask no more. Kernels ask for a
    ``SparseMemory``, since they work on its rows.
    """

    @property
    def batch_size(self) -> int:
        """B."""
        ...

    @property
    def slots(self) -> int:
        """N."""
        ...

    @property
    def word_size(self) -> int:
        """W."""
        ...

    def least_recent(self, count: int) -> Tensor:
        """The slots to write next, those not accessed for longest first: int64 [B, count]."""
        ...

    def search(self, queries: Tensor, k: int) -> Tensor:
        """The written slots most similar to queries [B, R, W] by cosine: int64 [B, R, K], -1 where there are fewer."""
        ...

    def read(self, slots: Tensor) -> tuple[Tensor, Self]:
        """Copies of rows, [B, ..., W] for slots [B, ...], zeros for -1; and the memory to go on with."""
        ...

    def write(self, slots: Tensor, keep: Tensor, words: Tensor) -> Self:
        """The memory after erasing the slots [B, S] that are not kept, bool [B, S], and adding words [B, S, W]."""
        ...

    def access(self, slots: Tensor, weights: Tensor) -> Self:
        """The memory after marking slots [B, S] as accessed where their weights [B, S] are large enough."""
        ...
