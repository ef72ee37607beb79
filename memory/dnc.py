"""The Differentiable Neural Computer (Graves et al. 2016, Nature 538, Methods).

Legend: B batch, D input width, K output width, R read heads, N slots, W word size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from memory import addressing
from memory.controllers import Kind, every_layer, make_controller
from memory.core import Core, check_inputs, in_dtype, in_full_precision, whole_precision
from memory.kernels.dnc_access import Interface, access

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


class DNC(Core):
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
        stop_usage_gradient: bool = False,
    ):
        super().__init__()
        self.input_size, self.output_size = input_size, output_size
        self.slots, self.word_size, self.read_heads = slots, word_size, read_heads
        self.stop_usage_gradient = stop_usage_gradient
        self.controller: Any = make_controller(
            controller, input_size + read_heads * word_size, controller_size, controller_layers
        )
        # Fields that share a squashing function lie side by side, so that each function is called once.
        keys, gates = (read_heads + 1) * word_size, word_size + read_heads + 2
        self.widths = [keys, read_heads + 1, gates, word_size, 3 * read_heads]
        hidden = controller_size * (1 if controller == "feedforward" else controller_layers)
        self.interface = nn.Linear(hidden, sum(self.widths))
        self.output = nn.Linear(hidden + read_heads * word_size, output_size)

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

    def forward(self, inputs: Tensor, state: DNCState) -> tuple[Tensor, DNCState]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs)
        hidden, controller = self.controller(torch.cat([inputs, state.reads.flatten(1)], 1), state.controller)
        hidden = every_layer(hidden, controller)
        emitted = self.interface(hidden)

        dtype = state.memory.dtype
        with whole_precision(inputs.device):
            state = in_full_precision(state)
            prev_write_weights = state.write_weights.detach() if self.stop_usage_gradient else state.write_weights
            interface = self.parse(emitted.to(state.memory.dtype))
            after = access(*state[:5], prev_write_weights, interface)
        if self.recorder is not None:
            named = {"read": after.read_weights, "write": after.write_weights.unsqueeze(1)}
            named |= {name: getattr(after, name) for name in BOOKKEEPING}
            named |= {name: getattr(interface, name) for name in GATES}
            self.recorder.append(named)
        state = in_dtype(dtype, DNCState(*after[:7], controller))
        return self.output(torch.cat([hidden, state.reads.flatten(1)], 1)), state

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
