"""minGRU: a GRU whose gate and candidate see the input alone (Feng et al. 2024, "Were RNNs all we needed?").

Without the step before in the gate, the state is a linear recurrence, and a sequence runs at once (section 3.1).

Legend: B batch, T time, D input width, K output width, L layers, H hidden units.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from lukasa.memory.core import whole, whole_precision
from lukasa.memory.kernels.scan import is_native, scan
from lukasa.memory.scans.stepping import Scanning

Candidate = Literal["linear", "positive"]


class MinGRUState(NamedTuple):
    """Hidden vectors of every layer."""

    hidden: Tensor  # [B, L, H]


def gates(emitted: Tensor, candidate: Candidate = "linear") -> tuple[Tensor, Tensor, Tensor]:
    """What a step keeps, its update gate and its candidate; 1 - z_t, z_t and h̃_t in Feng et al. 2024, section 3.1.

    Args:
        emitted: [..., 2 H], the two linear functions of x_t: of the gate, then of the candidate.
        candidate: "linear" leaves h̃ as it is; "positive" applies g of appendix B.2, with which the paper computes in
            the space of logarithms.

    Returns:
        1 - z_t and z_t, each in (0, 1) with sum 1 (the first is a sigmoid of its own, as a difference loses what a
        nearly open gate keeps), and h̃_t; [..., H].
    """
    gate, new = emitted.chunk(2, -1)
    return torch.sigmoid(-gate), torch.sigmoid(gate), positive(new) if candidate == "positive" else new


def positive(values: Tensor) -> Tensor:
    """G(x) = x + 0.5 for x ≥ 0, else σ(x); in Feng et al. 2024, appendix B.2: above 0, continuous, of slope 1 above."""
    return torch.where(values >= 0, values + 0.5, torch.sigmoid(values))


def run(emitted: Tensor, candidate: Candidate, hidden: Tensor, starts: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """A layer over a sequence: all h_t = (1 − z_t) ∘ h_{t-1} + z_t ∘ h̃_t, and the last one.

    Args:
        emitted: [B, T, 2 H], as ``gates`` takes it.
        candidate: likewise.
        hidden: [B, H], before the first step.
        starts: bool [B, T], where it is replaced by zeros before the step; None where it never is.

    Returns:
        [B, T, H] and [B, H], in the dtype of ``hidden``. Halves are computed in float32.
    """

    def by_scan(emitted: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
        kept, update, new = gates(emitted, candidate)
        return scan(kept, update * new, first, starts)

    with whole_precision(emitted.device):
        tensors = whole(emitted), whole(hidden)
        if emitted.shape[1] > 1 and is_native(emitted, tensors):
            from lukasa.memory.kernels.scan import gated

            states, last = gated.run(by_scan, candidate == "positive", starts, *tensors)
        else:
            states, last = by_scan(*tensors)
        return states.to(hidden.dtype), last.to(hidden.dtype)


class MinGRU(Scanning):
    """Layers of minGRU one above another, and a linear output.

    h_t = (1 − z_t) ∘ h_{t-1} + z_t ∘ h̃_t. What a layer does with a step depends on that input alone; from the second
    layer on, inputs hold what the layer below remembers, so two layers do much that one cannot.

    Args:
        input_size: D.
        output_size: K.
        size: units in every layer (H).
        layers: number of layers (L), one above another.
        candidate: h̃ as the linear function that section 3.1 makes it ("linear"), or above zero as in the paper's
            experiments, which compute with logarithms ("positive").
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        size: int = 128,
        layers: int = 2,
        candidate: Candidate = "linear",
    ):
        super().__init__()
        self.input_size, self.output_size = input_size, output_size
        self.size = size
        self.candidate: Candidate = candidate
        self.layers = nn.ModuleList(nn.Linear(size if index else input_size, 2 * size) for index in range(layers))
        self.output = nn.Linear(size, output_size)

    def initial_state(self, batch_size: int) -> MinGRUState:
        """Zeros."""
        return MinGRUState(self.output.weight.new_zeros(batch_size, len(self.layers), self.size))

    def sequence(self, inputs: Tensor, state: MinGRUState, starts: Tensor | None = None) -> tuple[Tensor, MinGRUState]:
        """All steps at once, with resets inside: inputs [B, T, D] to outputs [B, T, K]."""
        below, last = inputs, []
        for layer, hidden in zip(self.layers, state.hidden.unbind(1), strict=True):
            states, after = run(layer(below), self.candidate, hidden, starts)
            below = states.to(inputs.dtype)
            last.append(after)
        return self.output(below), MinGRUState(torch.stack(last, 1))
