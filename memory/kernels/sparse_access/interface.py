"""What goes into an access of SAM and what comes out of it.

Legend: B batch, H heads, W word size, C slots that a head reads.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from torch import Tensor

from lukasa.memory.sparse.slot_memory import SlotMemory

Memory = TypeVar("Memory", bound=SlotMemory)


class Access(NamedTuple, Generic[Memory]):
    """The memory after a step, and what the heads did."""

    memory: Memory
    read_slots: Tensor  # int64 [B, H, C], -1 where fewer are written
    read_weights: Tensor  # [B, H, C], sums to 1; 0 where the slot is -1
    reads: Tensor  # [B, H, W]
    write_slots: Tensor  # int64 [B, H, C + 1], the least recently accessed one last
    write_weights: Tensor  # [B, H, C + 1]; to look at, no gradient need flow out of it
