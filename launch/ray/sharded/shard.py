"""One shard: an ordinary store of its part of the slots, asked by messages.

Legend: B batch, M slots of one operation, R queries a row, K nearest, W word size.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa.launch.ray.sharded.routing import Array, Change, Found, Gather, Question
from lukasa.memory.sparse import persistence
from lukasa.memory.sparse.indexes.exact import Exact
from lukasa.memory.sparse.layout import Layout
from lukasa.memory.sparse.store import Store


class Shard:
    """A plain class; ``fleet`` makes Ray actors of it. The order in which slots were accessed is kept elsewhere."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.store: Store

    def open(self, layout: Layout, saved: Path | None) -> int:
        """Begin empty or from a saved state; the process's id.

        Raises:
            ValueError: this machine has not so much memory, or the file is none, cut short or altered.
            OSError: the file cannot be read.
        """
        if saved is None:
            self.store = Store(layout)
            return os.getpid()
        changes = {"index": layout.index, "index_options": layout.index_options, "slots": layout.slots}
        self.store = persistence.load(saved, **changes)
        # The file is removed after the next save, and a mapping of it need not survive that on network storage.
        self.store.rows = self.store.rows.clone()
        return os.getpid()

    def serve(self, changes: Sequence[Change], question: Question | None) -> Found | Array | None:
        """Make the changes, then answer."""
        for change in changes:
            change.apply(self.store)
        if question is None:
            return None
        if isinstance(question, Gather):
            return self.store.gather(torch.from_numpy(question.slots.copy())).numpy()
        return self._search(torch.from_numpy(question.queries.copy()), question.k)

    def save(self, path: Path) -> None:
        """Write the state to a file, all or nothing."""
        persistence.save(self.store, path)

    def _search(self, queries: Tensor, k: int) -> Found:
        index = self.store.index
        if isinstance(index, Exact):
            scores, slots = index.scored(queries, k)
            rows = self._rows(slots)
        else:
            slots = index.search(queries, k)
            rows = self._rows(slots)
            units = F.normalize(rows, dim=-1, eps=torch.finfo(rows.dtype).tiny)
            scores = torch.linalg.vecdot(units, queries.unsqueeze(2)).masked_fill_(slots < 0, -torch.inf)
        return Found(scores.numpy(), slots.numpy(), rows.numpy())

    def _rows(self, slots: Tensor) -> Tensor:
        """What slots [B, R, K] hold, [B, R, K, W]."""
        return self.store.gather(slots.flatten(1)).view(*slots.shape, -1)
