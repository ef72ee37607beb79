"""The temporal links of a sparse memory: what was written after what, a few entries a slot.

Rae et al. 2016, supplement D.1, keep two row-sparse matrices N_t and P_t in place of the DNC's link matrix L_t and its
transpose, and a sparse precedence p_t. Row i of N holds the slots written before i, row j of P those written after j;
an entry is cut off where its row has more than K_L. No gradient passes through them.

Decay touches the written slots alone. The weight of a link is kept as its logarithm less the survival of the slot that
it names, and read with the survival that this slot has by then: when a slot is written, its survival falls and with it
every link that names it, wherever it stands. The survival of a slot that is used anew falls to nothing.

Legend: B batch, N slots, S slots of one operation, E = K_L entries of a row, T rows that a step touches, C candidates.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from lukasa.memory.sparse.inference_mode import outside_inference_mode
from lukasa.memory.sparse.layout import CPU, the_device
from lukasa.memory.sparse.listener import Listener
from lukasa.memory.sparse.store import FIRST_CAPACITY
from lukasa.memory.sparse.usage import lazy_zeros
from lukasa.memory.sparse.weightings import largest_sums, matching

Decay = Literal["later", "both"]
EARLIER, LATER = 0, 1
"""The two matrices: N_t, whose row lists the slots written before its own, and P_t, those written after."""
FORGOTTEN = 1000.0
"""What a survival loses when nothing is to survive: exp(-1000) is zero."""


@dataclass(frozen=True)
class LinkLayout:
    """What links are made of.

    Attributes:
        batch_size: B.
        slots: N.
        entries: K_L, how many links a row keeps.
        decay: whether a link fades when its later slot is written, as in SDNC, or either of both, as in the DNC.
        device: where everything lives; may be given by its name.
    """

    batch_size: int
    slots: int
    entries: int = 8
    decay: Decay = "later"
    device: torch.device = CPU

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", the_device(self.device))

    def check_fits(self) -> None:
        """Refuse links larger than the machine's memory.

        Raises:
            ValueError: those of all slots together need more than there is.
        """
        needed = self.batch_size * self.slots * (2 * self.entries * (4 + 8) + 2 * 8)
        if self.device.type == "cuda":
            there = torch.cuda.mem_get_info(self.device)[1]
        else:
            there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        if needed > there:
            raise ValueError(
                f"links of {self.batch_size} x {self.slots:,} slots with {self.entries} entries a row need "
                f"{needed / 2**30:,.1f} GiB when all are written and {self.device} has {there / 2**30:,.1f} GiB: "
                "use fewer slots, rows or links"
            )


class Change(NamedTuple):
    """What a change is about to overwrite."""

    version: int
    rows: Tensor  # int64 [X], batch row and slot of each row of the tables that is touched
    slots: Tensor  # int64 [X]
    names: Tensor
    logs: Tensor
    survival: Tensor
    used: Tensor
    recent: tuple[Tensor, Tensor]


class LinkTables:
    """Links of a batch of memories, changed in place.

    Attributes:
        layout: sizes and kinds.
        names: int32 [B * capacity + 1, 2, E]; 1 + the slots that a row is linked to, 0 for none: N_t, then P_t. The
            last row stands for the slot -1: it stays zero.
        logs: float64 [B * capacity + 1, 2, E], log weights less the survival of the slot named.
        survival: float64 [B * capacity + 1, 2], the log of what is left of links that name a slot, in N_t and in P_t.
        used: int64 [B]; the rows of all slots from there on are empty.
        recent: p_{t-1}, slots int64 and weights [B, E]; weight 0 for none.
        version: how often the links were changed.
        stamp: an object that only handles of this very version hold.
        journal: what is needed to undo, None while nobody asked for it.
        journal_start: the version when it was begun.
        listener: follows what is done, None while nobody does.
    """

    @outside_inference_mode
    def __init__(self, layout: LinkLayout):
        layout.check_fits()
        self.layout = layout
        device, batch_size = layout.device, layout.batch_size
        self.capacity = 0
        self._allocate(0)
        self.used = torch.zeros(batch_size, dtype=torch.int64, device=device)
        self.recent = (
            torch.zeros(batch_size, layout.entries, dtype=torch.int64, device=device),
            torch.zeros(batch_size, layout.entries, dtype=torch.float64, device=device),
        )
        # Whether writing to the slot of a row, or to the slot that an entry names, lets the entry fade; N_t, then P_t.
        both = layout.decay == "both"
        self.row_decay = torch.tensor([1.0, float(both)], dtype=torch.float64, device=device)
        self.name_decay = torch.tensor([float(both), 1.0], dtype=torch.float64, device=device)
        self.sides = torch.tensor([[EARLIER], [LATER]], device=device)
        self.version = 0
        self.stamp = object()
        self.journal: list[Change] | None = None
        self.journal_start = 0
        self.listener: Listener | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """What is written, for ``pickle`` and ``copy``."""
        written = int(self.used.max()) if len(self.used) and self.capacity else 0
        tables = [self.view(table)[:, :written].clone() for table in (self.names, self.logs, self.survival)]
        return _tables_of, (self.layout, *tables, self.used, self.recent)

    def read(self, slots: Tensor) -> tuple[Tensor, Tensor]:
        """The links of some rows.

        Args:
            slots: int64 [B, ...]; -1 has none.

        Returns:
            Slots int64 and weights float64 [B, ..., 2, E]: those written before, those written after; -1 and 0 for
            none.
        """
        places = self._places(slots)
        named = self.names[places].long() - 1
        return named, self._weights(named, self.logs[places], self.sides)

    @outside_inference_mode
    def update(self, slots: Tensor, weights: Tensor, erased: Tensor) -> None:
        """One step of N_t, P_t and p_t.

        Args:
            slots: int64 [B, S] written at this step; -1 is nothing, duplicates add up.
            weights: [B, S], w_t; divided by their sum where it exceeds 1.
            erased: int64 [B, X]; the slots that are used anew: no link to or from them survives.
        """
        entries = self.layout.entries
        if self.listener is not None:  # the rows of recent slots change too: they get links to what is written now
            self.listener.wrote(torch.cat([slots, erased, self.recent[0]], 1))
        slots, weights = largest_sums(slots, weights.double(), slots.shape[1])
        weights = weights / weights.sum(1, keepdim=True).clamp_min(1)
        before, precedence = self.recent  # p_{t-1}
        precedence = precedence.masked_fill((before.unsqueeze(2) == erased.unsqueeze(1)).any(2), 0)
        followed = before.masked_fill(precedence <= 0, -1)
        faded = followed  # the rows of P_t that change: those that are followed now, those written where they fade
        if self.layout.decay == "both":
            repeated = (followed.unsqueeze(2) == slots.unsqueeze(1)).any(2)
            faded = torch.cat([slots, followed.masked_fill(repeated, -1)], 1)
        touched = torch.cat([slots, followed, erased], 1)
        self._reserve(touched)
        self._note(touched)
        self.used = torch.maximum(self.used, touched.amax(1) + 1)

        self._forget(erased)
        earlier, later = (self._links(EARLIER, slots), self._links(LATER, faded))
        loss = torch.log1p(-weights).clamp_min(-FORGOTTEN)  # minus infinity at a weight of 1
        self.survival[self._places(slots)] += loss.unsqueeze(2) * self.name_decay
        self.survival[-1] = 0
        self._extend(EARLIER, slots, earlier, weights, weights, (before, precedence))
        row_weights, row_precedence = matching(faded, slots, weights), matching(faded, followed, precedence)
        self._extend(LATER, faded, later, row_weights, row_precedence, (slots, weights))

        left = (1 - weights.sum(1, keepdim=True)).clamp_min(0) * precedence  # rounding can take it below 0
        before, precedence = largest_sums(torch.cat([before, slots], 1), torch.cat([left, weights], 1), entries)
        self.recent = (before.clamp_min(0), precedence)
        self.mark_changed()

    @outside_inference_mode
    def make_room(self) -> None:
        """Have room for the first slots, before a kernel links them."""
        if not self.capacity and self.layout.batch_size:
            self._grow_to(1)

    @outside_inference_mode
    def stepped(self, used: Tensor, recent: tuple[Tensor, Tensor]) -> None:
        """Note that a kernel changed the tables, and what ``used`` and ``recent`` are after it."""
        self.used, self.recent = used.clone(), (recent[0].clone(), recent[1].clone())
        self.mark_changed()

    @outside_inference_mode
    def reset(self, mask: Tensor) -> None:
        """Empty the batch rows where the mask [B] is set, at the cost of what was written in them."""
        slots = torch.arange(int(self.used.masked_fill(~mask, 0).max()), device=mask.device).expand(len(mask), -1)
        slots = slots.masked_fill(~mask.unsqueeze(1) | (slots >= self.used.unsqueeze(1)), -1)
        self._note(slots)
        places = self._places(slots[mask], self._offsets[mask]).flatten()
        self.names[places], self.survival[places] = 0, 0
        self.logs[places] = 0
        self.used = self.used.masked_fill(mask, 0)
        before, precedence = self.recent
        self.recent = (before.masked_fill(mask.unsqueeze(1), 0), precedence.masked_fill(mask.unsqueeze(1), 0))
        self.mark_changed()

    @outside_inference_mode
    def fill(self, names: Tensor, logs: Tensor, survival: Tensor, used: Tensor, recent: tuple[Tensor, Tensor]) -> None:
        """Take the first rows [B, U, ...] of every table of empty links at once."""
        written = names.shape[1]
        if written:
            self._grow_to(written)
            for table, content in ((self.names, names), (self.logs, logs), (self.survival, survival)):
                self.view(table)[:, :written] = content
        self.used = used.clone()
        self.recent = (recent[0].clone(), recent[1].clone())

    @outside_inference_mode
    def change_layout(self, layout: LinkLayout) -> None:
        """Take a layout with more slots; what is written stays where it is."""
        layout.check_fits()
        self.layout = layout
        if self.capacity and layout.device.type == "cpu":
            self._grow_to(layout.slots)
        self.mark_changed()

    @outside_inference_mode
    def undo(self) -> None:
        """Undo the newest change in the journal."""
        assert self.journal is not None
        change = self.journal.pop()
        places = change.rows * self.capacity + change.slots
        self.names[places], self.logs[places], self.survival[places] = change.names, change.logs, change.survival
        self.used, self.recent = change.used, change.recent

    def mark_changed(self) -> None:
        """Make every handle of the versions so far stale."""
        self.version += 1
        self.stamp = object()

    def view(self, table: Tensor) -> Tensor:
        """A table as [B, capacity, ...]."""
        return table[:-1].view(self.layout.batch_size, self.capacity, *table.shape[1:])

    def _forget(self, erased: Tensor) -> None:
        places = self._places(erased)
        self.names[places] = 0
        self.survival[places] -= FORGOTTEN  # a slot that stands here twice falls once: it is the same assignment
        self.survival[-1] = 0

    def _links(self, side: int, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Rows [B, R] of N_t or P_t as they are kept: slots, logs, and weights as they are now, [B, R, E]."""
        places = self._places(rows)
        named, logs = self.names[places, side].long() - 1, self.logs[places, side]
        return named, logs, self._weights(named, logs, side)

    def _extend(
        self,
        side: int,
        rows: Tensor,
        links: tuple[Tensor, Tensor, Tensor],
        row_weights: Tensor,
        strength: Tensor,
        new: tuple[Tensor, Tensor],
    ) -> None:
        """Let rows of N_t or P_t fade and link them to new slots; the E largest links of a row stay.

        Args:
            side: which of the two.
            rows: int64 [B, R], distinct; -1 is nothing.
            links: what they held before the survivals fell.
            row_weights: [B, R], w_t of the rows' own slots.
            strength: [B, R], how strongly a row is linked to new slots.
            new: those slots and their weights [B, C]; a link weighs the product of both.
        """
        named, logs, before = links
        faded = self._weights(named, logs, side) - (row_weights * self.row_decay[side]).unsqueeze(2) * before
        candidates = new[0].unsqueeze(1).expand(-1, rows.shape[1], -1)
        gained = strength.unsqueeze(2) * new[1].unsqueeze(1)
        gained = gained.masked_fill(candidates == rows.unsqueeze(2), 0)  # no slot follows itself
        named, weights = largest_sums(torch.cat([named, candidates], 2), torch.cat([faded, gained], 2), before.shape[2])
        logs = weights.log() - self.survival[self._places(named), side]
        places = self._places(rows)
        self.logs[places, side] = logs.masked_fill(named < 0, 0)
        self.names[places, side] = (named + 1).int()
        self.names[-1] = 0

    def _weights(self, named: Tensor, logs: Tensor, side: int | Tensor) -> Tensor:
        """The weights as they are now of links [B, ..., E]."""
        return (logs + self.survival[self._places(named), side]).exp().masked_fill(named < 0, 0)

    def _places(self, slots: Tensor, offsets: Tensor | None = None) -> Tensor:
        """Where slots [B, ...] lie in the tables."""
        offsets = self._offsets if offsets is None else offsets
        offsets = offsets.view(-1, *(1,) * (slots.dim() - 1))
        return (slots + offsets).masked_fill_(slots < 0, len(self.names) - 1)

    def _note(self, slots: Tensor) -> None:
        """Keep what rows [B, X] of the tables hold, if a journal is kept."""
        if self.journal is None:
            return
        rows, columns = (slots >= 0).nonzero(as_tuple=True)
        slots = slots[rows, columns]
        places = rows * self.capacity + slots
        tables = (self.names[places], self.logs[places], self.survival[places])
        self.journal.append(Change(self.version, rows, slots, *tables, self.used, self.recent))

    def _reserve(self, slots: Tensor) -> None:
        if self.capacity == self.layout.slots:
            return
        needed = int(slots.max()) + 1
        if needed > self.capacity:
            self._grow_to(max(needed, min(2 * self.capacity, self.layout.slots)))

    def _grow_to(self, slots: int) -> None:
        """Have room for this many slots: for all of them where untouched zeros are free."""
        layout = self.layout
        capacity = layout.slots if layout.device.type == "cpu" else min(max(slots, FIRST_CAPACITY), layout.slots)
        old = [self.view(table) for table in (self.names, self.logs, self.survival)]
        self._allocate(capacity)
        written = int(self.used.max()) if len(self.used) and old[0].shape[1] else 0
        for table, content in zip((self.names, self.logs, self.survival), old, strict=True):
            self.view(table)[:, :written] = content[:, :written]

    def _allocate(self, capacity: int) -> None:
        layout = self.layout
        self.capacity, rows = capacity, layout.batch_size * capacity + 1
        self.names = lazy_zeros((rows, 2, layout.entries), torch.int32, layout.device)
        self.logs = lazy_zeros((rows, 2, layout.entries), torch.float64, layout.device)
        self.survival = lazy_zeros((rows, 2), torch.float64, layout.device)
        self._offsets = torch.arange(layout.batch_size, device=layout.device) * capacity


def _tables_of(layout: LinkLayout, *contents: Any) -> LinkTables:
    """Tables with these contents."""
    tables = LinkTables(layout)
    tables.fill(*contents)
    return tables
