"""What holds the rows of a sparse memory: ``store.Store``, or whatever holds them elsewhere.

Legend: B batch, N slots, W word size, S slots of one operation, K nearest, R queries a row, U slots written.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from lukasa.memory.sparse.layout import Layout
from lukasa.memory.sparse.listener import Listener
from lukasa.memory.sparse.usage import UsageOrder


class RowStore(Protocol):
    """All that a ``SparseMemory`` and its operations ask of its rows, which are changed in place.

    Attributes:
        layout: sizes and kinds.
        used: int64 [B], how many slots of each row are written: 0, 1 ... used - 1.
        usage: the order in which slots were accessed.
        version: how often the store was changed.
        stamp: an object that only handles of this very version hold.
        listener: follows what is asked and done, None while nobody does.
    """

    layout: Layout
    used: Tensor
    usage: UsageOrder
    version: int
    stamp: object
    listener: Listener | None

    def another(self, batch_size: int) -> RowStore:
        """An empty store of this kind."""
        ...

    def view(self) -> Tensor:
        """The rows as [B, U or more, W]; those never written are zero.

        Raises:
            RuntimeError: the rows are not in this process.
        """
        ...

    def gather(self, slots: Tensor) -> Tensor:
        """Copies of rows, [B, S, W] for slots [B, S]; zeros for -1."""
        ...

    def write(self, slots: Tensor, keep: Tensor, words: Tensor) -> None:
        """First erase the slots [B, S] that are not kept, bool [B, S], then add all words [B, S, W]; -1 is nothing.

        Raises:
            ValueError: a slot is written before those below it, or would hold what it cannot.
        """
        ...

    def search(self, queries: Tensor, k: int) -> Tensor:
        """The nearest written slots of queries [B, R, W], int64 [B, R, K]; -1 where there are fewer.

        Raises:
            ValueError: a query is NaN, infinite or too large.
        """
        ...

    def least_recent(self, count: int) -> Tensor:
        """The slots accessed least recently, those never accessed first: int64 [B, count]."""
        ...

    def access(self, slots: Tensor, weights: Tensor) -> None:
        """Mark the slots whose weight exceeds δ as accessed now; both [B, S]."""
        ...

    def reset(self, rows: list[int]) -> None:
        """Empty some batch rows."""
        ...

    def grow(self, slots: int) -> None:
        """Raise the number of slots; what is written stays where it is.

        Raises:
            ValueError: there are more already.
        """
        ...

    def fill(self, rows: Tensor, used: Tensor) -> None:
        """Write the first slots of every row of an empty store; rows [B, U, W], used int64 [B], at most U."""
        ...

    def begin_journal(self) -> None:
        """Keep what ``rewind`` needs from now on.

        Raises:
            RuntimeError: changes of this store cannot be undone.
        """
        ...

    def end_journal(self) -> None:
        """Forget it."""
        ...

    def rewind(self, version: int) -> None:
        """Undo every change since a version.

        Raises:
            RuntimeError: no journal is kept.
            ValueError: the journal does not reach back so far.
        """
        ...
