"""Stable Hadamard Memory: a matrix calibrated entry by entry (Le et al. 2025, sections 3.2 and 4).

M_t = M_{t-1} ∘ C_t + U_t with C_t = 1 + tanh(θ_t ⊗ v_c(x_t)) and U_t = η(x_t) (v(x_t) ⊗ k(x_t)); what is read is
M_t q(x_t). θ_t is one of R learned vectors, another at every step: were it one vector, entries could double at each
step for as long as the input stays as it is.

log C = log 2 − log(1 + exp(−2 z)) is concave in z = θ v_c. So where z is 0 on average, log C is no more than 0 on
average, and what is written fades rather than grows.

Legend: B batch, T time, D input width, K output width, L layers, E width of the layers, H heads, N numbers in a key,
V numbers in a value, R vectors θ.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.core import whole_precision
from lukasa.memory.kernels import matrix_memory
from lukasa.memory.matrix_memories.features import of_sum_one
from lukasa.memory.matrix_memories.stacking import Recording, Stacked

LOW = 2**32 - 1
"""The lower 32 bits of a number."""


class SHMState(NamedTuple):
    """Mᵀ of every head of every layer, and how many steps the episode has had."""

    memory: Tensor  # [B, L, H, N, V]
    steps: Tensor  # int64 [B, L]


def scattered(steps: Tensor, count: int) -> Tensor:
    """Which of some vectors a step takes: a number that looks as if drawn, and is the same at every call.

    The last mixing of MurmurHash3 (Appleby 2011), of 32 bits.

    Args:
        steps: int64 [...], not negative.
        count: R.

    Returns:
        int64 [...], in [0, R).

    Example:
        >>> scattered(torch.arange(8), 4)
        tensor([0, 3, 2, 3, 1, 1, 0, 0])
    """
    mixed = steps & LOW
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed = ((mixed ^ (mixed >> shift)) * factor) & LOW
    return (mixed ^ (mixed >> 16)) % count


class SHMLayer(nn.Module):
    """One layer of heads.

    Args:
        size: E.
        heads: H.
        key_size: N.
        value_size: V.
        thetas: R.
        selection: how θ is chosen.
        centre: whether the mean of all θ is taken from each.
    """

    def __init__(
        self, size: int, heads: int, key_size: int, value_size: int, thetas: int, selection: str, centre: bool
    ):
        super().__init__()
        self.heads, self.key_size, self.value_size = heads, key_size, value_size
        self.selection, self.centre = selection, centre
        self.queries = nn.Linear(size, heads * key_size, bias=False)
        self.keys = nn.Linear(size, heads * key_size, bias=False)
        self.values = nn.Linear(size, heads * value_size, bias=False)
        self.calibration = nn.Linear(size, heads * key_size, bias=False)
        self.strength = nn.Linear(size, heads, bias=False)
        self.theta = nn.Parameter(nn.init.xavier_uniform_(torch.empty(thetas, heads * value_size)))
        self.output = nn.Linear(heads * value_size, size, bias=False)

    def initial_state(self, batch_size: int) -> SHMState:
        """Nothing is written."""
        like = self.output.weight
        matrices = like.new_zeros(batch_size, self.heads, self.key_size, self.value_size)
        return SHMState(matrices, torch.zeros(batch_size, dtype=torch.int64, device=like.device))

    def forward(self, inputs: Tensor, state: SHMState, starts: Tensor | None) -> tuple[Tensor, SHMState, Recording]:
        """What inputs [B, T, E] lead to, the next state, and a recording of the last step."""
        kind = state.memory.dtype
        linear = (self.keys, self.queries, self.values, self.calibration, self.strength)
        keys, queries, values, calibration, strength = (one(inputs) for one in linear)
        steps = _counted(state.steps, inputs.shape[1], starts)
        with whole_precision(inputs.device):
            eta = torch.sigmoid(strength.to(kind))
            # no less than 0 and, but for an empty one, of sum 1
            keys, queries = (of_sum_one(torch.relu(self._of_heads(part, kind)), 1e-5) for part in (keys, queries))
            values = eta.unsqueeze(-1) * self._of_heads(values, kind)
            theta = self._of_heads(self._theta(steps), kind)
            column = self._of_heads(calibration, kind)
            reads, memory = matrix_memory.hadamard(starts, keys, queries, values, theta, column, state.memory)
        reads = reads.flatten(2)
        shown = {"matrices": memory, "strength_gates": eta[:, -1]}
        return F.linear(reads, self.output.weight.to(reads.dtype)), SHMState(memory, steps[:, -1] + 1), shown

    def _of_heads(self, part: Tensor, kind: torch.dtype) -> Tensor:
        return part.to(kind).unflatten(-1, (self.heads, -1))

    def _theta(self, steps: Tensor) -> Tensor:
        """θ [B, T, H V] of steps [B, T]."""
        count, theta = len(self.theta), self.theta
        if self.centre:
            theta = theta - theta.mean(0)
        drawn = self.selection == "drawn"
        which = torch.randint(count, steps.shape, device=steps.device) if drawn else scattered(steps, count)
        return F.embedding(which, theta)


def _counted(before: Tensor, steps: int, starts: Tensor | None) -> Tensor:
    """Which step of its episode each is, from 0 on: int64 [B, T].

    Args:
        before: [B], steps of the episode so far.
        steps: T.
        starts: bool [B, T], or None.
    """
    time = torch.arange(steps, device=before.device)
    counted = before.unsqueeze(1) + time
    if starts is None:
        return counted
    begun = torch.where(starts, time, -1).cummax(1).values  # when the episode began; −1 before the sequence
    return torch.where(begun >= 0, time - begun, counted)


class SHM(Stacked):
    """Layers of heads, each with a matrix of which every entry fades or grows by what is seen.

    Args:
        input_size: D.
        output_size: K.
        size: width of the layers (E).
        heads: matrices of a layer (H); 1 in the paper.
        key_size: numbers in a key and a query of a head (N).
        value_size: numbers in a value of a head (V).
        layers: number of layers, one above another (L).
        thetas: vectors θ that calibration chooses from (R).
        selection: "scattered" takes θ by the number of the step in its episode, so that who acts and who learns take
            the same; "drawn" draws it anew at every call, as in the paper, and no call can be repeated.
        centre: whether the mean of all θ is taken from each. Then the logarithm of C is 0 or less on average, whatever
            the input. Without, as in the paper, an entry can grow until a float cannot hold it.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        size: int = 128,
        heads: int = 1,
        key_size: int = 32,
        value_size: int = 64,
        layers: int = 1,
        thetas: int = 128,
        selection: Literal["scattered", "drawn"] = "scattered",
        centre: bool = True,
    ):
        if centre and thetas == 1:
            raise ValueError(
                "thetas is 1 and centre is on: one θ less its mean is 0, and nothing is calibrated: take more thetas"
            )
        made = [SHMLayer(size, heads, key_size, value_size, thetas, selection, centre) for _ in range(layers)]
        super().__init__(input_size, output_size, size, made)
        self.chooses = selection == "drawn"
