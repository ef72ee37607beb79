"""The Differentiable Neural Computer (Graves et al. 2016, Nature 538, Methods).

Legend: B batch, D input width, K output width, R read heads, N slots, W word size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lukasa.memory import addressing
from lukasa.memory.controlled import Controlled, Shown
from lukasa.memory.controllers import WINDOW, Kind
from lukasa.memory.kernels.dnc_access import Interface, access

BOOKKEEPING = ("memory", "usage", "allocation", "links", "precedence")
GATES = ("free_gates", "allocation_gate", "write_gate", "read_modes")
"""What ``memory.record`` shows beside the weightings: of the memory, and of the interface."""


class DNCState(NamedTuple):
    """Everything a DNC carries from one step to the next."""

    memory: Tensor  # [B, N, W]
    usage: Tensor  # [B, N], each in [0, 1]
    links: Tensor  # [B, N, N], zero diagonal, rows and columns sum to at most 1
    precedence: Tensor  # [B, N], sums to at most 1
    read_weights: Tensor  # [B, R, N], sums to at most 1
    write_weights: Tensor  # [B, N], sums to at most 1
    reads: Tensor  # [B, R, W], what the heads read at the step before
    controller: Any


class DNC(Controlled):
    """Differentiable Neural Computer: one write head with dynamic allocation, read heads that follow temporal links.

    Args:
        input_size: D.
        output_size: K.
        slots: number of memory slots (N).
        word_size: numbers in each slot (W).
        read_heads: number of heads that read (R).
        controller: kind of network that reads the input and steers the heads.
        controller_size: units in each layer of the controller.
        controller_layers: layers of the controller; of recurrent ones all steer the heads, as in the paper.
        controller_window: steps that controller "attention" looks back; the others have no window.
        stop_usage_gradient: treat the write weights as constants where they enter the usage, as the published code
            does; False lets the gradient through everything, as the paper's equations do.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        slots: int = 256,
        word_size: int = 64,
        read_heads: int = 4,
        controller: Kind = "lstm",
        controller_size: int = 256,
        controller_layers: int = 1,
        controller_window: int = WINDOW,
        stop_usage_gradient: bool = False,
    ):
        # Fields that share a squashing function lie side by side, so that each function is called once.
        keys, gates = (read_heads + 1) * word_size, word_size + read_heads + 2
        widths = [keys, read_heads + 1, gates, word_size, 3 * read_heads]
        super().__init__(
            input_size,
            output_size,
            controller=controller,
            controller_size=controller_size,
            controller_layers=controller_layers,
            controller_window=controller_window,
            read_size=read_heads * word_size,
            interface_size=sum(widths),
            all_layers_steer=True,
        )
        self.slots, self.word_size, self.read_heads, self.widths = slots, word_size, read_heads, widths
        self.stop_usage_gradient = stop_usage_gradient

    def initial_state(self, batch_size: int) -> DNCState:
        """All zeros: an empty memory that nobody has read or written."""
        zeros = self.interface.weight.new_zeros
        slots, heads = self.slots, self.read_heads
        return DNCState(
            memory=zeros(batch_size, slots, self.word_size),
            usage=zeros(batch_size, slots),
            links=zeros(batch_size, slots, slots),
            precedence=zeros(batch_size, slots),
            read_weights=zeros(batch_size, heads, slots),
            write_weights=zeros(batch_size, slots),
            reads=zeros(batch_size, heads, self.word_size),
            controller=self.controller.initial_state(batch_size),
        )

    def step(self, state: DNCState, emitted: Tensor) -> tuple[DNCState, Shown]:
        """Write, link what was written, read."""
        prev_write_weights = state.write_weights.detach() if self.stop_usage_gradient else state.write_weights
        interface = self.parse(emitted)
        after = access(*state[:5], prev_write_weights, interface)

        def shown() -> dict[str, Tensor]:
            named = {"read": after.read_weights, "write": after.write_weights.unsqueeze(1)}
            named |= {name: getattr(after, name) for name in BOOKKEEPING}
            return named | {name: getattr(interface, name) for name in GATES}

        return DNCState(*after[:7], state.controller), shown

    def parse(self, interface: Tensor) -> Interface:
        """Split and squash the interface vector, [B, sum of widths]."""
        heads = self.read_heads
        keys, strengths, gates, add, modes = interface.split(self.widths, 1)
        write_key, read_keys = keys.unflatten(1, (heads + 1, -1)).split([1, heads], 1)
        write_strength, read_strengths = addressing.oneplus(strengths).split([1, heads], 1)
        gates = torch.sigmoid(gates)
        erase, free_gates, allocation_gate, write_gate = gates.split([self.word_size, heads, 1, 1], 1)
        return Interface(
            read_keys=read_keys,
            read_strengths=read_strengths,
            write_key=write_key,
            write_strength=write_strength,
            erase=erase.unsqueeze(1),
            add=add.unsqueeze(1),
            free_gates=free_gates,
            allocation_gate=allocation_gate,
            write_gate=write_gate,
            read_modes=torch.softmax(modes.unflatten(1, (heads, 3)), -1),
        )
