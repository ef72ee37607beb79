"""The order in which slots were last accessed, kept in constant amortised time a step.

Legend: B batch, N slots, S slots of one event, L entries of the log, F slots asked for.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

LOG_ENTRIES = 4096
"""The log is not compacted below this length."""
NOWHERE = 2**62
"""A position that no entry has."""
AHEAD = 64
"""So many of the oldest live entries are found at once, so that most answers come from those found before."""


class UsageOrder:
    """Which slots were accessed least recently: the ring of Rae et al. 2016, section 3.3 (U^(2)), as a log.

    An event appends its slots to the log; an entry is live while it is its slot's last one. Slots never accessed come
    before all others, lowest first: they are the live ones among N imagined entries, one a slot, that precede the log.
    The oldest live entries are found by a cursor that passes every entry once.

    Args:
        batch_size: B.
        slots: N.
        device: where it is kept.
    """

    def __init__(self, batch_size: int, slots: int, device: torch.device):
        self.batch_size, self.slots = batch_size, slots
        # Per slot 1 + the log position of its last entry, 0 for none. The last column takes what belongs to no slot.
        self.last = lazy_zeros((batch_size, slots + 1), torch.int64, device)
        self.log = torch.full((batch_size, 64), slots, device=device)
        self.end = 0
        self.compact_at = LOG_ENTRIES
        # Positions count the imagined entries 0 .. N - 1, then the log. Those in front of the cursor that were live.
        self.front = torch.empty(batch_size, 0, dtype=torch.int64, device=device)
        self.cursor = torch.zeros(batch_size, 1, dtype=torch.int64, device=device)
        self._count_up = torch.arange(0)
        self._looked_up: tuple[Tensor, Tensor, Tensor] | None = None  # ``front``, its slots and what ``last`` has there

    def access(self, slots: Tensor, accessed: Tensor, may_compact: bool = True) -> None:
        """Mark slots as accessed now; within one event the lowest slot counts as the oldest.

        Args:
            slots: int64 [B, S]; duplicates are allowed.
            accessed: bool [B, S]; which of them.
            may_compact: False while entries must keep their positions.
        """
        event = slots.masked_fill((accessed & (slots >= 0)).logical_not_(), self.slots).sort(1).values
        begin = self.begin_event(slots.shape[1])
        self.log.narrow(1, begin, slots.shape[1]).copy_(event)
        positions = torch.arange(begin + 1, self.end + 1, device=event.device).expand_as(event)
        # The largest position wins: of duplicates the last, on every device.
        self.last.scatter_reduce_(1, event, positions, "amax")
        if may_compact:
            self.end_event()

    def begin_event(self, width: int) -> int:
        """Make room for an event of so many entries; where its own begin in the log."""
        begin, self.end = self.end, self.end + width
        if self.end > self.log.shape[1]:
            self._make_room(self.end)
        return begin

    def show_ahead(self, count: int) -> None:
        """Have room for at least ``count`` entries in front, for compiled code that looks ahead by itself."""
        missing = min(max(count, AHEAD), self.slots) - self.front.shape[1]
        if missing > 0:
            self.front = torch.cat([self.front, self.front.new_full((self.batch_size, missing), NOWHERE)], 1)
        self.front, self.cursor, self._looked_up = self.front.contiguous(), self.cursor.contiguous(), None

    def end_event(self) -> None:
        """Forget entries that are not live, when there are many."""
        if self.end > self.compact_at:
            self._compact()

    def least_recent(self, count: int) -> Tensor:
        """The slots accessed least recently, oldest first: int64 [B, count].

        Args:
            count: how many, at most N.
        """
        if self.front.shape[1] < count:
            self._look_ahead(count)
        while True:
            slots, entries = self._look_up_front()
            rank = (self.last.gather(1, slots) == entries).cumsum(1)
            if int(rank[:, -1].min()) >= count:
                return slots.gather(1, torch.searchsorted(rank, self._first(count)))
            self._look_ahead(count)

    def _look_up_front(self) -> tuple[Tensor, Tensor]:
        """The slots of the entries in front, and what ``last`` has for them while they are live."""
        if self._looked_up is None or self._looked_up[0] is not self.front:
            slots, _ = self._entries(self.front, NOWHERE)
            entries = (self.front - (self.slots - 1)).clamp_min_(0)
            self._looked_up = self.front, slots, entries.masked_fill(slots == self.slots, -1)
        return self._looked_up[1:]

    def _first(self, count: int) -> Tensor:
        """1, 2 ... count for each row."""
        return (self._counting(count) + 1).expand(self.batch_size, count).contiguous()

    def _look_ahead(self, count: int) -> None:
        """Move the cursor until at least ``count`` live entries are in front."""
        held = min(max(count, self.front.shape[1], AHEAD), self.slots)
        width, furthest = held + 8, int(self.cursor.max())
        wanted = self._first(held)
        while True:
            ahead = self.cursor + self._counting(width)
            positions = torch.cat([self.front, ahead], 1)
            _, live = self._entries(positions, furthest + width)
            rank = live.cumsum(1)  # [B, F + width]
            pick = torch.searchsorted(rank, wanted)  # [B, F]
            complete = int(rank[:, -1].min()) >= held
            if complete:
                self.front = positions.gather(1, pick)
                passed = self.front[:, -1:] + 1
            else:
                found = rank[:, -1:] >= wanted
                kept = positions.gather(1, pick.clamp_max(positions.shape[1] - 1))
                self.front = kept.masked_fill(~found, NOWHERE)
                passed = torch.where(found[:, -1:], self.front[:, -1:], ahead[:, -1:]) + 1
            self.cursor = torch.maximum(self.cursor, passed)
            furthest = int(self.cursor.max())
            if complete:
                return
            width *= 2

    def accessed_slots(self) -> Tensor:
        """All slots ever accessed, from least to most recently: int64 [B, most], -1 behind the end of a row."""
        live = self._live_log()
        order = self.log.new_full((self.batch_size, int(live.sum(1).max()) if self.batch_size else 0), -1)
        rows, places = live.nonzero(as_tuple=True)
        order[rows, live.cumsum(1)[rows, places] - 1] = self.log[rows, places]
        return order

    def restore(self, order: Tensor) -> None:
        """Begin again from what ``accessed_slots`` gave, possibly with more padding."""
        self.__init__(order.shape[0], self.slots, order.device)
        if order.shape[1]:
            self._make_room(order.shape[1])
            self._rewrite(order.masked_fill(order < 0, self.slots))

    def reset(self, row: int, used: int) -> None:
        """Forget the accesses of a row of which only the first slots were used."""
        self.last[row, :used] = 0
        self.front = self.front.index_fill(0, torch.tensor([row], device=self.front.device), NOWHERE)
        self.cursor = self.cursor.index_fill(0, torch.tensor([row], device=self.cursor.device), 0)

    def grow(self, slots: int, used: int) -> None:
        """Make room for more slots, of which as yet only the first ``used`` can have been accessed."""
        last = lazy_zeros((self.batch_size, slots + 1), torch.int64, self.last.device)
        last[:, :used] = self.last[:, :used]
        self.log[self.log == self.slots] = slots
        in_log = self.cursor >= self.slots
        self.front = self.front.masked_fill(self.front >= self.slots, NOWHERE)
        self.cursor = torch.where(in_log, self.slots, self.cursor)
        self.slots, self.last = slots, last

    def _counting(self, count: int) -> Tensor:
        """0, 1 ... count - 1."""
        if self._count_up.shape[0] < count:
            self._count_up = torch.arange(2 * count, device=self.log.device)
        return self._count_up[:count]

    def _entries(self, positions: Tensor, end: int) -> tuple[Tensor, Tensor]:
        """The slots of some entries [B, F], and whether they are live; all are below ``end`` but those nowhere."""
        if end <= self.slots:  # not all slots of a row were accessed yet: the log is not needed
            slots = positions.clamp_max(self.slots)
            return slots, (self.last.gather(1, slots) == 0) & (slots < self.slots)
        places = (positions - self.slots).clamp_(-1, self.log.shape[1] - 1)
        slots = torch.where(places < 0, positions, self.log.gather(1, places.clamp_min(0)))
        live = self.last.gather(1, slots) == (positions - (self.slots - 1)).clamp_min_(0)
        return slots, live & (slots < self.slots)

    def _live_log(self) -> Tensor:
        log = self.log[:, : self.end]
        positions = torch.arange(1, self.end + 1, device=log.device)
        return (self.last.gather(1, log) == positions) & (log < self.slots)

    def _make_room(self, entries: int) -> None:
        log = self.log.new_full((self.batch_size, max(entries, 2 * self.log.shape[1])), self.slots)
        log[:, : self.log.shape[1]] = self.log
        self.log = log

    def _compact(self) -> None:
        """Drop the entries that are not live; their number is at least half, so that this pays."""
        order = self.accessed_slots()
        self.log.fill_(self.slots)
        self._rewrite(order.masked_fill(order < 0, self.slots))
        self.front = self.front.masked_fill(self.front >= self.slots, NOWHERE)
        self.cursor = self.cursor.clamp_max(self.slots)

    def _rewrite(self, order: Tensor) -> None:
        self.end = order.shape[1]
        self.compact_at = 2 * self.end + LOG_ENTRIES
        self.log[:, : self.end] = order
        self.last.scatter_(1, order, torch.arange(1, self.end + 1, device=order.device).expand_as(order))


def lazy_zeros(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros that on a CPU take no memory before they are written; ``torch.zeros`` writes every page."""
    if device.type != "cpu":
        return torch.zeros(shape, dtype=dtype, device=device)
    items = int(np.prod(shape, dtype=np.int64))
    if not items:  # an array without items has no bytes to be seen as another dtype
        return torch.zeros(shape, dtype=dtype)
    pages = np.zeros(items * dtype.itemsize, dtype=np.uint8)
    return torch.from_numpy(pages).view(dtype).view(shape)
