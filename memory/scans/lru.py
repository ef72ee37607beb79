"""LRU: the Linear Recurrent Unit in a stack of residual blocks (Orvieto et al. 2023).

From "Resurrecting recurrent neural networks for long sequences": a diagonal linear recurrence of complex numbers, whose
eigenvalues stay inside the unit circle by their parametrisation. What is not linear lies between the recurrences.

Legend: B batch, T time, D input width, K output width, L layers, H width of a block, N complex numbers of a state.
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


class LRUState(NamedTuple):
    """The state of every layer."""

    hidden: Tensor  # [B, L, 2 N], the real parts, then the imaginary parts


def eigenvalues(log_decay: Tensor, log_phase: Tensor) -> Tensor:
    """λ = exp(−exp(ν_log) + i exp(θ_log)); Orvieto et al. 2023, section 3.3, "exponential parametrisation".

    Args:
        log_decay: [N], ν_log.
        log_phase: [N], θ_log.

    Returns:
        [2 N], real parts, then imaginary parts; of magnitude below 1.
    """
    magnitude, phase = torch.exp(-torch.exp(log_decay)), torch.exp(log_phase)
    return torch.cat([magnitude * torch.cos(phase), magnitude * torch.sin(phase)])


def ring(size: int, r_min: float, r_max: float, max_phase: float) -> tuple[Tensor, Tensor, Tensor]:
    """First values of ν_log, θ_log and γ_log [N]; λ is uniform on a ring (Orvieto et al. 2023, lemma 3.2).

    γ = √(1 − |λ|²), with which the state is as large as its input at first whatever the magnitude (section 3.4).

    Args:
        size: N.
        r_min: of the ring, the least magnitude.
        r_max: the largest.
        max_phase: phases are uniform between 0 and this, in radians.
    """
    share, turn = torch.rand(size, dtype=torch.float64), torch.rand(size, dtype=torch.float64)
    # a magnitude of exactly 0 or 1 has no logarithm of its logarithm
    squared = (share * (r_max**2 - r_min**2) + r_min**2).clamp(1e-12, 1 - 1e-12)
    log_decay, log_phase = torch.log(-0.5 * torch.log(squared)), torch.log((max_phase * turn).clamp_min(1e-12))
    found = (log_decay, log_phase, 0.5 * torch.log1p(-squared))
    return tuple(one.to(torch.get_default_dtype()) for one in found)  # pyright: ignore[reportReturnType]


class LRULayer(nn.Module):
    """The recurrence: x_k = λ ∘ x_{k-1} + γ ∘ (B u_k), y_k = Re(C x_k) + D ∘ u_k.

    Args:
        size: H, numbers of an input and an output.
        states: N.
        r_min: of the ring, and so are the two behind it.
        r_max: as in ``ring``.
        max_phase: as in ``ring``.
    """

    def __init__(self, size: int, states: int, r_min: float, r_max: float, max_phase: float):
        super().__init__()
        log_decay, log_phase, log_scale = ring(states, r_min, r_max, max_phase)
        self.log_decay, self.log_phase = nn.Parameter(log_decay), nn.Parameter(log_phase)
        self.log_scale = nn.Parameter(log_scale)
        self.enter = nn.Parameter(torch.randn(2 * states, size) / math.sqrt(2 * size))  # B: real, imaginary
        self.leave = nn.Parameter(torch.randn(2, size, states) / math.sqrt(states))  # C: real, imaginary
        self.skip = nn.Parameter(torch.randn(size))  # D

    def forward(self, inputs: Tensor, hidden: Tensor, starts: Tensor | None) -> tuple[Tensor, Tensor]:
        """Inputs [B, T, H] and the state [B, 2 N] before them to outputs [B, T, H] and the state after them."""
        with whole_precision(inputs.device):
            a = eigenvalues(whole(self.log_decay), whole(self.log_phase))
        enter = torch.exp(self.log_scale).repeat(2).unsqueeze(1) * self.enter
        states, last = complex_scan(a, F.linear(inputs, enter), hidden, starts)
        real, imaginary = self.leave.unbind(0)
        read = F.linear(states.to(inputs.dtype), torch.cat([real, -imaginary], 1))
        return torch.addcmul(read, self.skip.to(read.dtype), inputs.to(read.dtype)), last


class LRUBlock(nn.Module):
    """A residual block: norm, LRU, GELU, gated linear unit (figure 1).

    Args:
        size: H.
        recurrence: of that width.
    """

    def __init__(self, size: int, recurrence: LRULayer):
        super().__init__()
        self.norm, self.recurrence = nn.LayerNorm(size), recurrence
        self.gated = nn.Linear(size, 2 * size)

    def forward(self, inputs: Tensor, hidden: Tensor, starts: Tensor | None) -> tuple[Tensor, Tensor]:
        """As the recurrence."""
        mixed, last = self.recurrence(self.norm(inputs), hidden, starts)
        return inputs + F.glu(self.gated(F.gelu(mixed)), -1), last


class LRU(Scanning):
    """A linear encoder, residual blocks around Linear Recurrent Units, and a linear output.

    Args:
        input_size: D.
        output_size: K.
        size: width of the blocks (H).
        states: complex numbers in the state of every block (N).
        layers: number of blocks (L).
        r_min: the least magnitude of an eigenvalue before training, at least 0.
        r_max: the largest, at most 1. Closer to 1 remembers longer: a magnitude r keeps rᵗ of what is t steps old.
        max_phase: the largest phase before training, in radians, at most 2 π. Smaller ones suit longer sequences.

    Raises:
        ValueError: the ring is none.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        size: int = 128,
        states: int = 128,
        layers: int = 2,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 6.28,
    ):
        super().__init__()
        _check_ring(r_min, r_max, max_phase)
        self.input_size, self.output_size, self.states = input_size, output_size, states
        self.encoder = nn.Linear(input_size, size)
        self.blocks = nn.ModuleList(
            LRUBlock(size, LRULayer(size, states, r_min, r_max, max_phase)) for _ in range(layers)
        )
        self.output = nn.Linear(size, output_size)

    def initial_state(self, batch_size: int) -> LRUState:
        """Zeros."""
        return LRUState(self.output.weight.new_zeros(batch_size, len(self.blocks), 2 * self.states))

    def sequence(self, inputs: Tensor, state: LRUState, starts: Tensor | None = None) -> tuple[Tensor, LRUState]:
        """All steps at once, with resets inside: inputs [B, T, D] to outputs [B, T, K]."""
        below, last = self.encoder(inputs), []
        for block, hidden in zip(self.blocks, state.hidden.unbind(1), strict=True):
            below, after = block(below, hidden, starts)
            last.append(after)
        return self.output(below), LRUState(torch.stack(last, 1))


def _check_ring(r_min: float, r_max: float, max_phase: float) -> None:
    if not 0 <= r_min < r_max <= 1:
        raise ValueError(
            f"options 'r_min' and 'r_max' of core 'lru' are {r_min} and {r_max}: expected 0 ≤ r_min < r_max ≤ 1"
        )
    if not 0 < max_phase <= 2 * math.pi:
        raise ValueError(f"option 'max_phase' of core 'lru' is {max_phase}: expected above 0, at most 2 π")
