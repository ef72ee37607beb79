"""The memory of a MANN or a DAM as tensors in the layout of the compiled functions.

Legend: B batch, T time, Z steps that are kept, H heads, N slots, W word size, I numbers of the interface.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa.memory.heads import gates
from lukasa.memory.kernels.sequence import mann
from lukasa.memory.kernels.sequence.mann_memory import Heads
from lukasa.memory.kernels.sequence.packing import numbers
from lukasa.memory.kernels.sequence.threads import ROWS


class MANNAccess:
    """What the sequence function needs to know of the memory of a MANN or a DAM.

    Args:
        slots: N.
        heads: of the core.
        parse: what a recording shows of the interface [X, I]: strengths and gates [X, H].
    """

    compiled = mann
    carried = ("memory", "usage", "weights")
    """What the tape holds of the native state."""
    constant = (1,)
    """Fields of the state that no gradient passes through: the usage."""
    constant_shown = (4, 5)
    """Likewise of what a recording shows: usage and least used slots."""
    passing = passing_gradients = ()

    def __init__(self, slots: int, heads: Heads, parse: Callable[[Tensor], dict[str, Tensor]]):
        self.slots, self.word, self.heads, self.parse = slots, heads.word, heads, parse
        self.interface = heads.emitted

    def rows_at_once(self, like: Tensor) -> int:
        """Enough for the weights of the layers to be fetched seldom."""
        del like
        return ROWS

    def to_native(self, fields: Sequence[Tensor]) -> list[Tensor]:
        """Memory, usage and read weights as memory [B, W, N], usage and weights."""
        memory, usage, weights = fields
        return [memory.transpose(1, 2), usage, weights]

    def from_native(self, native: Sequence[Tensor]) -> list[Tensor]:
        """The reverse."""
        memory, usage, weights = native
        return [memory.transpose(1, 2).contiguous(), usage, weights]

    def native_arrays(self, fields: Sequence[Any]) -> list[Any]:
        """``to_native`` of arrays, for a single step; some may not be contiguous."""
        memory, *others = fields
        return [memory.transpose(0, 2, 1), *others]

    def field_arrays(self, native: Sequence[Any]) -> list[Any]:
        """The reverse; the memory stays as it lies."""
        memory, *others = native
        return [memory.transpose(0, 2, 1), *others]

    def fresh_gradients(self, like: Sequence[Tensor], asked: Sequence[bool]) -> list[Tensor]:
        """Room for the gradients of the state to which rows are reset; none for a memory of which none is asked for."""
        memory, *others = like
        return [torch.zeros_like(memory if asked[0] else memory[:0]), *map(torch.zeros_like, others)]

    def tape(self, like: Tensor, rows: int, steps: int) -> list[Tensor]:
        """Room for what is kept of the steps."""
        count, slots = self.heads.readers, self.slots
        sizes = [(self.interface,), (self.heads.told,), (self.word, slots), (slots,)]
        sizes += [(count, slots)] * 3 + [(slots,), (count,), (count, 1)]
        return [like.new_empty(rows, steps, *size) for size in sizes]

    def room(self, like: Tensor, rows: int = 0, steps: int = 0) -> mann.Room:
        """Room to work in, for one row; the same for any number of them and any sequence."""
        del rows, steps
        count, slots = self.heads.readers, self.slots
        sizes = [(slots,), (2, count, self.word), (count, slots), (count, slots), (self.heads.told,)]
        return mann.Room(*(numbers(like.new_empty(size)) for size in sizes))

    def last(self, tape: Sequence[Tensor], slot: int) -> list[Tensor]:
        """The native memory, usage and weights after a step."""
        named = mann.Tape(*tape)
        return [named.memory[:, slot], named.usage[:, slot].contiguous(), named.weights[:, slot].contiguous()]

    def watched(self, tape: Sequence[Tensor]) -> list[Tensor]:
        """What a recording shows: the interface, the memory, both weights, the usage and the least used slots."""
        named = mann.Tape(*tape)
        return [named.emitted, named.memory, named.weights, named.write_weights, named.usage, named.least_used]

    def recorded(self, watched: Sequence[Tensor]) -> dict[str, Tensor]:
        """By the names of ``MANN``, each [B, T, ...]."""
        emitted, memory, read, write, usage, least_used = watched
        gates = {name: part.unflatten(0, emitted.shape[:2]) for name, part in self.parse(emitted.flatten(0, 1)).items()}
        named = {"read": read, "write": write, "memory": memory.transpose(2, 3), "usage": usage}
        return named | {"least_used": F.one_hot(least_used.long(), self.slots).bool()} | gates

    def shown(self, emitted: Tensor, step: dict[str, Tensor]) -> list[Tensor]:
        """The same of one step of the equations."""
        least_used = step["least_used"].long().argmax(-1).to(emitted.dtype)
        return [emitted, step["memory"].transpose(1, 2), step["read"], step["write"], step["usage"], least_used]


def mann_access(core: Any) -> MANNAccess:
    """Of a MANN."""
    count = core.read_heads
    keys, gates, words, strengths = core.widths
    written, place = keys + gates if words else 0, keys + gates + words
    heads = Heads(
        count, core.word_size, keys, place + count, written, place, 1.0, place + strengths, place + 2 * count,
        float(core.discount),
    )  # fmt: skip

    def shown(interface: Tensor) -> dict[str, Tensor]:
        told = core.parse(interface)
        strengths = torch.ones_like(told.write_gates) if told.strengths is None else told.strengths
        return {"strengths": strengths, "write_gates": told.write_gates}

    return MANNAccess(core.slots, heads, shown)


def dam_access(core: Any) -> MANNAccess:
    """Of a DAM."""
    count, size = core.heads, core.heads * core.word_size
    places = {"gates": 2 * size + 2 * count, "opens": 2 * size + count, "words": size, "strengths": 2 * size}
    emitted = sum(core.widths)
    heads = Heads(count, core.word_size, least=0.0, emitted=emitted, told=emitted, discount=core.discount, **places)
    return MANNAccess(core.slots, heads, lambda interface: gates(core.parse(interface)))
