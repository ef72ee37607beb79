"""Gated DeltaNet: a matrix that forgets, and writes what its prediction missed (Yang et al. 2025, section 3).

S_t = S_{t-1} (α_t (I − β_t k_t k_tᵀ)) + β_t v_t k_tᵀ and o_t = S_t q_t. With α = 1 it is DeltaNet (Yang et al. 2024)
and, with keys of other features, the fast weights of Schlag et al. 2021; without the part that takes away, the linear
attention of Katharopoulos et al. 2020.

Legend: B batch, T time, D input width, K output width, L layers, E width of the layers, H heads, N numbers in a key,
F features made of them, V numbers in a value, C channels of keys, queries and values together, W taps.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.controllers import NoState
from lukasa.memory.core import whole_precision
from lukasa.memory.kernels import matrix_memory
from lukasa.memory.matrix_memories.features import dpfp_features, elu_features, of_sum_one
from lukasa.memory.matrix_memories.short_convolution import ShortConvolution
from lukasa.memory.matrix_memories.stacking import Recording, Stacked

Rule = Literal["gated_delta", "delta", "fast_weights", "linear_attention"]
Features = Literal["own", "silu", "elu", "dpfp"]
Switch = Literal["own", "on", "off"]
OWN: dict[str, tuple[str, bool, bool]] = {
    "gated_delta": ("silu", True, True),
    "delta": ("silu", True, False),
    "fast_weights": ("dpfp", False, False),
    "linear_attention": ("elu", False, False),
}
"""Features, and whether there is a convolution and an output gate, in the paper of each rule."""
EPSILON = 1e-6
"""Added to what a read of linear attention is divided by, as in published code: features far below zero are tiny."""


class GatedDeltaNetState(NamedTuple):
    """Sᵀ of every head of every layer, and what the options need beside it."""

    memory: Tensor  # [B, L, H, F, V]
    normaliser: Tensor | NoState  # [B, L, H, F], the sum of all keys, of linear attention
    window: Tensor | NoState  # [B, L, W - 1, C], of the convolution


class Choice(NamedTuple):
    """The options of a layer, those left open filled in."""

    rule: str
    features: str
    copies: int
    taps: int  # 1 without a convolution
    gate: bool
    reach: float  # β is in (0, reach)


class DeltaLayer(nn.Module):
    """One layer of heads.

    Args:
        size: E.
        heads: H.
        key_size: N.
        value_size: V.
        choice: the options.
    """

    def __init__(self, size: int, heads: int, key_size: int, value_size: int, choice: Choice):
        super().__init__()
        self.heads, self.key_size, self.value_size, self.choice = heads, key_size, value_size, choice
        self.widths = [heads * key_size, heads * key_size, heads * value_size]
        self.mixing = nn.Linear(size, sum(self.widths), bias=False)
        self.convolution = ShortConvolution(self.widths, choice.taps)
        if choice.gate:
            self.gate = nn.Linear(size, heads * value_size, bias=False)
        if choice.rule != "linear_attention":
            self.gates = nn.Linear(size, (2 if choice.rule == "gated_delta" else 1) * heads, bias=False)
        if choice.rule == "gated_delta":
            # as in Mamba-2 (Dao & Gu 2024): rates up to 16 and steps of 0.001 to 0.1, evenly in their logarithm
            self.rate = nn.Parameter(torch.empty(heads).uniform_(1, 16).log())
            steps = torch.empty(heads).uniform_(math.log(0.001), math.log(0.1)).exp()
            self.step_bias = nn.Parameter(torch.log(torch.expm1(steps)))
        self.output = nn.Linear(heads * value_size, size, bias=False)

    def initial_state(self, batch_size: int) -> GatedDeltaNetState:
        """Nothing is written."""
        like = self.output.weight
        features = 2 * self.key_size * self.choice.copies if self.choice.features == "dpfp" else self.key_size
        sums = like.new_zeros(batch_size, self.heads, features)
        return GatedDeltaNetState(
            like.new_zeros(batch_size, self.heads, features, self.value_size),
            sums if self.choice.rule == "linear_attention" else NoState(),
            self.convolution.initial_window(batch_size, like),
        )

    def forward(
        self, inputs: Tensor, state: GatedDeltaNetState, starts: Tensor | None
    ) -> tuple[Tensor, GatedDeltaNetState, Recording]:
        """What inputs [B, T, E] lead to, the next state, and a recording of the last step."""
        mixed, decay, strength = self.mixing(inputs), *self._gates(inputs)
        gate = self.gate(inputs) if self.choice.gate else None
        with whole_precision(inputs.device):
            keys, queries, values, window = self._parts(mixed.to(state.memory.dtype), state.window, starts)
            decay, strength = decay.to(values.dtype), strength.to(values.dtype)
            delta = self.choice.rule != "linear_attention"
            reads, memory = matrix_memory.rank_one(
                starts, keys, queries, values, decay, strength, state.memory, delta=delta
            )
            normaliser = state.normaliser
            if isinstance(normaliser, Tensor):
                sums = matrix_memory.trace(starts, keys, decay, strength, normaliser)
                reads = reads / ((sums * queries).sum(-1, keepdim=True) + EPSILON)
                normaliser = sums[:, -1]
            reads = self._opened(reads, gate)
        reads = reads.flatten(2)
        shown = {"matrices": memory, "decay_gates": decay[:, -1], "strength_gates": strength[:, -1]}
        added = F.linear(reads, self.output.weight.to(reads.dtype))
        return added, GatedDeltaNetState(memory, normaliser, window), shown

    def _opened(self, reads: Tensor, gate: Tensor | None) -> Tensor:
        """What of the reads [B, T, H, V] goes on."""
        opening = None if gate is None else gate.to(reads.dtype).unflatten(-1, (self.heads, -1))
        if self.choice.rule not in ("gated_delta", "delta"):
            return reads if opening is None else reads * F.silu(opening)
        return matrix_memory.of_length(reads, mean=True) if opening is None else matrix_memory.gated(reads, opening)

    def _parts(self, mixed: Tensor, window: Any, starts: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Any]:
        """Keys and queries [B, T, H, F], values [B, T, H, V], and the window after them."""
        if self.choice.taps > 1 or self.choice.features == "silu":
            parts, window = self.convolution(mixed, window, starts)
        else:
            parts = mixed.split(self.widths, -1)
        *both, values = (part.unflatten(-1, (self.heads, -1)) for part in parts)
        if self.choice.features == "elu":
            both = [elu_features(part) for part in both]
        if self.choice.features == "dpfp":
            both = [dpfp_features(part, self.choice.copies) for part in both]
        if self.choice.rule == "fast_weights":
            both = [of_sum_one(part) for part in both]
        elif self.choice.rule != "linear_attention":
            both = [matrix_memory.of_length(part) for part in both]
        queries, keys = both
        return keys, queries, values, window

    def _gates(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """α and β [B, T, H]."""
        ones = inputs.new_ones(*inputs.shape[:2], self.heads)
        if self.choice.rule == "linear_attention":
            return ones, ones
        emitted = self.gates(inputs)
        strength = self.choice.reach * torch.sigmoid(emitted[..., : self.heads])
        if self.choice.rule != "gated_delta":
            return ones, strength
        with whole_precision(inputs.device):
            kind = torch.promote_types(emitted.dtype, torch.float32)
            steps = F.softplus(emitted[..., self.heads :].to(kind) + self.step_bias.to(kind))
            return torch.exp(-self.rate.to(kind).exp() * steps), strength


class GatedDeltaNet(Stacked):
    """Layers of heads, each with a matrix that a delta rule writes, read by a query.

    Args:
        input_size: D.
        output_size: K.
        size: width of the layers (E).
        heads: matrices of a layer (H).
        key_size: numbers in a key and a query of a head (N); of ``dpfp`` features 2 N ``feature_copies`` are made.
        value_size: numbers in a value of a head (V).
        layers: number of layers, one above another (L).
        rule: "gated_delta" forgets and corrects (Yang et al. 2025); "delta" corrects (Yang et al. 2024);
            "fast_weights" corrects, with features that sum to 1 (Schlag et al. 2021); "linear_attention" adds
            (Katharopoulos et al. 2020).
        features: what is made of keys and queries: "silu", "elu" (elu + 1) or "dpfp"; "own" is that of the rule's
            paper: "silu" of the first two rules, "dpfp" of "fast_weights", "elu" of "linear_attention".
        feature_copies: shifts of ``dpfp`` (ν).
        convolution: whether keys, queries and values come of a short convolution; "own" as in the rule's paper: on
            with the first two rules.
        taps: steps that the convolution reads (W).
        gate: whether the reads are gated; "own" as in the rule's paper: on with "gated_delta".
        negative_eigenvalues: let β go up to 2 instead of 1, so that a write can turn what is held under a key around
            (Grazzi et al. 2025).
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        size: int = 128,
        heads: int = 2,
        key_size: int = 32,
        value_size: int = 64,
        layers: int = 1,
        rule: Rule = "gated_delta",
        features: Features = "own",
        feature_copies: int = 1,
        convolution: Switch = "own",
        taps: int = 4,
        gate: Switch = "own",
        negative_eigenvalues: bool = False,
    ):
        own = OWN[rule]
        convolves, gated = (
            given == "on" or (given == "own" and usual)
            for given, usual in zip((convolution, gate), own[1:], strict=True)
        )
        choice = Choice(
            rule,
            own[0] if features == "own" else features,
            feature_copies,
            taps if convolves else 1,
            gated,
            2.0 if negative_eigenvalues else 1.0,
        )
        _check(choice, key_size, negative_eigenvalues)
        made = [DeltaLayer(size, heads, key_size, value_size, choice) for _ in range(layers)]
        super().__init__(input_size, output_size, size, made)


def _check(choice: Choice, key_size: int, negative_eigenvalues: bool) -> None:
    """Refuse choices that make no sense together.

    Raises:
        ValueError: with the reason.
    """
    if choice.rule == "fast_weights" and choice.features == "silu":
        raise ValueError(
            "rule 'fast_weights' divides features by their sum, and those of 'silu' can be negative and sum to zero: "
            "choose features 'elu' or 'dpfp'"
        )
    if choice.rule == "linear_attention" and choice.features != "elu":
        raise ValueError(
            "rule 'linear_attention' divides by the products of a query with all keys, which can be zero or below "
            f"with features {choice.features!r}: choose 'elu', which are positive"
        )
    if choice.copies > 1 and choice.features != "dpfp":
        raise ValueError(f"feature_copies is {choice.copies} and features {choice.features!r}: only 'dpfp' has copies")
    if choice.features == "dpfp" and choice.copies >= 2 * key_size:
        raise ValueError(
            f"feature_copies is {choice.copies}: a key of {key_size} numbers has {2 * key_size - 1} different shifts"
        )
    if negative_eigenvalues and choice.rule == "linear_attention":
        raise ValueError("rule 'linear_attention' only adds and has no β: negative_eigenvalues means nothing there")
