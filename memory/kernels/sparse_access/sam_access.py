"""What the loops over sequences need to know of a SAM.

Legend: B batch, T time, Z steps that are kept, I numbers of the interface, H heads, G = B H, W word size, C slots that
a head reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.kernels.sequence.packing import numbers
from lukasa.memory.kernels.sparse_access import sam_back, sam_loops
from lukasa.memory.kernels.sparse_access.hearing import heard
from lukasa.memory.sparse.store import Store


class SAMAccess:
    """Sizes, room and places of the heads' part.

    Args:
        core: the SAM.
        state: before the first step.
    """

    loops, loops_back = sam_loops, sam_back

    def __init__(self, core: Any, state: Any):
        self.heads, self.reads, self.word, self.read_slots = core.heads, core.reads, core.word_size, state.read_slots
        self.interface = sum(core.widths)
        self.reads_a_step, self.writes_a_step = self.heads * self.reads, self.heads * (self.reads + 1)
        self.accesses_a_step = self.reads_a_step + self.writes_a_step

    def first(self, read_weights: Tensor) -> sam_loops.Before:
        """What was read before the first step."""
        return sam_loops.Before(numbers(self.read_slots.contiguous()), numbers(read_weights.contiguous()))

    def seen(self, memory: Any) -> Any:
        """The memory as the loops take it."""
        return memory

    def is_followed(self, store: Store) -> bool:
        """Whether somebody is to hear of every step."""
        return store.listener is not None

    def tell(self, store: Any, tape: Sequence[Tensor]) -> None:
        """Say to who follows the memory what the steps did."""
        if store.listener is not None:
            kept = sam_loops.Tape(*tape)
            written, read = (kept.write_slots, kept.write_weights), (kept.found, kept.weights)
            store.listener.passed(heard(written, kept.found, read, store.layout.delta))

    def finish(self) -> None:
        """Nothing but the store was changed."""

    def after(self, state: Any, memory: Any, read: Sequence[Tensor], controller: Any) -> Any:
        """The state after it."""
        return type(state)(memory, *read, controller)

    def tape(self, like: Tensor, rows: int, steps: int) -> list[Tensor]:
        """Room for what is kept of the steps."""
        heads, reads, word = self.heads, self.reads, self.word
        groups = rows * heads
        slots = [
            torch.empty(steps, rows, heads, count, dtype=torch.int64, device=like.device)
            for count in (reads + 1, reads)
        ]
        sizes = [(rows, self.interface), (rows, 2 * heads), (rows, heads, reads + 1), (rows, heads, reads)]
        sizes += [(groups, word), (groups, 1), (groups, reads), (groups, reads, word), (groups, reads)]
        emitted, gates, write_weights, *rest = (like.new_empty(steps, *size) for size in sizes)
        return [emitted, gates, slots[0], write_weights, slots[1], *rest]

    def rooms(self, like: Tensor, rows: int) -> tuple[Any, ...]:
        """Room to work in, of all rows: what was read before a step, what is added, what is read."""
        before, words = self.rooms_back(like, rows)
        return before, numbers(like.new_empty(rows, self.writes_a_step, self.word)), words

    def rooms_back(self, like: Tensor, rows: int) -> tuple[Any, ...]:
        """The same for the way back."""
        slots = torch.empty(rows, self.heads, self.reads, dtype=torch.int64)
        before = sam_loops.Before(numbers(slots), numbers(like.new_empty(rows, self.heads, self.reads)))
        return before, numbers(like.new_empty(rows, self.heads, self.word))

    def touched(self, tape: Sequence[Tensor]) -> Tensor:
        """The slots of all steps, those written and those read of each: int64 [B, T H (2 C + 1)]."""
        kept = sam_loops.Tape(*tape)
        return torch.cat([kept.write_slots.flatten(2), kept.found.flatten(2)], 2).transpose(0, 1).flatten(1)

    def last(self, tape: Sequence[Tensor], slot: int) -> tuple[Tensor, Tensor]:
        """The slots and weights read at a step."""
        kept = sam_loops.Tape(*tape)
        return kept.found[slot].clone(), kept.weights[slot].clone()

    def about_to_write(
        self, arguments: Sequence[Any], rooms: Sequence[Any], now: int, row: int
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """See the function of that name."""
        tape = next(part for part in arguments if isinstance(part, sam_loops.Tape))
        return about_to_write(tape, rooms[1], now, row)


def about_to_write(tape: Any, added: Any, now: int, row: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of a step that is yet to be made: slots, which are kept, words added, and keys; -1 and 0 for other rows.

    Args:
        tape: of the loops, with ``write_slots`` and ``emitted``.
        added: [B, H (C + 1), W], of that step.
        now: the step.
        row: of the batch.
    """
    slot, (rows, heads, width) = now % len(tape.emitted), tape.write_slots.shape[1:]
    slots = torch.full((rows, heads * width), -1)
    slots[row] = torch.from_numpy(tape.write_slots[slot, row]).flatten()
    keep = torch.ones(rows, heads, width, dtype=torch.bool)
    keep[..., -1] = False
    words = torch.zeros_like(torch.from_numpy(added))
    words[row] = torch.from_numpy(added[row])
    keys = words.new_zeros(rows, heads, added.shape[2])
    keys[row] = torch.from_numpy(tape.emitted[slot, row, : heads * added.shape[2]]).view(heads, -1)
    return slots, keep.flatten(1), words, keys
