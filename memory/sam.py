"""Sparse Access Memory (Rae et al. 2016, arXiv 1610.09027, section 3).

Legend: B batch, D input width, K output width, H heads, N slots, W word size, C slots that a head reads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lukasa.memory.controlled import Controlled, Shown
from lukasa.memory.controllers import WINDOW, Kind
from lukasa.memory.heads import Heads, gates, parse, widths
from lukasa.memory.kernels.sparse_access import access
from lukasa.memory.sparse import SparseMemory
from lukasa.memory.sparse.layout import IndexName, IndexOptions, Storage, sparse_dtypes
from lukasa.memory.sparse.weightings import last, recorded


class SAMState(NamedTuple):
    """Everything a SAM carries from one step to the next."""

    memory: SparseMemory
    read_slots: Tensor  # int64 [B, H, C], -1 where fewer are written
    read_weights: Tensor  # [B, H, C], sums to 1; 0 where the slot is -1
    reads: Tensor  # [B, H, W], what the heads read at the step before
    controller: Any


class SAM(Controlled):
    """Sparse Access Memory: each head writes to what it read before or to the oldest slot, then reads its nearest.

    Args:
        input_size: D.
        output_size: K.
        slots: number of memory slots (N); what is never written costs nothing.
        word_size: numbers in each slot (W).
        heads: number of heads, each of which writes and reads (H).
        reads: number of slots that a head reads at a step (C; K in the paper).
        controller: kind of network that reads the input and steers the heads.
        controller_size: units in each layer of the controller.
        controller_layers: number of layers of the controller.
        controller_window: steps that controller "attention" looks back; the others have no window.
        index: how the nearest slots are found: auto, exact, lists, faiss, lsh, or package.module:Class of your own;
            "auto" picks by size and device.
        index_options: options of the index, as lukasa list indexes names them.
        storage: how rows are kept: "full" in the core's own precision; half the memory in float16 and bfloat16.
        delta: weight of a read or a write above which a slot counts as accessed (δ).
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        slots: int = 65536,
        word_size: int = 32,
        heads: int = 4,
        reads: int = 4,
        controller: Kind = "lstm",
        controller_size: int = 100,
        controller_layers: int = 1,
        controller_window: int = WINDOW,
        index: IndexName = "auto",
        index_options: IndexOptions = None,
        storage: Storage = "full",
        delta: float = 0.005,
    ):
        for option, value in (("reads", reads), ("heads", heads)):
            if value > slots:
                raise ValueError(f"option {option!r} of core 'sam' is {value}: expected at most {slots} (slots)")
        super().__init__(
            input_size,
            output_size,
            controller=controller,
            controller_size=controller_size,
            controller_layers=controller_layers,
            controller_window=controller_window,
            read_size=heads * word_size,
            interface_size=sum(widths(heads, word_size)),
        )
        self.widths = widths(heads, word_size)
        self.slots, self.word_size, self.heads, self.reads = slots, word_size, heads, reads
        self.sparse = {"index": index, "index_options": index_options, "storage": storage, "delta": delta}

    def initial_state(self, batch_size: int) -> SAMState:
        """An empty memory that nobody has read, a controller at rest."""
        zeros = self.interface.weight.new_zeros
        where = {**sparse_dtypes(self.interface.weight.dtype, self.sparse), "device": self.interface.weight.device}
        memory = SparseMemory.empty(batch_size, self.slots, self.word_size, **where)
        return SAMState(
            memory=memory,
            read_slots=torch.full((batch_size, self.heads, self.reads), -1, device=self.interface.weight.device),
            read_weights=zeros(batch_size, self.heads, self.reads),
            reads=zeros(batch_size, self.heads, self.word_size),
            controller=self.controller.initial_state(batch_size),
        )

    def step(self, state: SAMState, emitted: Tensor) -> tuple[SAMState, Shown]:
        """Write, search, read."""
        after = access(state.memory, emitted, state.read_slots, state.read_weights)

        def shown() -> dict[str, Tensor]:
            read, write = (after.read_slots, after.read_weights), (after.write_slots, after.write_weights)
            named = recorded(after.memory.slots, {"read": read, "write": write, "least_used": last(after.write_slots)})
            return named | gates(self.parse(emitted))

        return SAMState(after.memory, after.read_slots, after.read_weights, after.reads, state.controller), shown

    def parse(self, interface: Tensor) -> Heads:
        """Split and squash what the controller emits, [B, sum of widths]."""
        return parse(interface, self.heads, self.word_size)
