"""The Sparse Differentiable Neural Computer (Rae et al. 2016, arXiv 1610.09027, supplement D).

Legend: B batch, D input width, K output width, H heads, N slots, W word size, C slots that a head reads, E entries of a
row of links.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa.memory.controlled import Controlled, Shown
from lukasa.memory.controllers import WINDOW, Kind
from lukasa.memory.heads import gates
from lukasa.memory.sparse import SparseMemory
from lukasa.memory.sparse.layout import IndexName, IndexOptions, Storage, sparse_dtypes
from lukasa.memory.sparse.link_tables import Decay
from lukasa.memory.sparse.links import SparseLinks
from lukasa.memory.sparse.weightings import largest_sums, last, recorded, sparse_content_weights


class SDNCState(NamedTuple):
    """Everything an SDNC carries from one step to the next."""

    memory: SparseMemory
    links: SparseLinks
    read_slots: Tensor  # int64 [B, H, C], -1 where a head reads fewer
    read_weights: Tensor  # [B, H, C], sums to at most 1 with link_decay "both"; 0 where the slot is -1
    reads: Tensor  # [B, H, W], what the heads read at the step before
    controller: Any


class Heads(NamedTuple):
    """What the controller tells the heads."""

    keys: Tensor  # [B, H, W], q
    words: Tensor  # [B, H, W], a
    strengths: Tensor  # [B, H], β, positive
    write_gates: Tensor  # [B, H], α in [0, 1]
    interpolation_gates: Tensor  # [B, H], γ in [0, 1]; 1 writes to what was read
    read_modes: Tensor  # [B, H, 3], π: backward, by content, forward; sums to 1


class SDNC(Controlled):
    """Sparse Differentiable Neural Computer: a SAM whose heads also read what was written before or after.

    Args:
        input_size: D.
        output_size: K.
        slots: number of memory slots (N); what is never written costs nothing.
        word_size: numbers in each slot (W).
        heads: number of heads, each of which writes and reads (H).
        reads: number of slots a head finds by content, and reads in all (C; K in the paper).
        links: number of entries that a row of the link matrices keeps (E; K_L in the paper).
        link_decay: whether a link fades when its later slot is written, as in the paper, or either of "both", as in the
            DNC; only then does no head ever read more than 1 in all.
        controller: kind of network that reads the input and steers the heads.
        controller_size: units in each layer of the controller.
        controller_layers: layers of the controller; of recurrent ones all steer the heads, as in the DNC.
        controller_window: steps that controller "attention" looks back; the others have no window.
        index: how the nearest slots are found: auto, exact, lists, faiss, lsh, or package.module:Class of your own;
            "auto" picks by size and device.
        index_options: options of that index.
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
        links: int = 8,
        link_decay: Decay = "later",
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
                raise ValueError(f"option {option!r} of core 'sdnc' is {value}: expected at most {slots} (slots)")
        widths = [heads * word_size, heads * word_size, heads, 2 * heads, 3 * heads]
        super().__init__(
            input_size,
            output_size,
            controller=controller,
            controller_size=controller_size,
            controller_layers=controller_layers,
            controller_window=controller_window,
            read_size=heads * word_size,
            interface_size=sum(widths),
            all_layers_steer=True,
        )
        self.slots, self.word_size, self.heads, self.reads = slots, word_size, heads, reads
        self.sparse = {"index": index, "index_options": index_options, "storage": storage, "delta": delta}
        self.linking = {"entries": links, "decay": link_decay}
        self.widths = widths

    def initial_state(self, batch_size: int) -> SDNCState:
        """An empty memory without links that nobody has read, a controller at rest."""
        weight = self.interface.weight
        where = {**sparse_dtypes(weight.dtype, self.sparse), "device": weight.device}
        return SDNCState(
            memory=SparseMemory.empty(batch_size, self.slots, self.word_size, **where),
            links=SparseLinks.empty(batch_size, self.slots, device=weight.device, **self.linking),
            read_slots=torch.full((batch_size, self.heads, self.reads), -1, device=weight.device),
            read_weights=weight.new_zeros(batch_size, self.heads, self.reads),
            reads=weight.new_zeros(batch_size, self.heads, self.word_size),
            controller=self.controller.initial_state(batch_size),
        )

    def step(self, state: SDNCState, emitted: Tensor) -> tuple[SDNCState, Shown]:
        """Write, link what was written, read."""
        heads = self.parse(emitted)
        oldest = state.memory.least_recent(self.heads)
        write_slots, write_weights = write_weighting(state, oldest, heads)
        keep = torch.ones_like(write_slots, dtype=torch.bool)
        keep[..., -1] = False
        added = write_weights.unsqueeze(3) * heads.words.unsqueeze(2)  # [B, H, C + 1, W]
        memory = state.memory.write(write_slots.flatten(1), keep.flatten(1), added.flatten(1, 2))
        links = state.links if state.links.slots == memory.slots else state.links.grow(memory.slots)
        links = links.update(write_slots.flatten(1), write_weights.flatten(1), oldest)

        found = memory.search(heads.keys, self.reads)
        rows, memory = memory.read(found)
        content = sparse_content_weights(rows, found, heads.keys, heads.strengths)
        linked, reached = links.follow(state.read_slots, state.read_weights)
        slots, weights = read_weighting(found, content, linked, reached, heads.read_modes)
        rows, memory = memory.read(slots)
        reads = torch.matmul(weights.unsqueeze(2), rows).squeeze(2)  # [B, H, W]
        accessed = torch.cat([write_weights.detach(), weights.detach()], 2)
        memory = memory.access(torch.cat([write_slots, slots], 2).flatten(1), accessed.flatten(1))

        def shown() -> dict[str, Tensor]:
            weightings = {"read": (slots, weights), "write": (write_slots, write_weights)}
            named = recorded(memory.slots, weightings | {"least_used": last(write_slots)})
            return named | gates(heads) | {"read_modes": heads.read_modes}

        return SDNCState(memory, links, slots, weights, reads, state.controller), shown

    def parse(self, interface: Tensor) -> Heads:
        """Split and squash what the controller emits, [B, sum of widths]."""
        keys, words, strengths, gates, modes = torch.split_with_sizes(interface, self.widths, 1)
        write_gates, interpolation_gates = torch.sigmoid(gates).chunk(2, 1)
        return Heads(
            keys=keys.unflatten(1, (self.heads, -1)),
            words=words.unflatten(1, (self.heads, -1)),
            strengths=F.softplus(strengths),
            write_gates=write_gates,
            interpolation_gates=interpolation_gates,
            read_modes=torch.softmax(modes.unflatten(1, (self.heads, 3)), -1),
        )


def write_weighting(state: SDNCState, oldest: Tensor, heads: Heads) -> tuple[Tensor, Tensor]:
    """Where the heads write, as in SAM; w^W = α (γ w^R_{t-1} + (1 − γ) 1_LRA), Rae et al. 2016, eq. 5.

    Args:
        state: with the weightings read at the step before.
        oldest: int64 [B, H], each head's own least recently accessed slot.
        heads: gates α and γ.

    Returns:
        Slots and weights [B, H, C + 1]; the oldest slot comes last.
    """
    to_read = heads.write_gates * heads.interpolation_gates  # [B, H]
    to_oldest = heads.write_gates - to_read
    slots = torch.cat([state.read_slots, oldest.unsqueeze(2)], 2)
    return slots, torch.cat([to_read.unsqueeze(2) * state.read_weights, to_oldest.unsqueeze(2)], 2)


def read_weighting(
    found: Tensor, content: Tensor, linked: Tensor, reached: Tensor, read_modes: Tensor
) -> tuple[Tensor, Tensor]:
    """Where the heads read; w^r_t = π[1] b + π[2] c + π[3] f in Graves et al. 2016, Methods, its C largest entries.

    Args:
        found: int64 [B, H, C], slots found by content.
        content: [B, H, C], c.
        linked: int64 [B, H, 2, C * E], slots written before and after those read.
        reached: [B, H, 2, C * E], b and f.
        read_modes: [B, H, 3], π; non-negative, sums to 1.

    Returns:
        Slots and weights [B, H, C], largest first; -1 and 0 for none.
    """
    back, by_content, ahead = read_modes.unsqueeze(3).unbind(2)  # [B, H, 1]
    slots = torch.cat([found, linked.flatten(2)], 2)
    weights = torch.cat([by_content * content, back * reached[:, :, 0], ahead * reached[:, :, 1]], 2)
    return largest_sums(slots, weights, found.shape[2])
