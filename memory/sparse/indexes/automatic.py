"""The index that suits what is written: exact while that is cheap, then the fastest approximate one there is.

Legend: B batch, N slots, W word size, R queries a row, M changed slots, k neighbours.
"""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor

from lukasa.memory.sparse.indexes import inverted_lists, packed_lists
from lukasa.memory.sparse.indexes.exact import Exact
from lukasa.memory.sparse.indexes.hashing import Hashing
from lukasa.memory.sparse.indexes.interface import Contents, Index
from lukasa.memory.sparse.indexes.inverted_lists import InvertedLists
from lukasa.memory.sparse.indexes.packed_lists import PackedLists

EXACT_UP_TO_ON_GPU = 1 << 18  # scanning is what a GPU does best: 32 MiB of words at word size 32


class Automatic:
    """Exact search until a batch row has too many written slots; then an approximate one.

    On the CPU that is ``PackedLists``, which is exact by itself until then; FAISS where Numba is not installed; hashing
    where neither is, and on a GPU.

    Args:
        contents: the rows that the index points into.
        exact_up_to: written slots of a batch row up to which search is exact; 0 is what was measured to pay.
    """

    def __init__(self, contents: Contents, *, exact_up_to: int = 0):
        self.contents = contents
        self.spent = 0.0  # seconds, on what was replaced
        self.inner: Index
        self.exact_up_to = exact_up_to or _exact_up_to(contents)
        packed = self._packed()
        self.inner = Exact(contents) if packed is None else packed
        self._name = "exact"

    @property
    def name(self) -> str:
        """Of the index that serves now."""
        if isinstance(self.inner, PackedLists):
            return "lists" if self.inner.approximate else "exact"
        return self._name

    @property
    def rebuild_seconds(self) -> float:
        """Time spent so far on building from the contents."""
        return self.spent + self.inner.rebuild_seconds

    def update(self, rows: Tensor, slots: Tensor, words: Tensor) -> None:
        """Take in the new contents of some slots; see ``Index``."""
        self.inner.update(rows, slots, words)
        if isinstance(self.inner, Exact) and int(self.inner.used.max()) > self.exact_up_to:
            self._outgrow(self.inner.used)

    def search(self, queries: Tensor, k: int) -> Tensor:
        """The nearest slots of each query; see ``Index``."""
        return self.inner.search(queries, k)

    def reset(self, rows: Tensor) -> None:
        """Forget all slots of some batch rows; see ``Index``."""
        self.inner.reset(rows)

    def truncate(self, used: Tensor) -> None:
        """Forget the slots from ``used`` on; see ``Index``."""
        self.inner.truncate(used)

    def rebuild(self, words: Tensor, used: Tensor) -> None:
        """Start over from the contents; see ``Index``."""
        if isinstance(self.inner, Exact) and int(used.max()) > self.exact_up_to:
            self._outgrow(used)
        else:
            self.inner.rebuild(words, used)

    def _outgrow(self, used: Tensor) -> None:
        """Replace exact search by an approximate one, built from the contents."""
        self.spent += self.inner.rebuild_seconds
        self.inner, self._name = self._approximate()
        self.inner.rebuild(self.contents.rows(), used)

    def _packed(self) -> PackedLists | None:
        if self.contents.device.type == "cpu" and self.contents.word_size <= packed_lists.LARGEST_WORD:
            with contextlib.suppress(ImportError):
                return PackedLists(self.contents, exact_up_to=self.exact_up_to)
        return None

    def _approximate(self) -> tuple[Index, str]:
        if self.contents.device.type == "cpu":
            with contextlib.suppress(ImportError):
                return InvertedLists(self.contents, exact_up_to=self.exact_up_to), "faiss"
        return Hashing(self.contents), "lsh"


def _exact_up_to(contents: Contents) -> int:
    """Where search stops being exact."""
    if contents.device.type != "cpu":
        return EXACT_UP_TO_ON_GPU
    compiled = packed_lists.available() and contents.rows().dtype in (torch.float32, torch.float64)
    return packed_lists.EXACT_UP_TO if compiled else inverted_lists.EXACT_UP_TO
