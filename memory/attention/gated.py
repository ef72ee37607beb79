"""Transformer layers whose residual connections are gates (Parisotto et al. 2020, section 3).

Legend: B batch, T time, L steps kept of the past, P of them in use, N layers, C size of a layer, H heads, E head size,
M hidden units of a layer's perceptron.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lukasa.memory.attention.relative import RelativeAttention
from lukasa.memory.attention.window import WindowState, empty_window, next_window, sight
from lukasa.memory.derivatives import needs_reference

GateKind: TypeAlias = Literal["gru", "output", "sigmoid_tanh", "highway", "input", "residual"]


class Gate(nn.Module):
    """g(x, y): what goes on of the stream x [B, T, C] and of what a submodule made of it, y [B, T, C].

    "Gating layers" in the paper's section 3.2, one by one; "residual" is x + y.

    Args:
        kind: which of them.
        size: C.
        bias: b_g at first; the larger, the more a gate begins as if the submodule were not there.

    Raises:
        ValueError: there is no such kind.
    """

    def __init__(self, kind: GateKind, size: int, bias: float):
        super().__init__()
        if kind not in get_args(GateKind):
            raise ValueError(f"gate is {kind!r}: choose one of {', '.join(get_args(GateKind))}")
        self.kind: GateKind = kind
        widths = {"gru": 3, "sigmoid_tanh": 2}  # of W y; the others but "residual" have W x
        if kind in widths:
            self.of_new = nn.Linear(size, widths[kind] * size, bias=False)
        if kind == "gru":
            self.of_stream, self.of_kept = (nn.Linear(size, wide * size, bias=False) for wide in (2, 1))
        if kind in ("output", "highway", "input"):
            self.of_stream = nn.Linear(size, size, bias=False)
        if kind not in ("input", "residual"):
            self.bias = nn.Parameter(torch.full((size,), float(bias)))

    def forward(self, stream: Tensor, new: Tensor) -> Tensor:
        """[B, T, C]."""
        x, y = stream, new
        if self.kind == "gru":
            r, z, h = self.of_new(y).chunk(3, -1)
            reset, update = self.of_stream(x).chunk(2, -1)
            r, z = torch.sigmoid(r + reset), torch.sigmoid(z + update - self.bias)
            return (1 - z) * x + z * torch.tanh(h + self.of_kept(r * x))
        if self.kind == "output":
            return x + torch.sigmoid(self.of_stream(x) - self.bias) * y
        if self.kind == "sigmoid_tanh":
            gate, shown = self.of_new(y).chunk(2, -1)
            return x + torch.sigmoid(gate - self.bias) * torch.tanh(shown)
        if self.kind == "highway":
            gate = torch.sigmoid(self.of_stream(x) + self.bias)
            return gate * x + (1 - gate) * y
        if self.kind == "input":
            return torch.sigmoid(self.of_stream(x)) * x + y
        return x + y


class GatedLayer(nn.Module):
    """Attention to the steps before and to itself, and a perceptron, each behind a layer norm and before a gate.

    Args:
        size: C.
        heads: H.
        head_size: E.
        mlp_size: M.
        gate: kind of the gates.
        gate_bias: b_g at first.
        distances: of ``RelativeAttention``.
    """

    def __init__(
        self, size: int, heads: int, head_size: int, mlp_size: int, gate: GateKind, gate_bias: float, distances: int
    ):
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(size), nn.LayerNorm(size)
        self.attention = RelativeAttention(size, heads, head_size, distances)
        self.mlp = nn.Sequential(nn.Linear(size, mlp_size), nn.ReLU(), nn.Linear(mlp_size, size))
        self.after_attention, self.after_mlp = Gate(gate, size, gate_bias), Gate(gate, size, gate_bias)

    def forward(self, stream: Tensor, past: Tensor, visible: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
        """Section 3.1, TrXL-I: [B, T, C] and the window [B, P, C] to [B, T, C] and the weights [B, H, T, P + T]."""
        normed = self.before_attention(torch.cat([past, stream], 1))
        read, weights = self.attention(normed[:, past.shape[1] :], normed, visible, distance)
        stream = self.after_attention(stream, F.relu(read))
        return self.after_mlp(stream, F.relu(self.mlp(self.before_mlp(stream)))), weights

    def content(self, new: Tensor, held: Tensor) -> Tensor:
        """``RelativeAttention.content`` of steps and places as this layer norms them; its weights get no gradient."""
        norm = self.before_attention
        weight, bias = norm.weight.detach(), norm.bias.detach()
        new, held = (F.layer_norm(part, (part.shape[-1],), weight, bias, norm.eps) for part in (new, held))
        return self.attention.content(new, held)


class GatedTransformer(nn.Module):
    """Gated layers over a window of what each was given.

    Args:
        size: C.
        layers: N.
        length: L; a step attends to itself and the L before it.
        heads: H.
        head_size: E.
        mlp_size: M.
        gate: kind of the gates.
        gate_bias: b_g at first.
    """

    def __init__(
        self,
        size: int,
        *,
        layers: int,
        length: int,
        heads: int,
        head_size: int,
        mlp_size: int,
        gate: GateKind = "gru",
        gate_bias: float = 2.0,
    ):
        super().__init__()
        self.size, self.length = size, length
        self.layers = nn.ModuleList(
            GatedLayer(size, heads, head_size, mlp_size, gate, gate_bias, length + 1) for _ in range(layers)
        )

    def initial_state(self, batch_size: int) -> WindowState:
        """No past."""
        weight = next(self.parameters())
        return empty_window(weight, batch_size, len(self.layers), self.length, self.size)

    def forward(
        self, stream: Tensor, state: WindowState, starts: Tensor | None = None
    ) -> tuple[Tensor, WindowState, Tensor]:
        """Steps [B, T, C], reset where ``starts`` [B, T] are set: [B, T, C], the window after, weights [B, N H, ...].

        The weights are [B, N H, T, P + T].
        """
        past, filled = state
        if stream.shape[1] > 1 and not needs_reference():
            # How much of the window is in use cannot be looked up while a call is transformed or traced.
            empty = self.length - int(filled.any(0).sum())
            past, filled = past[:, :, empty:], filled[:, empty:]
        seen = sight(filled, stream.shape[1], self.length, starts)
        stream, given, weights = stream.to(past.dtype), [], []
        for layer, before in zip(self.layers, past.unbind(1), strict=True):
            given.append(stream)
            stream, attended = layer(stream, before, seen.visible, seen.distance)
            weights.append(attended)
        after = next_window(WindowState(past, filled), given, seen.filled, self.length)
        return stream, after, torch.cat(weights, 1)
