"""What the loops over sequences need to know of an SDNC.

Legend: B batch, T time, Z steps that are kept, I numbers of the interface, H heads, G = B H, W word size, C slots that
a head reads, E entries of a row of links.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from lukasa.memory.kernels.sequence.packing import numbers
from lukasa.memory.kernels.sparse_access import sdnc_back, sdnc_loops
from lukasa.memory.kernels.sparse_access.hearing import heard
from lukasa.memory.kernels.sparse_access.link_loops import Links
from lukasa.memory.kernels.sparse_access.sam_access import about_to_write
from lukasa.memory.sparse.links import SparseLinks
from lukasa.memory.sparse.listener import Steps
from lukasa.memory.sparse.store import Store


class SDNCAccess:
    """Sizes, room and places of the heads' part; changes the links.

    Args:
        core: the SDNC.
        state: before the first step.
    """

    loops, loops_back = sdnc_loops, sdnc_back

    def __init__(self, core: Any, state: Any):
        self.heads, self.reads, self.word, self.read_slots = core.heads, core.reads, core.word_size, state.read_slots
        self.interface = sum(core.widths)
        self.reads_a_step, self.writes_a_step = 2 * self.heads * self.reads, self.heads * (self.reads + 1)
        self.accesses_a_step = self.heads * (2 * self.reads + 1)
        links = state.links if state.links.slots == state.memory.slots else state.links.grow(state.memory.slots)
        self.tables = links.opened()
        self.tables.make_room()
        self.used = self.tables.used.clone()
        self.recent = tuple(part.clone() for part in self.tables.recent)

    def first(self, read_weights: Tensor) -> sdnc_loops.Before:
        """What was read before the first step."""
        return sdnc_loops.Before(numbers(self.read_slots.contiguous()), numbers(read_weights.contiguous()))

    def seen(self, memory: Any) -> Any:
        """The memory and its links as the loops take them."""
        tables = self.tables
        parts = (numbers(tables.names), numbers(tables.logs), numbers(tables.survival), tables.capacity)
        recent, precedence = map(numbers, self.recent)
        return memory, Links(*parts, numbers(self.used), recent, precedence, tables.layout.decay == "both")

    def is_followed(self, store: Store) -> bool:
        """Whether somebody is to hear of every step."""
        return store.listener is not None or self.tables.listener is not None

    def tell(self, store: Any, tape: Sequence[Tensor]) -> None:
        """Say to who follows the memory or its links what the steps did."""
        kept, links = sdnc_loops.Tape(*tape), cast(Any, self.tables.listener)
        if store.listener is not None:
            written, read = (kept.write_slots, kept.write_weights), (kept.slots, kept.weights)
            store.listener.passed(heard(written, kept.found, read, store.layout.delta))
        if links is not None:
            changed = torch.cat([kept.write_slots.flatten(2), kept.write_slots[..., -1], kept.recent], 2)
            links.passed(Steps(changed.new_empty(*changed.shape[:2], 0).transpose(0, 1), changed.transpose(0, 1), None))

    def finish(self) -> None:
        """The links were changed."""
        self.tables.stepped(self.used, self.recent)

    def after(self, state: Any, memory: Any, read: Sequence[Tensor], controller: Any) -> Any:
        """The state after it."""
        return type(state)(memory, SparseLinks(self.tables), *read, controller)

    def tape(self, like: Tensor, rows: int, steps: int) -> list[Tensor]:
        """Room for what is kept of the steps."""
        heads, reads, word, entries = self.heads, self.reads, self.word, self.tables.layout.entries
        groups = rows * heads

        def whole(kind: torch.dtype, count: int) -> Tensor:
            return torch.empty(steps, rows, heads, count, dtype=kind)

        def real(*size: int) -> Tensor:
            return like.new_empty(steps, *size)

        return [
            *(real(rows, self.interface), real(rows, 2 * heads), real(rows, heads, 3)),
            *(whole(torch.int64, reads + 1), real(rows, heads, reads + 1)),
            *(whole(torch.int64, reads), real(rows, heads, reads), real(rows, heads, reads, 2, entries)),
            whole(torch.int16, reads + 2 * reads * entries),
            *(whole(torch.int64, reads), real(rows, heads, reads)),
            *(real(groups, word), real(groups, 1), real(groups, reads), real(groups, reads, word)),
            *(real(groups, reads), real(groups, reads, word)),
            torch.empty(steps, rows, entries, dtype=torch.int64),
        ]

    def rooms(self, like: Tensor, rows: int) -> tuple[Any, ...]:
        """Room to work in, of all rows: what was read before a step, what is added, what is read."""
        before, words = self.rooms_back(like, rows)
        return before, numbers(like.new_empty(rows, self.writes_a_step, self.word)), words

    def rooms_back(self, like: Tensor, rows: int) -> tuple[Any, ...]:
        """The same for the way back."""
        slots = torch.empty(rows, self.heads, self.reads, dtype=torch.int64)
        before = sdnc_loops.Before(numbers(slots), numbers(like.new_empty(rows, self.heads, self.reads)))
        return before, numbers(like.new_empty(rows, self.heads, self.word))

    def touched(self, tape: Sequence[Tensor]) -> Tensor:
        """The slots of all steps, those written, found and read of each: int64 [B, T H (3 C + 1)]."""
        kept = sdnc_loops.Tape(*tape)
        parts = [part.flatten(2) for part in (kept.write_slots, kept.found, kept.slots)]
        return torch.cat(parts, 2).transpose(0, 1).flatten(1)

    def last(self, tape: Sequence[Tensor], slot: int) -> tuple[Tensor, Tensor]:
        """The slots and weights read at a step."""
        kept = sdnc_loops.Tape(*tape)
        return kept.slots[slot].clone(), kept.weights[slot].clone()

    def about_to_write(
        self, arguments: Sequence[Any], rooms: Sequence[Any], now: int, row: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See ``sam_access.about_to_write``."""
        tape = next(part for part in arguments if isinstance(part, sdnc_loops.Tape))
        return about_to_write(tape, rooms[1], now, row)
