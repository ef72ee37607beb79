"""FFM: Fast and Forgetful Memory (Morad et al. 2023, "Reinforcement learning with fast and forgetful memory").

A sum of all inputs so far, each turned and shrunk by its age: traces decay at several rates, and contexts turn at
several frequencies, which say when something was.

Legend: B batch, T time, D input width, K output width, L layers, H width of a layer's output, m traces, c contexts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.core import whole, whole_precision
from lukasa.memory.kernels.scan import complex_scan
from lukasa.memory.scans.stepping import Scanning

FASTEST = 0.67
"""Decay of the fastest trace at first: a hundredth is left after 7 steps."""
FORGOTTEN = 0.01
"""Of the slowest trace at first, what is left after ``max_period`` steps; β in the paper."""


class FFMState(NamedTuple):
    """The memory S of every layer."""

    memory: Tensor  # [B, L, 2 m c], the real parts, then the imaginary parts; traces lie before contexts


def decay(traces: Tensor, contexts: Tensor) -> Tensor:
    """γ = exp(−|α|) ⊗ exp(−iω), by which the memory shrinks and turns at a step; Morad et al. 2023, section 4.1.

    Args:
        traces: [m], α.
        contexts: [c], ω, in radians a step.

    Returns:
        [2 m c], real parts, then imaginary parts; of magnitude at most 1.
    """
    magnitude = torch.exp(-traces.abs()).unsqueeze(1)
    return torch.cat([(magnitude * torch.cos(contexts)).flatten(), (-magnitude * torch.sin(contexts)).flatten()])


class FFMLayer(nn.Module):
    """One cell: gated input, aggregator, and an output that mixes what it read with what it was given (section 4.2).

    Args:
        input_size: numbers of an input.
        size: H.
        trace_size: m.
        context_size: c.
        min_period: steps of the shortest period.
        max_period: steps of the longest.
    """

    def __init__(
        self, input_size: int, size: int, trace_size: int, context_size: int, min_period: float, max_period: float
    ):
        super().__init__()
        self.sizes = [trace_size, trace_size, size, size]
        self.traces = nn.Parameter(torch.linspace(FASTEST, -math.log(FORGOTTEN) / max_period, trace_size))  # α
        self.contexts = nn.Parameter(2 * math.pi / torch.linspace(min_period, max_period, context_size))  # ω
        self.read_input = nn.Linear(input_size, sum(self.sizes))  # ℓ1, ℓ2, ℓ4, ℓ5
        self.mix = nn.Linear(2 * trace_size * context_size, size)  # ℓ3

    def forward(self, inputs: Tensor, memory: Tensor, starts: Tensor | None) -> tuple[Tensor, Tensor]:
        """Inputs [B, T, D] and the memory [B, 2 m c] before them to outputs [B, T, H] and the memory after them."""
        new, new_gate, gate, skip = self.read_input(inputs).split(self.sizes, -1)
        with whole_precision(inputs.device):
            a = decay(whole(self.traces), whole(self.contexts))
            entered = (new * torch.sigmoid(new_gate)).repeat_interleave(len(self.contexts), -1)  # x̃ 1ᵀ
            added = F.pad(entered, (0, entered.shape[-1]))  # nothing imaginary
        memories, last = complex_scan(a, added, memory, starts)
        read = self.mix(memories.to(inputs.dtype))
        gate = torch.sigmoid(gate)
        return F.layer_norm(read, read.shape[-1:]) * gate + skip * (1 - gate), last


class FFM(Scanning):
    """Cells of Fast and Forgetful Memory one above another, and a linear output.

    Args:
        input_size: D.
        output_size: K.
        size: width of a layer's output (H).
        trace_size: traces (m), each with a rate of decay of its own.
        context_size: frequencies (c) with which every trace turns; the memory holds m c complex numbers.
        layers: number of layers (L), one above another.
        min_period: steps of the shortest period before training, at least 1.
        max_period: steps of the longest, and after which the slowest trace has forgotten 99 % before training.

    Raises:
        ValueError: the periods are none.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        size: int = 128,
        trace_size: int = 32,
        context_size: int = 4,
        layers: int = 1,
        min_period: float = 1.0,
        max_period: float = 1024.0,
    ):
        super().__init__()
        if not 1 <= min_period < max_period:
            raise ValueError(
                f"options 'min_period' and 'max_period' of core 'ffm' are {min_period} and {max_period}: "
                "expected 1 ≤ min_period < max_period"
            )
        self.input_size, self.output_size = input_size, output_size
        self.memory_size = 2 * trace_size * context_size
        self.layers = nn.ModuleList(
            FFMLayer(size if index else input_size, size, trace_size, context_size, min_period, max_period)
            for index in range(layers)
        )
        self.output = nn.Linear(size, output_size)

    def initial_state(self, batch_size: int) -> FFMState:
        """Zeros."""
        return FFMState(self.output.weight.new_zeros(batch_size, len(self.layers), self.memory_size))

    def sequence(self, inputs: Tensor, state: FFMState, starts: Tensor | None = None) -> tuple[Tensor, FFMState]:
        """All steps at once, with resets inside: inputs [B, T, D] to outputs [B, T, K]."""
        below, last = inputs, []
        for layer, memory in zip(self.layers, state.memory.unbind(1), strict=True):
            below, after = layer(below, memory, starts)
            last.append(after)
        return self.output(below), FFMState(torch.stack(last, 1))
