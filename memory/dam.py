"""Dense Access Memory (Rae et al. 2016, arXiv 1610.09027, section 3.2): the twin of SAM that touches every slot.

Legend: B batch, D input width, K output width, H heads, N slots, W word size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lukasa.memory import addressing
from lukasa.memory.controlled import Controlled, Shown
from lukasa.memory.controllers import WINDOW, Kind
from lukasa.memory.heads import Heads, parse, widths
from lukasa.memory.least_used import discounted_usage, least_used_slots


class DAMState(NamedTuple):
    """Everything a DAM carries from one step to the next."""

    memory: Tensor  # [B, N, W]
    usage: Tensor  # [B, N], non-negative; no gradient
    read_weights: Tensor  # [B, H, N], sums to 1
    reads: Tensor  # [B, H, W], what the heads read at the step before
    controller: Any


class DAM(Controlled):
    """Dense Access Memory: each head writes to what it read before or to the least used slot, then reads by content.

    Args:
        input_size: D.
        output_size: K.
        slots: number of memory slots (N).
        word_size: numbers in each slot (W).
        heads: number of heads, each of which writes and reads (H).
        controller: kind of network that reads the input and steers the heads.
        controller_size: units in each layer of the controller.
        controller_layers: number of layers of the controller.
        controller_window: steps that controller "attention" looks back; the others have no window.
        discount: share of its usage that a slot keeps from one step to the next (λ).
        initial_memory: the constant that fills the memory before the first step.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        slots: int = 64,
        word_size: int = 32,
        heads: int = 4,
        controller: Kind = "lstm",
        controller_size: int = 100,
        controller_layers: int = 1,
        controller_window: int = WINDOW,
        discount: float = 0.99,
        initial_memory: float = 1e-6,
    ):
        if heads > slots:
            raise ValueError(f"option 'heads' of core 'dam' is {heads}: expected at most {slots} (slots)")
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
        self.slots, self.word_size, self.heads = slots, word_size, heads
        self.discount, self.initial_memory = discount, initial_memory

    def initial_state(self, batch_size: int) -> DAMState:
        """Constant memory that nobody has read or written, a controller at rest."""
        zeros = self.interface.weight.new_zeros
        return DAMState(
            memory=torch.full_like(zeros(batch_size, self.slots, self.word_size), self.initial_memory),
            usage=zeros(batch_size, self.slots),
            read_weights=zeros(batch_size, self.heads, self.slots),
            reads=zeros(batch_size, self.heads, self.word_size),
            controller=self.controller.initial_state(batch_size),
        )

    def step(self, state: DAMState, emitted: Tensor) -> tuple[DAMState, Shown]:
        """Write, then read."""
        heads = self.parse(emitted)
        least_used = least_used_slots(state.usage, self.heads)  # [B, H, N]
        write_weights = dense_write_weights(state.read_weights, least_used, heads)
        kept = state.memory.masked_fill(least_used.any(1).unsqueeze(2), 0)
        memory = torch.baddbmm(kept, write_weights.transpose(1, 2), heads.words)
        read_weights = addressing.content_weights(memory, heads.keys, heads.strengths)
        reads = addressing.read(memory, read_weights)
        usage = discounted_usage(state.usage, write_weights, read_weights, self.discount)

        def shown() -> dict[str, Tensor]:
            named = {"read": read_weights, "write": write_weights, "memory": memory, "usage": usage}
            named |= {"least_used": least_used, "strengths": heads.strengths, "write_gates": heads.write_gates}
            return named | {"interpolation_gates": heads.interpolation_gates}

        return DAMState(memory, usage, read_weights, reads, state.controller), shown

    def parse(self, interface: Tensor) -> Heads:
        """Split and squash what the controller emits, [B, sum of widths]."""
        return parse(interface, self.heads, self.word_size)


def dense_write_weights(prev_read_weights: Tensor, least_used: Tensor, heads: Heads) -> Tensor:
    """Where the heads write; w^W = α (γ w^R_{t-1} + (1 − γ) 1_LRA), eq. 5.

    Args:
        prev_read_weights: [B, H, N], w^R_{t-1}.
        least_used: bool [B, H, N].
        heads: gates α and γ.

    Returns:
        [B, H, N]; non-negative, sums to at most 1.
    """
    gates = heads.interpolation_gates.unsqueeze(2)
    return heads.write_gates.unsqueeze(2) * torch.lerp(least_used.to(gates.dtype), prev_read_weights, gates)
