"""Approximate search by locality-sensitive hashing, in PyTorch alone: nothing leaves the memory's device.

Legend: B batch, N slots, W word size, R queries a row, M changed slots, T tables, H bits of a hash, S places of a
bucket, P probes, C candidates of a query, k neighbours.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from lukasa.memory.sparse.indexes.interface import Contents
from lukasa.memory.sparse.indexes.nearest import top_slots
from lukasa.memory.sparse.usage import lazy_zeros

FULLNESS = 8  # slots a bucket holds on average when all N are written and hashes are even
FLIPPED = 3  # bits nearest to their hyperplane, of which every combination is probed: P = 8
ROWS_AT_ONCE = 1 << 16  # bounds the copies made while building
SEED = 161009027


class Hashing:
    """Random hyperplanes (Charikar 2002): words at a small angle share most of the signs of their projections.

    Each table files a slot under the signs of its word, in a bucket that is a ring: the oldest entry makes room. What
    is found is compared by its contents of now, so that entries of words that have changed since do no harm.

    Args:
        contents: the rows that the index points into.
        tables: number of hash tables (T); more find more and cost more.
        bucket: slots that one bucket holds (S).
    """

    def __init__(self, contents: Contents, *, tables: int = 8, bucket: int = 64):
        self.contents, self.tables, self.bucket = contents, tables, bucket
        self.bits = max(4, math.ceil(math.log2(max(contents.slots, 1) / FULLNESS)))
        self.rebuild_seconds = 0.0
        self._forget()
        device = contents.device
        generator = torch.Generator().manual_seed(SEED)  # the same hyperplanes on every device
        planes = torch.randn(tables * self.bits, contents.word_size, generator=generator)
        self.planes = planes.to(device)
        self.powers = 2 ** torch.arange(self.bits, device=device)
        self.subsets = torch.cartesian_prod(*[torch.arange(2, device=device)] * FLIPPED)  # [P, 3], 1 where flipped

    def update(self, rows: Tensor, slots: Tensor, words: Tensor) -> None:
        """Take in the new contents of some slots; see ``Index``."""
        if not len(slots):
            return
        self.used.scatter_reduce_(0, rows, slots + 1, "amax")
        buckets = self._buckets(rows, self._codes(self._projections(words))).squeeze(2)  # [M, T]
        entries = (slots + 1).to(torch.int32).unsqueeze(1).expand_as(buckets)
        # A slot that is changed at every step must not fill its bucket with copies of itself.
        filed = (self.entries[buckets] == entries.unsqueeze(2)).any(2)
        self._file(buckets.masked_fill(filed, self.nowhere).flatten(), entries.flatten())

    def search(self, queries: Tensor, k: int) -> Tensor:
        """The nearest slots of each query among those in the probed buckets; see ``Index``."""
        if not self.contents.rows().shape[1]:
            return torch.full((*queries.shape[:2], k), -1, device=queries.device)
        queries = queries.detach()
        rows = torch.arange(len(queries), device=queries.device).view(-1, 1).expand(queries.shape[:2])
        buckets = self._buckets(rows, self._probed_codes(self._projections(queries)))
        # Sorted, the copies of a slot lie side by side, and ties go to the lowest one.
        slots = self.entries[buckets].flatten(2).sort(-1).values.long() - 1  # [B, R, C]
        repeated = torch.zeros_like(slots, dtype=torch.bool)
        repeated[..., 1:] = slots[..., 1:] == slots[..., :-1]
        slots = slots.masked_fill(repeated | (slots >= self.used.view(-1, 1, 1)), -1)
        scores, places = top_slots(self._similarities(slots, queries), k)
        return slots.gather(-1, places.clamp_min(0)).masked_fill(scores == -torch.inf, -1)

    def reset(self, rows: Tensor) -> None:
        """Forget all slots of some batch rows; see ``Index``. Their entries stay, and are passed over."""
        self.used[rows] = 0

    def truncate(self, used: Tensor) -> None:
        """Forget the slots from ``used`` on; see ``Index``."""
        self.used = torch.minimum(self.used, used)

    def rebuild(self, words: Tensor, used: Tensor) -> None:
        """Start over from the contents; see ``Index``."""
        started = time.perf_counter()
        self._forget()
        for b, count in enumerate(used.tolist()):
            for first in range(0, count, ROWS_AT_ONCE):
                slots = torch.arange(first, min(first + ROWS_AT_ONCE, count), device=words.device)
                self.update(torch.full_like(slots, b), slots, words[b, slots[0] : slots[-1] + 1])
        self.rebuild_seconds += time.perf_counter() - started

    def _forget(self) -> None:
        self.nowhere = (self.contents.batch_size * self.tables) << self.bits  # a bucket more, that is never looked into
        device = self.contents.device
        self.used = torch.zeros(self.contents.batch_size, dtype=torch.int64, device=device)
        # Slot + 1, so that empty is zero and untouched buckets take no memory on the CPU.
        self.entries = lazy_zeros((self.nowhere + 1, self.bucket), torch.int32, device)
        self.filings = lazy_zeros((self.nowhere + 1,), torch.int64, device)  # so far, overwritten ones too

    def _projections(self, words: Tensor) -> Tensor:
        """Distances from the hyperplanes, [..., T, H], of words [..., W]."""
        return (words.to(self.planes.dtype) @ self.planes.T).unflatten(-1, (self.tables, self.bits))

    def _codes(self, projections: Tensor) -> Tensor:
        """Which sides of the hyperplanes, as numbers [..., T, 1]."""
        return ((projections > 0) * self.powers).sum(-1, keepdim=True)

    def _probed_codes(self, projections: Tensor) -> Tensor:
        """The code and its likeliest neighbours, [..., T, P]: those across the nearest hyperplanes."""
        nearest = projections.abs().topk(self.subsets.shape[1], largest=False).indices
        return self._codes(projections) ^ (self.powers[nearest].unsqueeze(-2) * self.subsets).sum(-1)

    def _buckets(self, rows: Tensor, codes: Tensor) -> Tensor:
        """Places in ``entries``, [..., T, P], of the codes [..., T, P] of batch rows [...]."""
        tables = torch.arange(self.tables, device=rows.device).view(-1, 1)
        return ((rows.view(*rows.shape, 1, 1) * self.tables + tables) << self.bits) + codes

    def _file(self, buckets: Tensor, entries: Tensor) -> None:
        """Append entries [M] to the rings of their buckets, [M], in this order."""
        buckets, order = buckets.sort(stable=True)
        first, end = torch.searchsorted(buckets, buckets), torch.searchsorted(buckets, buckets, right=True)
        turn = torch.arange(len(buckets), device=buckets.device)
        places = (self.filings[buckets] + turn - first) % self.bucket
        self.filings.index_add_(0, buckets, torch.ones_like(buckets))
        overtaken = end - turn > self.bucket  # by a later entry of this very call, at the same place
        self.entries[buckets.masked_fill(overtaken, self.nowhere), places] = entries[order]

    def _similarities(self, slots: Tensor, queries: Tensor) -> Tensor:
        """Of the words at slots [B, R, C] as they are now, times the query's length; -inf for slot -1."""
        rows = self.contents.rows()
        batch = torch.arange(len(rows), device=rows.device).view(-1, 1, 1)
        places = slots.clamp_min(0) + batch * rows.shape[1]
        words = rows.flatten(0, 1).index_select(0, places.flatten()).view(*slots.shape, -1)  # [B, R, C, W]
        words = words.to(torch.promote_types(words.dtype, torch.float32))
        smallest = torch.finfo(words.dtype).tiny  # lets a zero word score 0 and not NaN
        lengths = torch.linalg.vector_norm(words, dim=-1).clamp_min(smallest)
        scores = (words @ queries.to(words.dtype).unsqueeze(-1)).squeeze(-1) / lengths
        return scores.masked_fill(slots < 0, -torch.inf)
