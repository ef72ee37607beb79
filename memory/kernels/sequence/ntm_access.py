"""The NTM's memory as tensors in the layout of the compiled functions.

Legend: B batch, T time, Z steps that are kept, R read heads, P write heads, H = R + P, N slots, W word size,
I numbers of the interface.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lukasa.memory.kernels.sequence import ntm
from lukasa.memory.kernels.sequence.ntm_address import heads_of
from lukasa.memory.kernels.sequence.packing import numbers
from lukasa.memory.kernels.sequence.threads import ROWS
from lukasa.memory.ntm import ADDRESSING


class NTMAccess:
    """What the sequence function needs to know of an NTM's memory."""

    compiled = ntm
    carried = ("memory", "weights")
    """What the tape holds of the native state."""
    constant = constant_shown = passing = passing_gradients = ()

    def __init__(self, core: Any):
        self.readers, self.writers = core.read_heads, core.write_heads
        self.slots, self.word = core.slots, core.word_size
        shifts = core.widths[3] // (self.readers + self.writers)
        self.heads = heads_of(self.readers, self.writers, self.word, shifts)
        self.interface = sum(core.widths)
        self.parse = core.parse

    def rows_at_once(self, like: Tensor) -> int:
        """Enough for the weights of the layers to be fetched seldom."""
        del like
        return ROWS

    def to_native(self, fields: Sequence[Tensor]) -> list[Tensor]:
        """Memory, read weights and write weights as memory [B, W, N] and weights [B, H, N]."""
        memory, read_weights, write_weights = fields
        return [memory.transpose(1, 2), torch.cat([read_weights, write_weights], 1)]

    def from_native(self, native: Sequence[Tensor]) -> list[Tensor]:
        """The reverse."""
        memory, weights = native
        return [memory.transpose(1, 2).contiguous(), *(part.contiguous() for part in self._split(weights, 1))]

    def native_arrays(self, fields: Sequence[Any]) -> list[Any]:
        """``to_native`` of arrays, for a single step; some may not be contiguous."""
        memory, read_weights, write_weights = fields
        return [memory.transpose(0, 2, 1), np.concatenate([read_weights, write_weights], 1)]

    def field_arrays(self, native: Sequence[Any]) -> list[Any]:
        """The reverse; the memory stays as it lies."""
        memory, weights = native
        return [memory.transpose(0, 2, 1), weights[:, : self.readers].copy(), weights[:, self.readers :].copy()]

    def fresh_gradients(self, like: Sequence[Tensor], asked: Sequence[bool]) -> list[Tensor]:
        """Room for the gradients of the state to which rows are reset; none for a memory of which none is asked for."""
        memory, *others = like
        return [torch.zeros_like(memory if asked[0] else memory[:0]), *map(torch.zeros_like, others)]

    def _split(self, weights: Tensor, dim: int) -> tuple[Tensor, ...]:
        return weights.split([self.readers, self.writers], dim)

    def tape(self, like: Tensor, rows: int, steps: int) -> list[Tensor]:
        """Room for what is kept of the steps."""
        heads = self.readers + self.writers
        sizes = [(self.interface,), (self.interface,), (self.word, self.slots), (self.slots,)]
        sizes += [(heads, self.slots)] * 5 + [(heads, 3)]
        return [like.new_empty(rows, steps, *size) for size in sizes]

    def room(self, like: Tensor, rows: int = 0, steps: int = 0) -> ntm.Room:
        """Room to work in, for one row; the same for any number of them and any sequence."""
        del rows, steps
        heads, slots, word = self.readers + self.writers, self.slots, self.word
        sizes = [(slots,), (slots,), (2, heads, word), (2, slots + self.heads.shifts), (heads, slots)]
        sizes += [(self.writers + 1, slots)]
        return ntm.Room(*(numbers(like.new_empty(size)) for size in sizes))

    def last(self, tape: Sequence[Tensor], slot: int) -> list[Tensor]:
        """The native memory and weights after a step."""
        named = ntm.Tape(*tape)
        return [named.memory[:, slot], named.weights[:, slot].contiguous()]

    def watched(self, tape: Sequence[Tensor]) -> list[Tensor]:
        """What a recording shows: the interface, the memory and the weights."""
        named = ntm.Tape(*tape)
        return [named.emitted, named.memory, named.weights]

    def recorded(self, watched: Sequence[Tensor]) -> dict[str, Tensor]:
        """By the names of ``NTM``, each [B, T, ...]."""
        emitted, memory, weights = watched
        read, write = self._split(weights, 2)
        told = self.parse(emitted.flatten(0, 1))
        named = {"read": read, "write": write, "memory": memory.transpose(2, 3)}
        for name, part in zip(ADDRESSING, told[1:5], strict=True):
            parts = self._split(part.unflatten(0, emitted.shape[:2]), 2)
            named |= {f"read_{name}": parts[0], f"write_{name}": parts[1]}
        return named

    def shown(self, emitted: Tensor, step: dict[str, Tensor]) -> list[Tensor]:
        """The same of one step of the equations."""
        weights = torch.cat([step["read"], step["write"]], 1)
        return [emitted, step["memory"].transpose(1, 2), weights]
