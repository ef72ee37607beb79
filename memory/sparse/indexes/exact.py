"""The index that is always right: it compares a query with every written slot.

Legend: B batch, N slots, W word size, R queries a row, M changed slots, U slots scanned at once, k neighbours.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

from lukasa.memory.sparse.indexes.interface import Contents
from lukasa.memory.sparse.indexes.nearest import top_slots
from lukasa.memory.sparse.usage import lazy_zeros

SCANNED_AT_ONCE = 1 << 18  # bounds the scores held at a time: 1 MiB a query in float32


class Exact:
    """Scans the contents of the written slots, on their device and in their precision (float32 for halves).

    Beside the contents it holds one over the length of each word.
    """

    def __init__(self, contents: Contents):
        self.contents = contents
        self.rebuild_seconds = 0.0
        self.used = torch.zeros(contents.batch_size, dtype=torch.int64, device=contents.device)
        self.scales = torch.zeros(contents.batch_size, 0, device=contents.device)
        self._outdated = False

    def update(self, rows: Tensor, slots: Tensor, words: Tensor) -> None:
        """Take in the new contents of some slots; see ``Index``."""
        if not len(slots):
            return
        self._measure()
        self._make_room(words.dtype)
        self.note_written(rows, slots)
        self.scales[rows, slots] = _scales(words).to(self.scales.dtype)

    def note_written(self, rows: Tensor, slots: Tensor) -> None:
        """Count slots [M] of batch rows [M] as used, where others look after their contents."""
        self.used.scatter_reduce_(0, rows, slots + 1, "amax")

    def search(self, queries: Tensor, k: int) -> Tensor:
        """The nearest slots of each query, ties to the lowest slot; see ``Index``."""
        return self.scored(queries, k)[1]

    def scored(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """As ``search``, behind the scores [B, R, k]: a cosine times the query's length, -inf where there are fewer."""
        self._measure()
        return self._scan(self.contents.rows(), self.scales, self.used, queries.detach(), k)

    def search_rows(self, rows: Tensor, queries: Tensor, k: int) -> Tensor:
        """As ``search``, for some batch rows only.

        Args:
            rows: int64 [M], ascending.
            queries: [M, R, W].
            k: how many.

        Returns:
            int64 [M, R, k].
        """
        self._measure()
        words, scales, used = self.contents.rows(), self.scales, self.used
        if len(rows) < len(words):
            words, scales, used = words[rows], scales[rows], used[rows]
        return self._scan(words, scales, used, queries.detach(), k)[1]

    def reset(self, rows: Tensor) -> None:
        """Forget all slots of some batch rows; see ``Index``."""
        self.used[rows] = 0

    def truncate(self, used: Tensor) -> None:
        """Forget the slots from ``used`` on; see ``Index``."""
        self.used = torch.minimum(self.used, used)

    def rebuild(self, words: Tensor, used: Tensor) -> None:
        """Start over from the contents; see ``Index``."""
        started = time.perf_counter()
        self._outdated = False
        self.used = used.clone()
        self.scales = torch.zeros(len(words), 0, device=words.device)
        self._make_room(words.dtype)
        limit = int(used.max())
        for first in range(0, limit, SCANNED_AT_ONCE):
            part = words[:, first : min(first + SCANNED_AT_ONCE, limit)]
            self.scales[:, first : first + part.shape[1]] = _scales(part)
        self.rebuild_seconds += time.perf_counter() - started

    def outdate(self) -> None:
        """Note that compiled code changed contents and ``used``: lengths are measured anew when they are needed."""
        self._outdated = True

    def _measure(self) -> None:
        if self._outdated:
            self.rebuild(self.contents.rows(), self.used)

    def _scan(self, words: Tensor, scales: Tensor, used: Tensor, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        # A GPU's store grows by doubling, so that scanning all it has spares waiting for the highest of ``used``.
        most, fewest = min(words.shape[1], scales.shape[1]), 0
        if used.device.type == "cpu":
            counts = used.tolist()
            most, fewest = max(counts), min(counts)
        found = []
        for first in range(0, most, SCANNED_AT_ONCE):
            part = words[:, first : min(first + SCANNED_AT_ONCE, most)]
            count = part.shape[1]
            scores = queries.to(scales.dtype) @ part.to(scales.dtype).mT  # [B, R, U]
            scores *= scales[:, None, first : first + count]
            if fewest < first + count:
                unwritten = torch.arange(first, first + count, device=used.device) >= used.unsqueeze(1)
                scores.masked_fill_(unwritten.unsqueeze(1), -torch.inf)
            scores, slots = top_slots(scores, k)
            found.append((scores, torch.where(slots < 0, slots, slots + first) if first else slots))
        if not found:
            shape = (*queries.shape[:2], k)
            return scales.new_full(shape, -torch.inf), used.new_full(shape, -1)
        if len(found) == 1:
            return found[0]
        scores, slots = (torch.cat(parts, -1) for parts in zip(*found, strict=True))
        # Parts come in ascending order of slot, so that a stable sort keeps ties at the lowest one.
        best = scores.sort(dim=-1, descending=True, stable=True).indices[..., :k]
        return scores.gather(-1, best), slots.gather(-1, best)

    def _make_room(self, dtype: torch.dtype) -> None:
        slots = self.contents.rows().shape[1]
        if self.scales.shape[1] < slots:
            dtype = torch.promote_types(dtype, torch.float32)
            # Like the rows themselves, untouched zeros take no memory on the CPU.
            scales = lazy_zeros((self.contents.batch_size, slots), dtype, self.contents.device)
            known = min(int(self.used.max()), self.scales.shape[1])
            scales[:, :known] = self.scales[:, :known]
            self.scales = scales


def _scales(words: Tensor) -> Tensor:
    """One over each word's length; a zero word is similar to nothing: 0 times what is finite."""
    length = torch.linalg.vector_norm(words.to(torch.promote_types(words.dtype, torch.float32)), dim=-1)
    return length.clamp_min_(torch.finfo(length.dtype).tiny).reciprocal_()
