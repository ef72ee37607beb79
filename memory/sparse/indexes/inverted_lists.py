"""Approximate search with FAISS inverted lists, one index for each batch row, changed in place.

Legend: B batch, N slots, W word size, R queries a row, M changed slots, U written slots, L lists, k neighbours.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa.memory.sparse.indexes.exact import Exact
from lukasa.memory.sparse.indexes.interface import Contents

EXACT_UP_TO = 8192  # where scanning and inverted lists take as long; docs/indexes.md has the measurement
GROWTH = 4  # lists are made anew each time the rows have grown this many times
OVERWRITES = 8  # ... and, as the contents drift, each time every row was changed this often on average
ROWS_PER_LIST = 256  # when grown; a quarter of it when just made
SCANNED_CENTRES = 1024  # up to so many, comparing with all costs no more than lists of centres, and misses none
UPPER_PROBES = 16  # lists of centres looked into for the nearest centres, where there are more
ROWS_AT_ONCE = 1 << 18  # bounds the copies made while building
CROWDING = 4  # a search gives up after this many times the rows that lists of average length would show it

faiss: Any = None


class InvertedLists:
    """Scans batch rows with few written slots; beyond, looks into the inverted lists nearest to the query.

    Words and queries stay where they are while a batch row is scanned; its inverted lists live in host memory, for a
    GPU's too: FAISS has no in-place updates there.

    Args:
        contents: the rows that the index points into.
        exact_up_to: written slots of a batch row up to which it is scanned.
        probes: lists looked into for each query.

    Raises:
        ImportError: FAISS is not installed.
    """

    def __init__(self, contents: Contents, *, exact_up_to: int = EXACT_UP_TO, probes: int = 16):
        import_faiss()
        self.contents, self.exact_up_to, self.probes = contents, exact_up_to, probes
        self.rebuild_seconds = 0.0
        self.scanned = Exact(contents)
        self.lists: list[Lists | None] = [None] * contents.batch_size
        workers = min(contents.batch_size, _cores())
        self.pool = ThreadPoolExecutor(workers, "faiss", lambda: faiss.omp_set_num_threads(1)) if workers > 1 else None

    def update(self, rows: Tensor, slots: Tensor, words: Tensor) -> None:
        """Take in the new contents of some slots; see ``Index``."""
        if any(lists is None for lists in self.lists):
            self.scanned.update(rows, slots, words)
        else:
            self.scanned.note_written(rows, slots)
        used = self.scanned.used.tolist()
        if any(lists is not None for lists in self.lists):
            self._update_lists(rows, slots, words)
        outgrown = [b for b, lists in enumerate(self.lists) if self._needs_lists(lists, used[b])]
        if outgrown:
            self._make_lists(outgrown, used)

    def search(self, queries: Tensor, k: int) -> Tensor:
        """The nearest slots of each query; see ``Index``."""
        scanned = [b for b, lists in enumerate(self.lists) if lists is None]
        if len(scanned) == len(queries):
            return self.scanned.search(queries, k)
        found = np.empty((*queries.shape[:2], k), dtype=np.int64)
        if scanned:
            some = torch.tensor(scanned, device=queries.device)
            found[scanned] = self.scanned.search_rows(some, queries[some], k).cpu().numpy()
        used, vectors = self.scanned.used.tolist(), _unit_vectors(queries)

        def look(b: int, lists: Lists) -> None:
            found[b] = lists.search(vectors[b], k, used[b], self.probes)

        self._for_each_row(look)
        return torch.from_numpy(found).to(queries.device)

    def reset(self, rows: Tensor) -> None:
        """Forget all slots of some batch rows; see ``Index``."""
        self.scanned.reset(rows)
        for b in rows.tolist():
            self.lists[b] = None

    def truncate(self, used: Tensor) -> None:
        """Forget the slots from ``used`` on; see ``Index``. The lists keep them, unseen, until they are written."""
        self.scanned.truncate(used)

    def rebuild(self, words: Tensor, used: Tensor) -> None:
        """Start over from the contents; see ``Index``."""
        before = self.scanned.rebuild_seconds
        self.scanned.rebuild(words, used)
        self.rebuild_seconds += self.scanned.rebuild_seconds - before
        self.lists = [None] * self.contents.batch_size
        self._make_lists([b for b, count in enumerate(used.tolist()) if count > self.exact_up_to], used.tolist())

    def _update_lists(self, rows: Tensor, slots: Tensor, words: Tensor) -> None:
        order = np.lexsort((slots.cpu().numpy(), rows.cpu().numpy()))
        batch_rows, numbers = rows.cpu().numpy()[order], slots.cpu().numpy()[order]
        vectors = _unit_vectors(words)[order]
        first = np.searchsorted(batch_rows, np.arange(len(self.lists) + 1))

        def update(b: int, lists: Lists) -> None:
            mine = slice(first[b], first[b + 1])
            lists.update(numbers[mine], vectors[mine])

        self._for_each_row(update)

    def _needs_lists(self, lists: Lists | None, used: int) -> bool:
        if lists is None:
            return used > self.exact_up_to
        may_grow = lists.expected < self._expected(used)
        return (may_grow and used >= GROWTH * lists.made_from) or lists.changes > OVERWRITES * used

    def _expected(self, used: int) -> int:
        """How many rows to make lists for."""
        return max(used, min(GROWTH * used, self.contents.rows().shape[1]))

    def _make_lists(self, batch_rows: list[int], used: list[int]) -> None:
        started = time.perf_counter()
        words = self.contents.rows()
        for b in batch_rows:
            self.lists[b] = None  # first, so that two do not stand side by side in memory
            self.lists[b] = Lists(words[b, : used[b]], self._expected(used[b]))
        self.rebuild_seconds += time.perf_counter() - started

    def _for_each_row(self, work: Callable[[int, Lists], None]) -> None:
        """Do some work for every batch row that has lists, on all cores: FAISS lets other threads run meanwhile."""
        jobs = [(b, lists) for b, lists in enumerate(self.lists) if lists is not None]
        if self.pool is None or len(jobs) == 1:
            for job in jobs:
                work(*job)
        else:
            list(self.pool.map(lambda job: work(*job), jobs))


class Lists:
    """The inverted lists of one batch row.

    The centre of each list is one of the rows, taken at even distances in the order of writing: nothing needs training,
    and centres are as dense as the rows. Many centres have lists of their own, so that neither an update nor a search
    compares with all L.

    Args:
        words: [U, W], what is written.
        expected: how many rows there will be before lists are made anew.
    """

    def __init__(self, words: Tensor, expected: int):
        self.expected, self.made_from, self.changes, self.filed = expected, len(words), 0, len(words)
        self.asked: tuple[int, int, int | None] | None = None
        self.parameters: Any = None
        wanted = max(1, min(len(words), expected // ROWS_PER_LIST))
        picked = torch.linspace(0, len(words) - 1, wanted, device=words.device).long()
        centres = np.unique(_unit_vectors(words[picked]), axis=0)
        self.centres = Scanned(centres) if len(centres) <= SCANNED_CENTRES else Filed(centres)
        self.count = len(centres)
        self.index = _inverted(self.centres.index, self.count)
        for first in range(0, len(words), ROWS_AT_ONCE):
            self.index.add(_unit_vectors(words[first : first + ROWS_AT_ONCE]))
        self.index.set_direct_map_type(faiss.DirectMap.Array)

    def update(self, slots: np.ndarray, vectors: np.ndarray) -> None:
        """File some words of unit length, float32 [M, W], under their ascending slots, int64 [M]."""
        self.changes += len(slots)
        known = int(np.searchsorted(slots, self.filed))
        if known:
            self.index.update_vectors(slots[:known], vectors[:known])
        if known < len(slots):
            assert slots[known] == self.filed, "slots are handed out in order"
            self.index.add(vectors[known:])
            self.filed += len(slots) - known

    def search(self, queries: np.ndarray, k: int, used: int, probes: int) -> np.ndarray:
        """The nearest slots below ``used``, int64 [R, k], of queries of unit length, float32 [R, W]."""
        found = self._probe(queries, k, used, probes)
        wanted = min(k, used)
        while wanted and (found[:, wanted - 1] < 0).any() and probes < self.count:
            probes = min(8 * probes, self.count)
            found = self._probe(queries, k, used, probes)
        return found

    def _probe(self, queries: np.ndarray, k: int, used: int, probes: int) -> np.ndarray:
        average = max(1, self.filed // self.count)
        key = (probes, CROWDING * probes * average + k, None if used == self.filed else used)
        if key != self.asked:  # making parameters takes as long as a search
            self.asked, self.parameters = key, self._search_parameters(*key)
        return self.index.search(queries, k, params=self.parameters)[1]

    def _search_parameters(self, probes: int, most_codes: int, used: int | None) -> Any:
        """What a search may look at: lists, rows of them, and slots below ``used`` where not all are."""
        options: dict[str, Any] = {"nprobe": probes, "max_codes": most_codes}
        options["quantizer_params"] = self.centres.search_parameters(probes)
        if used is not None:
            options["sel"] = faiss.IDSelectorRange(0, used)
        return faiss.SearchParametersIVF(**options)


class Scanned:
    """Centres, float32 [L, W], of which the nearest are found by comparing with all."""

    def __init__(self, centres: np.ndarray):
        self.index = faiss.IndexFlatIP(centres.shape[1])
        self.index.add(centres)

    def search_parameters(self, probes: int) -> None:
        """Nothing to say."""


class Filed:
    """Centres, float32 [L, W], of which the nearest are found through lists of their own."""

    def __init__(self, centres: np.ndarray):
        centres = np.random.default_rng(0).permutation(centres)
        # Each upper list holds its own centre, so that none is empty: FAISS can file no row through an empty one.
        upper = np.ascontiguousarray(centres[: math.ceil(2 * math.sqrt(len(centres)))])
        self.upper = Scanned(upper)
        self.index = _inverted(self.upper.index, len(upper))
        self.index.add(centres)
        self.index.nprobe = UPPER_PROBES

    def search_parameters(self, probes: int) -> Any:
        """How to find that many centres."""
        return faiss.SearchParametersIVF(nprobe=max(UPPER_PROBES, probes))


def import_faiss() -> None:
    """Load FAISS when it is first needed.

    Raises:
        ImportError: it is not installed.
    """
    global faiss
    try:
        import faiss as installed
    except ImportError as error:
        raise ImportError(
            "index 'faiss' needs the package faiss, which is not installed: install the extra with "
            "pip install '.[cpu]', or choose index 'exact' or 'lsh'"
        ) from error
    faiss = installed


def _inverted(centres: Any, count: int) -> Any:
    index = faiss.IndexIVFFlat(centres, centres.d, count, faiss.METRIC_INNER_PRODUCT)
    index.is_trained = True  # the centres are given
    return index


def _unit_vectors(words: Tensor) -> np.ndarray:
    """Words [..., W] at length one, float32; zero stays zero."""
    return F.normalize(words.detach().to(torch.float32), dim=-1, eps=torch.finfo(torch.float32).tiny).cpu().numpy()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
