"""Approximate search in inverted lists of int8 words, the best of them compared as they are; one for all batch rows.

Legend: B batch, N slots, W word size, R queries a row, M changed slots, U written slots, L lists, C candidates, k
neighbours.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lukasa.memory.kernels.sequence.threads import over_rows
from lukasa.memory.sparse.indexes.exact import Exact
from lukasa.memory.sparse.indexes.interface import Contents
from lukasa.memory.sparse.indexes.nearest import top_slots

EXACT_UP_TO = 16384  # as many words as a search of lists compares with
GROWTH = 4  # lists are made anew each time the rows have grown this many times
OVERWRITES = 8  # ... and, as the contents drift, each time every row was changed this often on average
ROWS_PER_LIST = 256  # when grown; a quarter of it when just made
SCANNED_CENTRES = 1024  # up to so many, comparing with all costs no more than lists of centres, and misses none
ROWS_AT_ONCE = 1 << 18  # bounds the copies made while building
CANDIDATES = 8  # beside four for each neighbour asked for: int8 words order all but near ties rightly
WORTH_THREADS = 1 << 14  # fewer words are compared before another thread has woken up
LARGEST_WORD = 4096  # beyond, the numbers of a word of length 1 are too small for int8

compiling: Any = None
filing: Any = None
kernels: Any = None
searching: Any = None


class PackedLists:
    """Compares with all words of a batch row while they are few; beyond, looks into the lists nearest to the query.

    While they are few what is found is exact, as int8 words say which others cannot be among the nearest. Rows that
    compiled code cannot read, halves and those on another device, are scanned by PyTorch until then.

    Batch rows are shared among as many threads as ``torch.get_num_threads()`` says. What is found is the same for any
    number of threads or of rows.

    Args:
        contents: the rows that the index points into.
        exact_up_to: written slots of a batch row up to which search is exact.
        probes: lists looked into for each query.

    Raises:
        ImportError: Numba is not installed.
        ValueError: the words are too large.
    """

    def __init__(self, contents: Contents, *, exact_up_to: int = EXACT_UP_TO, probes: int = 64):
        import_kernels()
        if contents.word_size > LARGEST_WORD:
            raise ValueError(
                f"index 'lists' holds words of up to {LARGEST_WORD:,} numbers and this memory has "
                f"{contents.word_size:,}: choose index 'faiss', 'exact' or 'lsh'"
            )
        self.contents, self.exact_up_to, self.probes = contents, exact_up_to, probes
        self.rebuild_seconds = 0.0
        self.used = np.zeros(contents.batch_size, np.int64)
        self.width = kernels.padded(contents.word_size)
        rounding = math.sqrt(contents.word_size) / 2
        self.scale = 32767 / (kernels.WORD_SCALE + rounding) - rounding - 1e-3  # products fit int16
        self.tables = self._make_tables(0)
        self.scanned: Exact | None = None  # of contents that compiled code cannot read

    @property
    def approximate(self) -> bool:
        """Whether a batch row has so many slots that search may miss the nearest."""
        counts = self.tables.counts
        return bool(((counts[:, kernels.LISTS] > 0) & (counts[:, kernels.EXACT] == 0)).any())

    def update(self, rows: Tensor, slots: Tensor, words: Tensor) -> None:
        """Take in the new contents of some slots; see ``Index``."""
        if not len(slots):
            return
        scanned = self._scanned()
        if scanned is not None:
            scanned.update(rows, slots, words)
        batch_rows, numbers = rows.cpu().numpy(), slots.cpu().numpy()
        np.maximum.at(self.used, batch_rows, numbers + 1)
        native = scanned is None
        if native or self.tables.counts[:, kernels.LISTS].any():
            self._make_room()
            flat = _floats(words).reshape(-1)
            fixed = self.tables, self.width, self.contents.word_size, self.scale, batch_rows, numbers, flat, native
            if len(numbers) > WORTH_THREADS >> 8:
                over_rows(
                    lambda low, high: self._call(filing.update, *fixed, low, high),
                    self.contents.batch_size,
                    self.contents.batch_size,
                )
            else:
                self._call(filing.update, *fixed, 0, self.contents.batch_size)
        self._make_lists(self._outgrown())

    def search(self, queries: Tensor, k: int) -> Tensor:
        """The nearest slots of each query, ties to the lowest slot; see ``Index``."""
        rows, scanned = self.contents.rows(), self._scanned()
        kept = kernels.whole(4 * k + CANDIDATES, kernels.KEYS)
        queries = queries.detach()
        if scanned is not None:
            return self._search_copies(scanned, rows, queries, k, kept)
        own = np.ascontiguousarray(queries.to(rows.dtype).numpy())
        nearest = np.empty((*queries.shape[:2], k), np.int64)
        flat, capacity = rows.numpy().reshape(-1), rows.shape[1]
        fixed = (self.tables, self.width, self.scale, flat, capacity, own, self.used, kept, self.probes, nearest)
        if self.worth_threads:
            over_rows(lambda low, high: self._call(searching.search, *fixed, low, high), len(queries), len(queries))
        else:
            self._call(searching.search, *fixed, 0, len(queries))
        return torch.from_numpy(nearest)

    def reset(self, rows: Tensor) -> None:
        """Forget all slots of some batch rows; see ``Index``."""
        for b in rows.tolist():
            self._forget_lists(b)
            self.used[b] = 0
        if self.scanned is not None:
            self.scanned.reset(rows)

    def truncate(self, used: Tensor) -> None:
        """Forget the slots from ``used`` on; see ``Index``."""
        for b, count in enumerate(used.tolist()):
            if count < self.used[b]:
                if self.tables.counts[b, kernels.LISTS]:
                    self._call(filing.forget, self.tables, b, self.width, count, int(self.used[b]))
                self.used[b] = count
        if self.scanned is not None:
            self.scanned.truncate(used)

    def rebuild(self, words: Tensor, used: Tensor) -> None:
        """Start over from the contents; see ``Index``."""
        started = time.perf_counter()
        for b in range(self.contents.batch_size):
            self._forget_lists(b)
        self.used = used.cpu().numpy().astype(np.int64)
        scanned = self._scanned()
        if scanned is not None:
            scanned.rebuild(words, used)
        self.rebuild_seconds += time.perf_counter() - started
        least = self.exact_up_to if scanned is not None else 0
        self._make_lists(np.flatnonzero(self.used > least).tolist())

    def begin_step(self, k: int) -> tuple[Any, ...]:
        """What compiled code that updates and searches needs: tables, padded W, scale, candidates for k, probes."""
        self._make_room()
        return self.tables, self.width, self.scale, kernels.whole(4 * k + CANDIDATES, kernels.KEYS), self.probes

    def outgrows_at(self) -> tuple[int, int, int]:
        """When a row needs lists, or new ones: slots that are written, growth, and changes of each slot."""
        return self.exact_up_to, GROWTH, OVERWRITES

    def end_step(self) -> None:
        """Note that compiled code changed ``tables`` and ``used``."""
        self._make_lists(self._outgrown())

    def renew(self, b: int) -> None:
        """Give a batch row new lists: compiled code found that it has outgrown those that it has."""
        started = time.perf_counter()
        self._forget_lists(b)
        self._fill(b, self.contents.rows()[b])
        self.rebuild_seconds += time.perf_counter() - started

    @property
    def worth_threads(self) -> bool:
        """Whether a search compares with so many words that several threads pay."""
        return int(self.tables.counts[:, kernels.FILED].sum()) > WORTH_THREADS

    def _search_copies(self, scanned: Exact, rows: Tensor, queries: Tensor, k: int, kept: int) -> Tensor:
        """As ``search``, where rows are halves or on another device: what the lists find is compared by PyTorch."""
        listed = np.flatnonzero(self.tables.counts[:, kernels.LISTS])
        if not len(listed):
            return scanned.search(queries, k)
        own = np.ascontiguousarray(queries.float().cpu().numpy())
        found = np.full((*queries.shape[:2], kept), -1)
        fixed = self.tables, self.width, self.contents.word_size, self.scale, own, self.used, k, self.probes, found
        over_rows(lambda low, high: self._call(searching.search_lists, *fixed, low, high), len(queries), len(queries))
        slots = torch.from_numpy(found).to(queries.device).sort(-1).values  # ascending, so that ties go to the lowest
        batch = torch.arange(len(queries), device=queries.device).view(-1, 1, 1)
        words = rows[batch, slots.clamp_min(0)].to(queries.dtype)  # [B, R, C, W]
        tiny = torch.finfo(queries.dtype).tiny
        lengths = torch.linalg.vector_norm(words, dim=-1).clamp_min_(tiny)
        scores = (torch.einsum("brcw,brw->brc", words, queries) / lengths).masked_fill_(slots < 0, -torch.inf)
        best = top_slots(scores, k)[1]
        nearest = slots.gather(-1, best.clamp_min(0)).masked_fill_(best < 0, -1)
        scanning = np.flatnonzero(self.tables.counts[:, kernels.LISTS] == 0)
        if len(scanning):
            some = torch.from_numpy(scanning).to(queries.device)
            nearest[some] = scanned.search_rows(some, queries[some], k)
        return nearest

    def _scanned(self) -> Exact | None:
        """What scans rows that compiled code cannot read: halves, and those on another device."""
        rows = self.contents.rows()
        if rows.device.type == "cpu" and rows.dtype in (torch.float32, torch.float64):
            return None
        if self.scanned is None:
            self.scanned = Exact(self.contents)
        return self.scanned

    def _outgrown(self) -> list[int]:
        """The batch rows that need lists, or new ones."""
        counts, used = self.tables.counts, self.used
        listed = (counts[:, kernels.LISTS] > 0) & (counts[:, kernels.EXACT] == 0)
        if not listed.any() and not (used > self.exact_up_to).any():
            return []
        capacity = self.contents.rows().shape[1]
        expected = np.maximum(used, np.minimum(GROWTH * used, capacity))
        grown = (counts[:, kernels.EXPECTED] < expected) & (used >= GROWTH * counts[:, kernels.MADE_FROM])
        worn = counts[:, kernels.CHANGES] > OVERWRITES * used
        return np.flatnonzero(np.where(listed, grown | worn, used > self.exact_up_to)).tolist()

    def _make_lists(self, batch_rows: list[int]) -> None:
        if not batch_rows:
            return
        started = time.perf_counter()
        self._make_room()
        words = self.contents.rows()
        for b in batch_rows:
            self._forget_lists(b)

        def fill(low: int, high: int) -> None:
            for b in batch_rows[low:high]:
                self._fill(b, words[b])

        over_rows(fill, len(batch_rows), 1)
        self.rebuild_seconds += time.perf_counter() - started

    def _fill(self, b: int, words: Tensor) -> None:
        """File all words [N, W] of a batch row."""
        used, sizes = int(self.used[b]), (self.width, self.contents.word_size, self.scale)
        if used <= self.exact_up_to:
            self._call(filing.begin, self.tables, b)
        else:
            self._choose_centres(b, words)
        for first in range(0, used, ROWS_AT_ONCE):
            part = _floats(words[first : min(first + ROWS_AT_ONCE, used)])
            self._call(filing.file_all, self.tables, b, *sizes, first, part.reshape(-1))

    def _choose_centres(self, b: int, words: Tensor) -> None:
        """Take the centres of a batch row from its words [N, W], at even distances in the order of writing."""
        used = int(self.used[b])
        expected = max(used, min(GROWTH * used, len(words)))
        wanted = max(1, min(used, expected // ROWS_PER_LIST))
        picked = torch.linspace(0, used - 1, wanted, device=words.device).long()
        sizes = self.width, self.contents.word_size, self.scale
        centres = _floats(words[picked])
        centres = centres[np.sort(np.unique(centres, axis=0, return_index=True)[1])]
        self._call(filing.set_centres, self.tables, b, *sizes, centres, SCANNED_CENTRES)
        counts = self.tables.counts[b]
        counts[kernels.MADE_FROM], counts[kernels.EXPECTED] = used, expected

    def _call(self, function: Any, *arguments: Any) -> None:
        compiling.call(function, (self.contents.rows().dtype, self.tables.places.dtype), *arguments)

    def _forget_lists(self, b: int) -> None:
        if self.tables.counts[b, kernels.LISTS]:
            self.tables.places[b, : self.used[b]] = 0
            self.tables.counts[b] = 0

    def _make_room(self) -> None:
        """Have tables for all slots that the contents have room for."""
        capacity = self.contents.rows().shape[1]
        if self.tables.places.shape[1] < capacity:
            before, self.tables = self.tables, self._make_tables(capacity)
            for b in np.flatnonzero(before.counts[:, kernels.LISTS]).tolist():
                _copy_row(before, self.tables, b)

    def _make_tables(self, capacity: int) -> Any:
        """Empty tables; NumPy's zeros take no memory before they are written."""
        batch, block = self.contents.batch_size, self.width * kernels.LANES
        lists = max(1, capacity // ROWS_PER_LIST) if capacity else 0
        upper = 2 * math.isqrt(lists) + 2
        blocks, centre_blocks = -(-capacity // kernels.LANES) + lists, -(-lists // kernels.LANES) + upper
        upper_blocks = -(-upper // kernels.LANES)
        wide = np.int32 if blocks * kernels.LANES < 2**31 else np.int64
        return kernels.Tables(
            words=np.zeros(batch * blocks * block, np.int8),
            slots=np.zeros(batch * blocks * kernels.LANES, np.int32),
            owners=np.zeros((batch, blocks), np.int32),
            before=np.zeros((batch, blocks), np.int32),
            freed=np.zeros((batch, blocks), np.int32),
            places=np.zeros((batch, capacity), wide),
            heads=np.zeros((batch, lists), np.int32),
            lengths=np.zeros((batch, lists), np.int64),
            centres=np.zeros(batch * centre_blocks * block, np.int8),
            names=np.zeros(batch * centre_blocks * kernels.LANES, np.int32),
            upper=np.zeros(batch * upper_blocks * block, np.int8),
            firsts=np.zeros((batch, upper + 1), np.int32),
            counts=np.zeros((batch, kernels.COUNTS), np.int64),
        )


def available() -> bool:
    """Whether Numba is installed."""
    with contextlib.suppress(ImportError):
        import_kernels()
        return True
    return False


def import_kernels() -> None:
    """Load what is compiled when it is first needed.

    Raises:
        ImportError: Numba is not installed.
    """
    global compiling, filing, kernels, searching
    try:
        importlib.import_module("numba")
        from lukasa.memory.sparse.indexes import compiling, list_filing, list_kernels, list_searching
    except ImportError as error:
        raise ImportError(
            "index 'lists' needs the package numba, which is not installed: install the extra with "
            "pip install '.[cpu]', or choose index 'faiss', 'exact' or 'lsh'"
        ) from error
    filing, kernels, searching = list_filing, list_kernels, list_searching


def _copy_row(source: Any, into: Any, b: int) -> None:
    """Carry the lists of a batch row over to larger tables."""
    batch = len(source.counts)
    for old, new in zip(source, into, strict=True):
        old, new = old.reshape(batch, -1) if old.ndim == 1 else old, new.reshape(batch, -1) if new.ndim == 1 else new
        new[b, : old.shape[1]] = old[b]


def _floats(words: Tensor) -> np.ndarray:
    """Words as float32, or float64 where they are."""
    words = words.detach().cpu()
    return words.to(torch.promote_types(words.dtype, torch.float32)).contiguous().numpy()
