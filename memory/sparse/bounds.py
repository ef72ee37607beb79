"""Which numbers a sparse memory holds: finite ones, whose squared length fits float32 and whose size fits the rows.

A NaN that was written would win every search, or end the process inside of FAISS; a word whose length overflows is
found by no query.

Legend: B batch, S slots of one operation, U distinct ones, W word size, R queries a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from lukasa.memory.sparse.layout import Layout


class UnstorableError(ValueError):
    """A word or a query is NaN, infinite or too large; nothing was changed."""


class Bounds:
    """What the size of every number in a store is known not to exceed.

    A write raises the bound by what it can add at most. Only when that comes near to the limit are the touched rows
    looked at, so that a check costs one pass over the words that are written.

    Args:
        layout: of the store.
    """

    def __init__(self, layout: Layout):
        finfo = torch.finfo
        self.query_limit = math.sqrt(finfo(torch.float32).max / layout.word_size) / 2
        self.limit = min(self.query_limit, finfo(layout.stored).max)
        self.peak = 0.0

    def admit(
        self, slots: Tensor, keep: Tensor, words: Tensor, used: Tensor, gather: Callable[[Tensor], Tensor]
    ) -> None:
        """Refuse a write before it is made.

        Args:
            slots: int64 [B, S]; -1 is nothing.
            keep: bool [B, S].
            words: [B, S, W], added to what is kept.
            used: int64 [B], how many slots of each row are written.
            gather: gives the rows [B, S, W] of slots.

        Raises:
            UnstorableError: a slot would hold what cannot be stored.
        """
        peak = self.peak + slots.shape[1] * _largest(words)
        if not peak <= self.limit:  # true of NaN too
            peak = max(self.peak, self._look(slots, keep, words, gather(slots.masked_fill(slots >= used[:, None], -1))))
        self.peak = peak

    def admit_rows(self, rows: Tensor, used: Tensor) -> None:
        """Refuse contents that are taken over whole: rows [B, U, W], of which the first ``used`` of each are written.

        Raises:
            UnstorableError: a slot would hold what cannot be stored.
        """
        sizes = torch.linalg.vector_norm(rows, torch.inf, dim=-1).float()  # [B, U]
        sizes = sizes.masked_fill(torch.arange(rows.shape[1], device=used.device) >= used.unsqueeze(1), 0)
        self._refuse(sizes, lambda row, slot: (row, slot), lambda row, slot: rows[row, slot])
        self.peak = max(self.peak, float(sizes.max()) if sizes.numel() else 0.0)

    def admit_queries(self, queries: Tensor) -> None:
        """Refuse queries [B, R, W] that are similar to nothing.

        Raises:
            UnstorableError: a query is NaN, infinite or too large.
        """
        if _largest(queries) <= self.query_limit:
            return
        sizes = torch.linalg.vector_norm(queries, torch.inf, dim=-1)
        row, query = (~(sizes <= self.query_limit)).nonzero()[0].tolist()
        raise UnstorableError(
            f"query {query} of row {row} holds {_worst(queries[row, query])}: expected finite numbers of at most "
            f"{self.query_limit:.1e}; look for NaN in the inputs and parameters"
        )

    def _look(self, slots: Tensor, keep: Tensor, words: Tensor, rows: Tensor) -> float:
        """The largest number that the touched rows will hold.

        Raises:
            UnstorableError: it cannot be stored.
        """
        batch, slot = (slots >= 0).nonzero(as_tuple=True)
        if not len(batch):
            return 0.0
        pairs, ids = torch.stack([batch, slots[batch, slot]], 1).unique(dim=0, return_inverse=True)
        erased = torch.zeros(len(pairs), dtype=torch.bool, device=slots.device)
        erased = erased.index_fill(0, ids[~keep[batch, slot]], True)
        after = rows.new_zeros(len(pairs), rows.shape[2]).index_copy(0, ids, rows[batch, slot])
        after = after.masked_fill(erased.unsqueeze(1), 0).index_add(0, ids, words[batch, slot].to(rows.dtype))
        sizes = torch.linalg.vector_norm(after, torch.inf, dim=-1)
        self._refuse(sizes, lambda place: tuple(pairs[place].tolist()), lambda place: after[place])
        return float(sizes.max())

    def _refuse(self, sizes: Tensor, name: Callable[..., tuple[int, int]], content: Callable[..., Tensor]) -> None:
        bad = (~(sizes <= self.limit)).nonzero()
        if len(bad):
            row, slot = name(*bad[0].tolist())
            raise UnstorableError(
                f"row {row}, slot {slot} would hold {_worst(content(*bad[0].tolist()))}: a sparse memory holds finite "
                f"numbers of at most {self.limit:.1e}; look for NaN in the inputs and parameters; nothing was written"
            )


def _largest(numbers: Tensor) -> float:
    """The largest size among some numbers; NaN if one is."""
    return float(torch.linalg.vector_norm(numbers.detach(), torch.inf)) if numbers.numel() else 0.0


def _worst(word: Tensor) -> str:
    """The number of a word that is not finite, or the largest one."""
    odd = word[~word.isfinite()]
    return f"{float(odd[0] if len(odd) else word[word.abs().argmax()]):.3g}"
