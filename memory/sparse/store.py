"""The one mutable thing of a sparse memory: its rows, which of them are written, their usage order and their index.

Legend: B batch, N slots, W word size, S slots of one operation, K nearest, R queries a row.
"""

from __future__ import annotations

import weakref
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.sparse.bounds import Bounds
from lukasa.memory.sparse.indexes import make_index
from lukasa.memory.sparse.inference_mode import outside_inference_mode
from lukasa.memory.sparse.journal import Journal
from lukasa.memory.sparse.layout import Layout
from lukasa.memory.sparse.listener import Listener, chosen
from lukasa.memory.sparse.traffic import TRAFFIC
from lukasa.memory.sparse.usage import UsageOrder, lazy_zeros

FIRST_CAPACITY = 1024


class StaleStateError(RuntimeError):
    """A state was used whose memory has been written since."""


class Store:
    """Rows, usage order and index of a batch of memories, changed in place: a ``RowStore`` in this process.

    Slots of each batch row are handed out in the order 0, 1, 2 ...: the first ``used`` are written. All others are
    zero, take no memory, are not indexed and are handed out first.

    Attributes:
        layout: sizes and kinds.
        rows: [B * capacity + 1, W]; the last row stands for the slot -1: it stays zero.
        used: int64 [B].
        version: how often the store was changed.
        stamp: an object that only handles of this very version hold.
        journal: what is needed to undo, None while nobody asked for it.
        listener: follows what is asked and done, None while nobody does.
    """

    @outside_inference_mode
    def __init__(self, layout: Layout):
        layout.check_fits()
        self.layout = layout
        self.bounds = Bounds(layout)
        self.capacity = 0
        self.rows = torch.zeros(1, layout.word_size, dtype=layout.stored, device=layout.device)
        self.used = torch.zeros(layout.batch_size, dtype=torch.int64, device=layout.device)
        self.usage = UsageOrder(layout.batch_size, layout.slots, layout.device)
        self.offsets = torch.zeros(layout.batch_size, 1, dtype=torch.int64, device=layout.device)
        self.version = 0
        self.stamp = object()
        self.journal: Journal | None = None
        self.listener: Listener | None = None
        self.make_index()

    def another(self, batch_size: int) -> Store:
        """An empty store of this kind."""
        return Store(replace(self.layout, batch_size=batch_size))

    def __reduce__(self) -> tuple[Any, ...]:
        """What is written, for ``pickle`` and ``copy``: the index, which points into these rows, is made anew."""
        written = int(self.used.max()) if self.layout.batch_size and self.capacity else 0
        rows = self.view()[:, :written].clone()
        return _store_of, (self.layout, rows, self.used.clone(), self.usage.accessed_slots())

    def make_index(self) -> None:
        """A new index over what is written."""
        layout = self.layout
        own = weakref.ref(self)  # a plain reference would be circular, and the rows would outlive their last user
        self.index = make_index(
            layout.index,
            batch_size=layout.batch_size,
            slots=layout.slots,
            word_size=layout.word_size,
            device=layout.device,
            contents=lambda: alive(own()).view(),
            **dict(layout.index_options or {}),
        )
        if self.capacity:
            self.index.rebuild(self.view(), self.used)

    @property
    def nowhere(self) -> int:
        """The place of the slot -1."""
        return self.layout.batch_size * self.capacity

    def view(self) -> Tensor:
        """The rows as [B, capacity, W]; those never written are zero."""
        return self.rows[:-1].view(self.layout.batch_size, self.capacity, self.layout.word_size)

    def gather(self, slots: Tensor) -> Tensor:
        """Copies of rows, [B, S, W] for slots [B, S]; zeros for -1."""
        TRAFFIC.reads += slots.numel()
        rows = self.rows.index_select(0, self._places(slots))
        return rows.to(self.layout.dtype).view(*slots.shape, self.layout.word_size)

    @outside_inference_mode
    def write(self, slots: Tensor, keep: Tensor, words: Tensor) -> None:
        """First erase the slots that are not kept, then add all words.

        Args:
            slots: int64 [B, S]; duplicates are allowed, -1 is nothing.
            keep: bool [B, S].
            words: [B, S, W].

        Raises:
            ValueError: a slot is written before those below it.
            UnstorableError: a slot would hold NaN, an infinite or too large a number; nothing was changed.
        """
        used = self._use(slots)
        self.bounds.admit(slots, keep, words, self.used, self.gather)
        if self.listener is not None:
            self.listener.wrote(slots)
        TRAFFIC.writes += slots.numel()
        places, keep = self._places(slots), keep.reshape(-1)
        changed = places.unique()
        if self.journal is not None:
            self.journal.note_write(self, changed)
        self.used = used
        if self.layout.storage == "full":
            self.rows.index_fill_(0, places.masked_fill(keep, self.nowhere), 0)
            self.rows.index_add_(0, places, words.reshape(-1, words.shape[-1]))
        else:
            self._write_rounded(places, keep, words.flatten(0, 1))
        self.rows[-1].zero_()
        self.tell_index(changed[:-1] if int(changed[-1]) == self.nowhere else changed)
        self.mark_changed()

    def search(self, queries: Tensor, k: int) -> Tensor:
        """The nearest written slots of queries [B, R, W], int64 [B, R, K]; -1 where there are fewer."""

        def own() -> Tensor:
            self.bounds.admit_queries(queries)
            return self.index.search(queries, k)

        return chosen(self.listener, (*queries.shape[:2], k), own)

    def least_recent(self, count: int) -> Tensor:
        """The slots accessed least recently, those never accessed first: int64 [B, count]."""
        return chosen(self.listener, (self.layout.batch_size, count), lambda: self.usage.least_recent(count))

    @outside_inference_mode
    def access(self, slots: Tensor, weights: Tensor) -> None:
        """Mark the slots whose weight exceeds δ as accessed now; both [B, S]."""
        accessed = weights > self.layout.delta
        if self.listener is not None:
            self.listener.accessed(slots.masked_fill(~accessed, -1))
        if self.journal is not None:
            self.journal.note_access(self, slots)
        self.usage.access(slots, accessed, may_compact=self.journal is None)
        self.mark_changed()

    @outside_inference_mode
    def make_room(self) -> None:
        """Have room for the first slots, before a kernel writes them."""
        if not self.capacity and self.layout.batch_size:
            self._reserve(1)

    def stepped(self, used: Tensor) -> None:
        """Note that a kernel wrote and accessed slots, after which ``used`` [B] are written in each row."""
        self.used = used
        TRAFFIC.filled = max(TRAFFIC.filled, int(used.max()))
        self.mark_changed()

    @outside_inference_mode
    def reset(self, rows: list[int]) -> None:
        """Empty some batch rows, at the cost of what was written in them."""
        used = self.used.tolist()
        if self.journal is not None:
            self.journal.note_reset(self, rows)
        self.used = self.used.clone()
        for row in rows:
            begin = row * self.capacity
            self.rows[begin : begin + used[row]] = 0
            self.used[row] = 0
            self.usage.reset(row, used[row])
        self.index.reset(torch.tensor(rows, device=self.layout.device))
        self.mark_changed()

    @outside_inference_mode
    def grow(self, slots: int) -> None:
        """Raise the number of slots, unless a journal is kept; see ``RowStore``."""
        if slots < self.layout.slots:
            raise ValueError(f"a memory of {self.layout.slots} slots cannot shrink to {slots}: ask for more slots")
        if self.journal is not None:
            raise RuntimeError("a memory cannot grow while it keeps a journal: leave journalling() first")
        layout = replace(self.layout, slots=slots)
        layout.check_fits()
        self.layout = layout
        self.usage.grow(slots, int(self.used.max()))
        if self.capacity and layout.device.type == "cpu":
            self._reserve(slots)
        self.make_index()
        self.mark_changed()

    def begin_journal(self) -> None:
        """Keep what ``rewind`` needs from now on; costs memory with every change."""
        self.journal = Journal(self)

    def end_journal(self) -> None:
        """Forget it."""
        self.journal = None

    def rewind(self, version: int) -> None:
        """Undo every change since a version; see ``RowStore``."""
        if self.journal is None:
            raise RuntimeError("this memory keeps no journal: change it inside `with memory.journalling():` to undo it")
        self.journal.rewind(self, version)

    def mark_changed(self) -> None:
        """Make every handle of the versions so far stale."""
        self.version += 1
        self.stamp = object()

    @outside_inference_mode
    def fill(self, rows: Tensor, used: Tensor) -> None:
        """Write the first slots of every row of an empty store at once.

        Args:
            rows: [B, U, W].
            used: int64 [B], at most U.
        """
        self.bounds.admit_rows(rows, used)
        self._reserve(rows.shape[1])
        padding = torch.arange(rows.shape[1], device=used.device) >= used.unsqueeze(1)
        self.view()[:, : rows.shape[1]] = rows.masked_fill(padding.unsqueeze(2), 0).to(self.layout.stored)
        self.used = used.clone()
        self.index.rebuild(self.view(), self.used)

    def adopt(self, rows: Tensor, used: Tensor) -> None:
        """As ``fill``, with rows [B * U + 1, W] of the stored dtype, last one zero, that are kept and not copied."""
        self.bounds.admit_rows(rows[:-1].view(len(used), -1, self.layout.word_size), used)
        self.rows, self.used = rows, used
        self.capacity = (len(rows) - 1) // self.layout.batch_size
        self.offsets = self._row_offsets()
        self.index.rebuild(self.view(), self.used)

    def tell_index(self, changed: Tensor) -> None:
        """Give the index the contents of written rows that changed, at ascending places."""
        if not changed.numel():
            return
        rows = changed.div(self.capacity, rounding_mode="floor")
        words = self.rows.index_select(0, changed).to(self.layout.dtype)
        self.index.update(rows, changed - rows * self.capacity, words)

    def _places(self, slots: Tensor) -> Tensor:
        """Where slots [B, S] lie in ``rows``, [B S]."""
        return (slots + self.offsets).masked_fill_(slots < 0, self.nowhere).view(-1)

    def _use(self, slots: Tensor) -> Tensor:
        """How many slots of each row are written after a write to some; makes room for them.

        Raises:
            ValueError: a slot is written before those below it, or does not exist.
        """
        used = torch.maximum(self.used, slots.amax(1) + 1)
        if self.layout.device.type == "cpu":  # elsewhere looking would wait for the device
            refuse_disorder(slots, self.used, self.layout.slots)
            TRAFFIC.filled = max(TRAFFIC.filled, int(used.max()))
        if self.capacity < self.layout.slots and int(used.max()) > self.capacity:
            self._reserve(int(used.max()))
        return used

    def _reserve(self, slots: int) -> None:
        """Have at least this capacity: all slots at once where untouched zeros are free, else by doubling."""
        layout = self.layout
        doubled = min(max(slots, 2 * self.capacity, FIRST_CAPACITY), layout.slots)
        capacity = layout.slots if layout.device.type == "cpu" else doubled
        rows = lazy_zeros((layout.batch_size * capacity + 1, layout.word_size), layout.stored, layout.device)
        if self.capacity:
            written = int(self.used.max())
            rows[:-1].view(layout.batch_size, capacity, -1)[:, :written] = self.view()[:, :written]
        self.rows, self.capacity = rows, capacity
        self.offsets = self._row_offsets()

    def _row_offsets(self) -> Tensor:
        return (torch.arange(self.layout.batch_size, device=self.layout.device) * self.capacity).unsqueeze(1)

    def _write_rounded(self, places: Tensor, keep: Tensor, words: Tensor) -> None:
        """Compute in the full dtype, duplicates summed, and round once."""
        targets, ids = places.unique(return_inverse=True)
        erased = torch.zeros(len(targets), dtype=torch.bool, device=targets.device).index_fill_(0, ids[~keep], True)
        new = self.rows[targets].to(self.layout.dtype).masked_fill_(erased.unsqueeze(1), 0).index_add_(0, ids, words)
        self.rows[targets] = new.to(self.layout.stored)


def refuse_disorder(slots: Tensor, used: Tensor, most: int) -> None:
    """Refuse a write before it is made.

    Args:
        slots: int64 [B, S]; -1 is nothing.
        used: int64 [B], how many slots of each row are written.
        most: N.

    Raises:
        ValueError: a slot is written before those below it, or does not exist.
    """
    after, fresh = torch.maximum(used, slots.amax(1) + 1), (slots >= used.unsqueeze(1)).sum(1)
    highest = int(after.max())
    if highest > most or bool((after - used > fresh).any()):
        raise ValueError(
            f"slots up to {highest - 1} cannot be written while {used.tolist()} of {most} are: new slots are handed "
            "out in order, least_recent() says which come next"
        )


def alive(store: Store | None) -> Store:
    """The store that an index belongs to."""
    assert store is not None
    return store


def _store_of(layout: Layout, rows: Tensor, used: Tensor, order: Tensor) -> Store:
    """A store with these contents."""
    store = Store(layout)
    if rows.shape[1]:
        store.fill(rows, used)
    store.usage.restore(order)
    return store
