"""Undoing: what each change of a store overwrote.

Legend: B batch, N slots, W word size, S slots of one operation.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa.memory.sparse.layout import Layout
from lukasa.memory.sparse.usage import UsageOrder


class Changing(Protocol):
    """A store, as far as its changes can be undone; ``lukasa.memory.sparse.store.Store`` says what each part is."""

    layout: Layout
    version: int
    used: Tensor
    capacity: int
    rows: Tensor
    usage: UsageOrder
    index: Any

    def mark_changed(self) -> None:
        """Make every handle of the versions so far stale."""
        ...

    def tell_index(self, changed: Tensor) -> None:
        """Give the index the contents of written rows that changed, at ascending places."""
        ...


class Before(NamedTuple):
    """What a change is about to overwrite; only the parts that it touches."""

    version: int
    used: Tensor  # int64 [B]
    capacity: int
    places: Tensor  # int64 [S], into the store's rows at this capacity
    rows: Tensor  # [S, W]
    slots: Tensor  # int64 [B, S], whose last access changes
    last: Tensor  # int64 [B, S]
    log_end: int
    front: Tensor
    cursor: Tensor


class Journal:
    """The changes of a store since journalling began, newest last."""

    def __init__(self, store: Changing):
        self.start = store.version
        self.entries: list[Before] = []

    def note_write(self, store: Changing, places: Tensor) -> None:
        """Call before the rows at some distinct places are written."""
        self._note(store, places, store.used.new_empty(store.layout.batch_size, 0))

    def note_access(self, store: Changing, slots: Tensor) -> None:
        """Call before slots [B, S] are marked as accessed; -1 is nothing."""
        self._note(store, store.used.new_empty(0), slots.masked_fill(slots < 0, store.layout.slots))

    def note_reset(self, store: Changing, rows: list[int]) -> None:
        """Call before batch rows are emptied."""
        used = [int(store.used[row]) for row in rows]
        device = store.layout.device
        spans = [
            torch.arange(row * store.capacity, row * store.capacity + count, device=device)
            for row, count in zip(rows, used, strict=True)
        ]
        slots = torch.full((store.layout.batch_size, max(used, default=0)), store.layout.slots, device=device)
        for row, count in zip(rows, used, strict=True):
            slots[row, :count] = torch.arange(count, device=device)
        self._note(store, torch.cat(spans) if spans else store.used.new_empty(0), slots)

    def rewind(self, store: Changing, version: int) -> None:
        """Undo the newest changes, back to what the store was at an earlier version.

        Raises:
            ValueError: the journal does not reach that far back, or the version is yet to come.
        """
        if not self.start <= version <= store.version:
            raise ValueError(
                f"cannot rewind to version {version}: the journal covers versions {self.start} to {store.version}; "
                "begin journalling before the changes that are to be undone"
            )
        while self.entries and self.entries[-1].version >= version:
            self._undo(store, self.entries.pop())
        store.mark_changed()
        store.version = version

    def _note(self, store: Changing, places: Tensor, slots: Tensor) -> None:
        usage = store.usage
        self.entries.append(
            Before(
                version=store.version,
                used=store.used,
                capacity=store.capacity,
                places=places,
                rows=store.rows.index_select(0, places),
                slots=slots,
                last=usage.last.gather(1, slots),
                log_end=usage.end,
                front=usage.front,
                cursor=usage.cursor,
            )
        )

    def _undo(self, store: Changing, before: Before) -> None:
        places = before.places
        if before.capacity not in (0, store.capacity):  # the rows have moved since
            row = places.div(before.capacity, rounding_mode="floor")
            places = row * store.capacity + places - row * before.capacity
        store.rows[places] = before.rows
        store.used = before.used
        usage = store.usage
        usage.last.scatter_(1, before.slots, before.last)
        usage.log[:, before.log_end : usage.end] = usage.slots
        usage.end, usage.front, usage.cursor = before.log_end, before.front, before.cursor
        store.index.truncate(store.used)
        row = places.div(max(store.capacity, 1), rounding_mode="floor")
        store.tell_index(places[places - row * store.capacity < F.pad(store.used, (0, 1))[row]])
