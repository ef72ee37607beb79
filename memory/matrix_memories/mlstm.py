"""mLSTM: an LSTM whose cell is a matrix (Beck et al. 2024, "xLSTM", section 2.3, and the block of appendix A).

C_t = f_t C_{t-1} + i_t v_t k_tᵀ and n_t = f_t n_{t-1} + i_t k_t; what is read is C_t q_t / max(|n_tᵀ q_t|, 1). The
input gate is exponential, so C and n are carried divided by exp(m_t), where m_t is the largest that the gates came to.

Legend: B batch, T time, D input width, K output width, L layers, E width of the layers, I width between the
projections, H heads, N numbers in a key, V numbers in a value, W taps.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.controllers import NoState
from lukasa.memory.core import whole_precision
from lukasa.memory.kernels import matrix_memory
from lukasa.memory.matrix_memories.short_convolution import ShortConvolution
from lukasa.memory.matrix_memories.stacking import Recording, Stacked

LEAST = 1e-6
"""What is read is divided by no less, where exp(−m) is smaller and a query meets no key."""


class MLSTMState(NamedTuple):
    """Cᵀ and n of every head of every layer, divided by exp(m)."""

    memory: Tensor  # [B, L, H, N, V], Cᵀ
    normaliser: Tensor  # [B, L, H, N], n
    largest: Tensor  # [B, L, H], m
    window: Tensor | NoState  # [B, L, W - 1, I], of the convolution


class Choice(NamedTuple):
    """The options of a layer."""

    forget_gate: str
    output_gate: str
    taps: int  # 1 without a convolution


class MLSTMLayer(nn.Module):
    """One block: up-projection, convolution, heads, output gate, down-projection.

    Args:
        size: E.
        inner: I.
        heads: H.
        key_size: N.
        value_size: V.
        choice: the options.
    """

    def __init__(self, size: int, inner: int, heads: int, key_size: int, value_size: int, choice: Choice):
        super().__init__()
        self.heads, self.key_size, self.value_size, self.choice = heads, key_size, value_size, choice
        self.up = nn.Linear(size, inner, bias=False)
        self.out_gate = nn.Linear(size, heads * value_size, bias=False)
        self.convolution = ShortConvolution([inner], choice.taps)
        self.queries = nn.Linear(inner, heads * key_size, bias=False)
        self.keys = nn.Linear(inner, heads * key_size, bias=False)
        self.values = nn.Linear(inner, heads * value_size, bias=False)
        self.gates = nn.Linear(inner, 2 * heads)
        self.scale = nn.Parameter(torch.ones(heads * value_size))
        self.skip = nn.Linear(inner, heads * value_size, bias=False) if inner != heads * value_size else None
        self.skip_scale = nn.Parameter(torch.ones(heads * value_size))
        self.down = nn.Linear(heads * value_size, size, bias=False)
        with torch.no_grad():
            self.gates.weight.zero_()
            self.gates.bias[:heads].normal_(0, 0.1)
            sigmoid = choice.forget_gate == "sigmoid"
            self.gates.bias[heads:] = torch.linspace(3, 6, heads) if sigmoid else torch.zeros(heads)

    def initial_state(self, batch_size: int) -> MLSTMState:
        """Nothing is written, and m is 0."""
        like = self.down.weight
        return MLSTMState(
            like.new_zeros(batch_size, self.heads, self.key_size, self.value_size),
            like.new_zeros(batch_size, self.heads, self.key_size),
            like.new_zeros(batch_size, self.heads),
            self.convolution.initial_window(batch_size, like),
        )

    def forward(self, inputs: Tensor, state: MLSTMState, starts: Tensor | None) -> tuple[Tensor, MLSTMState, Recording]:
        """What inputs [B, T, E] lead to, the next state, and a recording of the last step."""
        kind = state.memory.dtype
        up = self.up(inputs)
        with whole_precision(inputs.device):
            (mixed,), window = self.convolution(up.to(kind), state.window, starts)
        near = mixed.to(inputs.dtype)
        queries, keys, values = self.queries(near), self.keys(near), self.values(up)
        gates, out_gate = self.gates(near), self.out_gate(inputs)
        with whole_precision(inputs.device):
            queries, keys, values = (part.to(kind).unflatten(-1, (self.heads, -1)) for part in (queries, keys, values))
            reads, after, shown = self._heads(queries, keys / math.sqrt(self.key_size), values, gates, state, starts)
            reads = F.layer_norm(reads, (self.value_size,)).flatten(2) * self.scale.to(kind)
        skipped = mixed if self.skip is None else self.skip(near)
        opened = F.silu(out_gate) if self.choice.output_gate == "silu" else torch.sigmoid(out_gate)
        reads = (reads + self.skip_scale.to(kind) * skipped) * opened
        added = F.linear(reads, self.down.weight.to(reads.dtype))
        return added, MLSTMState(*after, window), shown

    def _heads(
        self, queries: Tensor, keys: Tensor, values: Tensor, gates: Tensor, state: MLSTMState, starts: Tensor | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor], Recording]:
        """Reads [B, T, H, V]; C, n and m after the last step; and a recording."""
        log_input, told = gates.to(values.dtype).chunk(2, -1)
        log_forget = F.logsigmoid(told) if self.choice.forget_gate == "sigmoid" else told
        forget, enter, largest = matrix_memory.stabilise(starts, log_forget, log_input, state.largest)
        reads, memory = matrix_memory.rank_one(starts, keys, queries, values, forget, enter, state.memory, delta=False)
        sums = matrix_memory.trace(starts, keys, forget, enter, state.normaliser)
        near = (sums * queries).sum(-1, keepdim=True).abs()
        # a 1 before C and n are divided by exp(m) is exp(−m) behind it
        reads = reads / torch.maximum(near, torch.exp(-largest).clamp_min(LEAST).unsqueeze(-1))
        shown = {"matrices": memory, "decay_gates": forget[:, -1], "strength_gates": enter[:, -1]}
        return reads, (memory, sums[:, -1], largest[:, -1]), shown


class MLSTM(Stacked):
    """Blocks of heads, each with a matrix that is written by an exponential gate and read by a query.

    Args:
        input_size: D.
        output_size: K.
        size: width of the layers (E).
        heads: matrices of a layer (H).
        key_size: numbers in a key and a query of a head (N).
        value_size: numbers in a value of a head (V).
        layers: number of layers, one above another (L).
        expansion: the width between the projections is so many times that of the layers; 2 in the paper.
        forget_gate: "sigmoid" or "exponential".
        output_gate: "silu", as in the paper's block, or "sigmoid", as in its equations.
        convolution: whether keys, queries and gates come of a short convolution.
        taps: steps that the convolution reads (W).
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
        expansion: int = 1,
        forget_gate: Literal["sigmoid", "exponential"] = "sigmoid",
        output_gate: Literal["silu", "sigmoid"] = "silu",
        convolution: bool = True,
        taps: int = 4,
    ):
        choice = Choice(forget_gate, output_gate, taps if convolution else 1)
        made = [MLSTMLayer(size, expansion * size, heads, key_size, value_size, choice) for _ in range(layers)]
        super().__init__(input_size, output_size, size, made)
