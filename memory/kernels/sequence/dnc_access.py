"""The DNC's memory as tensors in the layout of the compiled functions.

Legend: B batch, T time, Z steps that are kept, L steps whose links are kept, C checkpoints, R read heads, N slots,
W word size, I numbers of the interface.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.dnc import GATES
from lukasa.memory.kernels.sequence import dnc
from lukasa.memory.kernels.sequence.dnc_memory import heads_of
from lukasa.memory.kernels.sequence.dnc_restoring import EVERY, checkpoints_for, steps_apart
from lukasa.memory.kernels.sequence.packing import numbers

CACHE_BYTES = 1 << 20
"""The links of the rows that are worked on together should stay within so much."""


class DNCAccess:
    """What the sequence function needs to know of a DNC's memory."""

    compiled = dnc
    carried = dnc.Tape._fields[2:8]
    """What the tape holds of the native state."""
    constant = ()
    passing = (4,)
    """What of the tape backward does without: the links."""
    passing_gradients = (2,)
    """Fields of the state whose gradient needs no place where nobody gives or asks for it: the links."""
    constant_shown = (7,)
    """What a recording shows and no gradient passes through: the allocation."""

    def __init__(self, core: Any):
        self.slots, self.word, self.readers = core.slots, core.word_size, core.read_heads
        self.heads = heads_of(self.readers, self.word, not core.stop_usage_gradient)
        self.interface, self.parse = sum(core.widths), core.parse
        self.recording = core.recorder is not None

    def rows_at_once(self, like: Tensor) -> int:
        """Small enough for the processor's cache."""
        rows = CACHE_BYTES // (self.slots * self.slots * like.element_size())
        return max(1, min(16, rows - rows % 4 if rows > 4 else rows))

    def to_native(self, fields: Sequence[Tensor]) -> list[Tensor]:
        """Memory as [B, W, N], write weights as [B, 1, N], the others as they are."""
        memory, *others, write_weights = fields
        return [memory.transpose(1, 2), *others, write_weights.unsqueeze(1)]

    def from_native(self, native: Sequence[Tensor]) -> list[Tensor]:
        """The reverse."""
        memory, *others, write_weights = native
        return [memory.transpose(1, 2).contiguous(), *others, write_weights.squeeze(1)]

    def native_arrays(self, fields: Sequence[Any]) -> list[Any]:
        """``to_native`` of arrays, for a single step; some may not be contiguous."""
        memory, *others, write_weights = fields
        return [memory.transpose(0, 2, 1), *others, write_weights[:, None]]

    def field_arrays(self, native: Sequence[Any]) -> list[Any]:
        """The reverse; the memory stays as it lies."""
        memory, *others, write_weights = native
        return [memory.transpose(0, 2, 1), *others, write_weights[:, 0]]

    def fresh_gradients(self, like: Sequence[Tensor], asked: Sequence[bool]) -> list[Tensor]:
        """Room for the gradients of the state to which rows are reset; none of large fields not asked for."""
        large = {0: asked[0], 2: asked[2]}
        return [torch.zeros_like(part if large.get(index, True) else part[:0]) for index, part in enumerate(like)]

    def tape(self, like: Tensor, rows: int, steps: int) -> list[Tensor]:
        """Room for what is kept of the steps."""
        slots, readers, count = self.slots, self.readers, self.readers + 1
        sizes = [(self.interface,), (self.interface,), (self.word, slots), (slots,), (slots,)]
        sizes += [(readers, slots), (1, slots), (slots,), (count, slots), (count, slots), (count, 1)]
        sizes += [(readers, slots), (readers, slots), (slots,)]
        tensors = [like.new_empty(rows, steps, *size) for size in sizes]
        tensors.insert(4, like.new_empty(rows, steps if self.recording else 1, slots, slots))
        order = like.new_empty(rows, steps, slots, dtype=torch.int64)
        return [*tensors, order, like.new_empty(rows, checkpoints_for(steps), slots, slots)]

    def room(self, like: Tensor, rows: int = 0, steps: int = 0) -> dnc.Room:
        """Room to work in, for one row.

        Args:
            like: of the dtype of all numbers.
            rows: worked on together; for backward there is room for the links of each.
            steps: that backward goes through, 0 forward.
        """
        slots, readers, count = self.slots, self.readers, self.readers + 1
        sizes = [(slots,), (slots,), (slots,), (2, count, self.word), (count, slots), (count, slots)]
        sizes += [(readers, slots)] * 3 + [(slots,), (4, slots)]
        bases = steps_apart(steps, checkpoints_for(steps)) // EVERY
        sizes += [(rows, max(0, bases - 1), slots, slots), (rows if steps else 0, slots, slots)]
        parts = [like.new_empty(size) for size in sizes]
        parts[2] = parts[2].new_empty(slots, dtype=torch.int64)
        return dnc.Room(*map(numbers, parts))

    def last(self, tape: Sequence[Tensor], slot: int) -> list[Tensor]:
        """The native state after a step."""
        memory, *others = dnc.Tape(*tape)[2:8]
        return [memory[:, slot], *(part[:, slot % part.shape[1]].contiguous() for part in others)]

    def watched(self, tape: Sequence[Tensor]) -> list[Tensor]:
        """What a recording shows: the interface, the state and the allocation."""
        named = dnc.Tape(*tape)
        return [named.emitted, *named[2:8], named.allocation]

    def recorded(self, watched: Sequence[Tensor]) -> dict[str, Tensor]:
        """By the names of ``DNC``, each [B, T, ...]."""
        emitted, memory, usage, links, precedence, read, write, allocation = watched
        told = self.parse(emitted.flatten(0, 1))
        named = {"read": read, "write": write, "memory": memory.transpose(2, 3), "usage": usage, "links": links}
        named |= {"allocation": allocation, "precedence": precedence}
        return named | {name: getattr(told, name).unflatten(0, emitted.shape[:2]) for name in GATES}

    def shown(self, emitted: Tensor, step: dict[str, Tensor]) -> list[Tensor]:
        """The same of one step of the equations."""
        names = ("usage", "links", "precedence", "read", "write", "allocation")
        return [emitted, step["memory"].transpose(1, 2), *(step[name] for name in names)]
