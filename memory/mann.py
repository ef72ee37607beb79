"""Memory-augmented network with least recently used access (Santoro et al. 2016, section 3.2).

Legend: B batch, D input width, K output width, H heads, N slots, W word size.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from lukasa.memory import addressing
from lukasa.memory.controlled import Controlled, Shown
from lukasa.memory.controllers import WINDOW, Kind
from lukasa.memory.kernels.content import content_weights
from lukasa.memory.least_used import discounted_usage, least_used_slots


class MANNState(NamedTuple):
    """Everything a MANN carries from one step to the next."""

    memory: Tensor  # [B, N, W]
    usage: Tensor  # [B, N], non-negative; no gradient
    read_weights: Tensor  # [B, H, N], sums to 1
    reads: Tensor  # [B, H, W], what the heads read at the step before
    controller: Any


class Heads(NamedTuple):
    """What the controller tells the heads."""

    keys: Tensor  # [B, H, W], k: sought by the read
    write_gates: Tensor  # [B, H], σ(α) in [0, 1]; 1 writes to what was read
    words: Tensor | None  # [B, H, W], what is written; None: the keys
    strengths: Tensor | None  # [B, H], at least 1, of the keys; None: 1


class MANN(Controlled):
    """Least recently used access: heads write keys where they read before or to least used slots, then read by content.

    Args:
        input_size: D.
        output_size: K.
        slots: number of memory slots (N).
        word_size: numbers in each slot (W).
        read_heads: number of heads that read, each of which writes as well (H).
        words: what a head writes: its key, as in the paper, or a word of its own.
        key_strength: what multiplies the cosines before the softmax: 1, as in the paper, or a strength that each head
            emits, of at least 1, as in a DNC.
        controller: kind of network that reads the input and steers the heads.
        controller_size: units in each layer of the controller.
        controller_layers: number of layers of the controller.
        controller_window: steps that controller "attention" looks back; the others have no window.
        discount: share of its usage that a slot keeps from one step to the next (γ).
        initial_memory: the constant that fills the memory before the first step.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        slots: int = 128,
        word_size: int = 40,
        read_heads: int = 4,
        words: Literal["keys", "own"] = "keys",
        key_strength: Literal["one", "emitted"] = "one",
        controller: Kind = "lstm",
        controller_size: int = 200,
        controller_layers: int = 1,
        controller_window: int = WINDOW,
        discount: float = 0.95,
        initial_memory: float = 1e-6,
    ):
        if read_heads > slots:
            raise ValueError(f"option 'read_heads' of core 'mann' is {read_heads}: expected at most {slots} (slots)")
        read_size, strengths = read_heads * word_size, read_heads if key_strength == "emitted" else 0
        widths = [read_size, read_heads, read_size if words == "own" else 0, strengths]
        super().__init__(
            input_size,
            output_size,
            controller=controller,
            controller_size=controller_size,
            controller_layers=controller_layers,
            controller_window=controller_window,
            read_size=read_size,
            interface_size=sum(widths),
        )
        self.slots, self.word_size, self.read_heads, self.widths = slots, word_size, read_heads, widths
        self.discount, self.initial_memory = discount, initial_memory

    def initial_state(self, batch_size: int) -> MANNState:
        """Constant memory that nobody has read or written, a controller at rest."""
        zeros = self.interface.weight.new_zeros
        return MANNState(
            memory=torch.full_like(zeros(batch_size, self.slots, self.word_size), self.initial_memory),
            usage=zeros(batch_size, self.slots),
            read_weights=zeros(batch_size, self.read_heads, self.slots),
            reads=zeros(batch_size, self.read_heads, self.word_size),
            controller=self.controller.initial_state(batch_size),
        )

    def step(self, state: MANNState, emitted: Tensor) -> tuple[MANNState, Shown]:
        """Write, then read."""
        heads = self.parse(emitted)
        least_used = least_used_slots(state.usage, self.read_heads)  # [B, H, N]
        write_weights = lrua_write_weights(state.read_weights, least_used, heads.write_gates)
        kept = state.memory.masked_fill(least_used.any(1).unsqueeze(2), 0)
        words = heads.keys if heads.words is None else heads.words
        strengths = torch.ones_like(heads.write_gates) if heads.strengths is None else heads.strengths
        memory = torch.baddbmm(kept, write_weights.transpose(1, 2), words)
        read_weights = content_weights(memory, heads.keys, strengths)
        reads = addressing.read(memory, read_weights)
        usage = discounted_usage(state.usage, write_weights, read_weights, self.discount)

        def shown() -> dict[str, Tensor]:
            named = {"read": read_weights, "write": write_weights, "memory": memory, "usage": usage}
            return named | {"least_used": least_used, "strengths": strengths, "write_gates": heads.write_gates}

        return MANNState(memory, usage, read_weights, reads, state.controller), shown

    def parse(self, interface: Tensor) -> Heads:
        """Split and squash what the controller emits, [B, sum of widths]."""
        keys, gates, words, strengths = interface.split(self.widths, 1)
        keys = keys.unflatten(1, (self.read_heads, -1))
        return Heads(
            keys=keys,
            write_gates=torch.sigmoid(gates),
            words=words.view_as(keys) if words.shape[1] else None,
            strengths=addressing.oneplus(strengths) if strengths.shape[1] else None,
        )


def lrua_write_weights(prev_read_weights: Tensor, least_used: Tensor, write_gates: Tensor) -> Tensor:
    """Where the heads write; w^w_t = σ(α) w^r_{t-1} + (1 − σ(α)) w^lu_{t-1}.

    Args:
        prev_read_weights: [B, H, N], w^r_{t-1}.
        least_used: bool [B, H, N], w^lu_{t-1}, one slot for each head.
        write_gates: [B, H], σ(α).

    Returns:
        [B, H, N]; non-negative, sums to 1, or to 1 − σ(α) where nothing was read.
    """
    return torch.lerp(least_used.to(write_gates.dtype), prev_read_weights, write_gates.unsqueeze(2))
