"""Sparse Access Memory (Rae et al. 2016, arXiv 1610.09027, section 3).

Legend: B batch, D input width, K output width, H heads, N slots, W word size, C slots that a head reads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memory.addressing import NORM_EPSILON
from memory.controllers import Kind, make_controller
from memory.core import Core, check_inputs, whole_precision
from memory.sparse import SparseMemory
from memory.sparse.layout import IndexName, IndexOptions, Storage

RECORDED_DENSELY = 4096
"""Up to so many slots ``memory.record`` shows weightings over all of them, beyond it slots and their weights."""


class SAMState(NamedTuple):
    """Everything a SAM carries from one step to the next."""

    memory: SparseMemory
    read_slots: Tensor  # int64 [B, H, C], -1 where fewer are written
    read_weights: Tensor  # [B, H, C], sums to 1; 0 where the slot is -1
    reads: Tensor  # [B, H, W], what the heads read at the step before
    controller: Any


class Heads(NamedTuple):
    """What the controller tells the heads."""

    keys: Tensor  # [B, H, W], q
    words: Tensor  # [B, H, W], a
    strengths: Tensor  # [B, H], β, positive
    write_gates: Tensor  # [B, H], α in [0, 1]
    interpolation_gates: Tensor  # [B, H], γ in [0, 1]; 1 writes to what was read


class SAM(Core):
    """Sparse Access Memory: each head writes to what it read before or to the oldest slot, then reads its nearest.

    Args:
        input_size: D.
        output_size: K.
        slots: N; what is never written costs nothing.
        word_size: W.
        heads: H, access heads; each writes and reads.
        reads: C, how many slots a head reads; the paper's K.
        controller: kind of controller.
        controller_size: units of each of its layers.
        controller_layers: number of its layers.
        index: how the nearest slots are found; "auto" picks by size and device.
        index_options: options of that index.
        storage: how rows are kept: "full" in the core's own precision; half the memory in float16 and bfloat16.
        delta: δ: a slot whose read or write weight exceeds it counts as accessed.
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
        index: IndexName = "auto",
        index_options: IndexOptions = None,
        storage: Storage = "full",
        delta: float = 0.005,
    ):
        super().__init__()
        for option, value in (("reads", reads), ("heads", heads)):
            if value > slots:
                raise ValueError(f"option {option!r} of core 'sam' is {value}: expected at most {slots} (slots)")
        self.input_size, self.output_size = input_size, output_size
        self.slots, self.word_size, self.heads, self.reads = slots, word_size, heads, reads
        self.sparse = {"index": index, "index_options": index_options, "storage": storage, "delta": delta}
        self.controller: Any = make_controller(
            controller, input_size + heads * word_size, controller_size, controller_layers
        )
        self.widths = [heads * word_size, heads * word_size, heads, 2 * heads]
        self.interface = nn.Linear(controller_size, sum(self.widths))
        self.kept: Tensor
        self.register_buffer("kept", torch.tensor([True] * reads + [False]).repeat(heads), persistent=False)
        self.output = nn.Linear(controller_size + heads * word_size, output_size)

    def initial_state(self, batch_size: int) -> SAMState:
        """An empty memory that nobody has read, a controller at rest."""
        zeros = self.interface.weight.new_zeros
        memory = SparseMemory.empty(
            batch_size,
            self.slots,
            self.word_size,
            dtype=self.interface.weight.dtype,
            device=self.interface.weight.device,
            **self.sparse,
        )
        return SAMState(
            memory=memory,
            read_slots=torch.full((batch_size, self.heads, self.reads), -1, device=self.interface.weight.device),
            read_weights=zeros(batch_size, self.heads, self.reads),
            reads=zeros(batch_size, self.heads, self.word_size),
            controller=self.controller.initial_state(batch_size),
        )

    def forward(self, inputs: Tensor, state: SAMState) -> tuple[Tensor, SAMState]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs)
        hidden, controller = self.controller(torch.cat([inputs, state.reads.flatten(1)], 1), state.controller)
        emitted = self.interface(hidden)
        with whole_precision(inputs.device):
            heads = self.parse(emitted.to(state.reads.dtype))
            write_slots, write_weights = self.write_weighting(state, heads)
            memory = self.write(state.memory, write_slots, write_weights, heads.words)
            slots = memory.search(heads.keys, self.reads)
            rows, memory = memory.read(slots)
            weights = sparse_content_weights(rows, slots, heads.keys, heads.strengths)
            reads = torch.matmul(weights.unsqueeze(2), rows).squeeze(2)  # [B, H, W]
            accessed = torch.cat([write_weights.detach(), weights.detach()], 2)
            memory = memory.access(torch.cat([write_slots, slots], 2).flatten(1), accessed.flatten(1))
        if self.recorder is not None:
            read, write = (slots, weights), (write_slots, write_weights)
            self.recorder.append(recorded(memory.slots, {"read": read, "write": write}))
        output = self.output(torch.cat([hidden, reads.flatten(1)], 1))
        return output, SAMState(memory, slots, weights, reads, controller)

    def parse(self, interface: Tensor) -> Heads:
        """Split and squash what the controller emits, [B, sum of widths]."""
        keys, words, strengths, gates = torch.split_with_sizes(interface, self.widths, 1)
        write_gates, interpolation_gates = torch.sigmoid(gates).chunk(2, 1)
        return Heads(
            keys=keys.unflatten(1, (self.heads, -1)),
            words=words.unflatten(1, (self.heads, -1)),
            strengths=F.softplus(strengths),
            write_gates=write_gates,
            interpolation_gates=interpolation_gates,
        )

    def write_weighting(self, state: SAMState, heads: Heads) -> tuple[Tensor, Tensor]:
        """Where the heads write; w^W = α (γ w^R_{t-1} + (1 − γ) 1_LRA), eq. 5.

        Returns:
            Slots [B, H, C + 1] and weights [B, H, C + 1]; last comes each head's own least recently accessed slot.
        """
        to_read = heads.write_gates * heads.interpolation_gates  # [B, H]
        to_oldest = heads.write_gates - to_read
        oldest = state.memory.least_recent(self.heads)
        slots = torch.cat([state.read_slots, oldest.unsqueeze(2)], 2)
        return slots, torch.cat([to_read.unsqueeze(2) * state.read_weights, to_oldest.unsqueeze(2)], 2)

    def write(self, memory: SparseMemory, slots: Tensor, weights: Tensor, words: Tensor) -> SparseMemory:
        """Erase the least recently accessed slots, then add all words; M_t, eq. 3."""
        added = weights.unsqueeze(3) * words.unsqueeze(2)  # [B, H, C + 1, W]
        return memory.write(slots.flatten(1), self.kept.expand(slots.shape[0], -1), added.flatten(1, 2))


def sparse_content_weights(rows: Tensor, slots: Tensor, keys: Tensor, strengths: Tensor) -> Tensor:
    """Where the rows found resemble the keys; w̃^R, the softmax of eq. 2 over the nearest words alone.

    Args:
        rows: [B, H, C, W], the words found for each key.
        slots: int64 [B, H, C], -1 where none was found.
        keys: [B, H, W], q.
        strengths: [B, H], β.

    Returns:
        [B, H, C]; sums to 1, 0 where the slot is -1.
    """
    row_scale = (rows.square().sum(-1) + NORM_EPSILON).rsqrt()  # [B, H, C]
    key_scale = (keys.square().sum(-1) + NORM_EPSILON).rsqrt() * strengths  # [B, H]
    similarity = torch.matmul(rows, (keys * key_scale.unsqueeze(2)).unsqueeze(3)).squeeze(3) * row_scale
    missing = slots < 0
    # Finite, so that a head that finds nothing at all reads zeros and not 0/0.
    weights = torch.softmax(similarity.masked_fill(missing, torch.finfo(similarity.dtype).min), -1)
    return weights.masked_fill(missing, 0)


def recorded(slots: int, weightings: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """What ``memory.record`` shows of sparse weightings.

    Args:
        slots: N.
        weightings: by name, slots and weights [B, H, C].

    Returns:
        By name, weights [B, H, N] where N is at most ``RECORDED_DENSELY``; else "name_slots" and "name_weights".
    """
    if slots > RECORDED_DENSELY:
        pairs = {f"{name}_slots": pair[0] for name, pair in weightings.items()}
        return pairs | {f"{name}_weights": pair[1] for name, pair in weightings.items()}
    shown = {}
    for name, (places, weights) in weightings.items():
        dense = weights.new_zeros(*weights.shape[:2], slots + 1)  # the last column takes what is at no slot
        shown[name] = dense.scatter_add(2, places.masked_fill(places < 0, slots), weights)[..., :slots]
    return shown
