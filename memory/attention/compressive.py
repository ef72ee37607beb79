"""Compressive Transformer: attention to recent states and to compressed older ones (Rae et al. 2020).

Legend: B batch, T time, N layers, H heads, E head size, C size of a layer, W states kept, P of them in use,
Q compressed states in use, D input width, K output width; n_m, n_s, n_cm and c as in the paper.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lukasa.memory.attention.compression import Compression, CompressionKind, Plan, Sizes, pick, plan
from lukasa.memory.attention.gated import GatedLayer
from lukasa.memory.attention.relative import RelativeAttention
from lukasa.memory.attention.window import in_pieces, is_finite
from lukasa.memory.collecting import add_cost
from lukasa.memory.core import Core, check_inputs
from lukasa.memory.derivatives import needs_reference

LayerGate: TypeAlias = Literal["none", "gru", "output", "sigmoid_tanh", "highway", "input", "residual"]


class CompressiveState(NamedTuple):
    """What each layer was given at the last steps, and what became of what it was given before; the newest is last."""

    past: Tensor  # [B, N, W, C], m; zero where there is none
    filled: Tensor  # bool [B, W]
    compressed: Tensor  # [B, N, n_cm, C], cm; zero where there is none
    held: Tensor  # bool [B, n_cm], where there is a compressed state


class PostNormLayer(nn.Module):
    """Attention and a perceptron, each added to its input and then normed (algorithm 1).

    Args:
        size: C.
        heads: H.
        head_size: E.
        mlp_size: hidden units of the perceptron.
        distances: of ``RelativeAttention``.
    """

    def __init__(self, size: int, heads: int, head_size: int, mlp_size: int, distances: int):
        super().__init__()
        self.attention = RelativeAttention(size, heads, head_size, distances)
        self.after_attention, self.after_mlp = nn.LayerNorm(size), nn.LayerNorm(size)
        self.mlp = nn.Sequential(nn.Linear(size, mlp_size), nn.ReLU(), nn.Linear(mlp_size, size))

    def forward(self, stream: Tensor, past: Tensor, visible: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
        """New steps [B, T, C] and what was before [B, X, C] to [B, T, C] and the weights [B, H, T, X + T]."""
        read, weights = self.attention(stream, torch.cat([past, stream], 1), visible, distance)
        stream = self.after_attention(read + stream)
        return self.after_mlp(self.mlp(stream) + stream), weights

    def content(self, new: Tensor, held: Tensor) -> Tensor:
        """``RelativeAttention.content``."""
        return self.attention.content(new, held)


class CompressiveTransformer(Core):
    """A linear layer, Transformer layers over recent and compressed states, a linear output.

    An episode comes in segments of ``segment`` steps (n_s). A step attends to itself, to the states of its segment so
    far, to the ``length`` before that segment (n_m), and to ``compressed`` older ones (n_cm), each made of ``rate``
    states (c). So every layer looks back n_m + c n_cm steps. Compression learns to restore, from what it made, what
    attention would have read of the states themselves: a cost of its own, ``memory.add_cost``, at the steps that
    complete a segment.

    Args:
        input_size: D.
        output_size: K.
        length: states kept as they were, beside those of the segment so far (n_m).
        compressed: compressed states (n_cm).
        rate: states that become one (c).
        segment: steps after which as many states are compressed (n_s), a multiple of ``rate``.
        compression: what compresses (f_c): a convolution, or the mean or largest of every number, which learn nothing.
        reconstruction_weight: weight of the attention-reconstruction loss, which the convolution alone has.
        task_gradient: whether the task's gradient, too, passes through compressed states within an unroll; without it a
            convolution learns from the reconstruction alone.
        size: width of the stream through the layers (C).
        layers: number of layers, one above another (N).
        heads: attention heads of a layer (H).
        head_size: numbers in a query, key and value of a head (E).
        mlp_size: hidden units of each layer's perceptron.
        gate: "none" for the paper's layers, which add and norm; or a gate of ``gtrxl``, whose layers these are then.
        gate_bias: b_g of such gates at first.

    Raises:
        ValueError: ``segment`` is no multiple of ``rate``, the weight is negative, or there is no such compression or
            gate.
    """

    resets_inside = True

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        length: int = 32,
        compressed: int = 32,
        rate: int = 4,
        segment: int = 16,
        compression: CompressionKind = "convolution",
        reconstruction_weight: float = 1.0,
        task_gradient: bool = True,
        size: int = 128,
        layers: int = 2,
        heads: int = 4,
        head_size: int = 32,
        mlp_size: int = 128,
        gate: LayerGate = "none",
        gate_bias: float = 2.0,
    ):
        super().__init__()
        if segment % rate:
            raise ValueError(
                f"option 'segment' of core 'compressive_transformer' is {segment}: expected a multiple of {rate} (rate)"
                f", such as {(segment // rate + 1) * rate}"
            )
        if reconstruction_weight < 0:
            raise ValueError(
                f"option 'reconstruction_weight' of core 'compressive_transformer' is {reconstruction_weight:g}: "
                "expected 0 or more"
            )
        self.input_size, self.output_size, self.size = input_size, output_size, size
        self.sizes = Sizes(length, segment, rate, compressed)
        self.reconstruction_weight, self.task_gradient = reconstruction_weight, task_gradient
        distances = self.sizes.window + compressed + 1
        self.input = nn.Linear(input_size, size)
        self.layers = nn.ModuleList(
            PostNormLayer(size, heads, head_size, mlp_size, distances)
            if gate == "none"
            else GatedLayer(size, heads, head_size, mlp_size, gate, gate_bias, distances)
            for _ in range(layers)
        )
        self.compressions = nn.ModuleList(Compression(compression, size, rate) for _ in range(layers))
        self.output = nn.Linear(size, output_size)

    def initial_state(self, batch_size: int) -> CompressiveState:
        """No past."""
        window, compressed = self.sizes.window, self.sizes.compressed
        zeros, layers = self.output.weight.new_zeros, len(self.layers)
        filled = torch.zeros(batch_size, window + compressed, dtype=torch.bool, device=self.output.weight.device)
        return CompressiveState(
            zeros(batch_size, layers, window, self.size),
            filled[:, :window].clone(),
            zeros(batch_size, layers, compressed, self.size),
            filled[:, window:].clone(),
        )

    def forward(self, inputs: Tensor, state: CompressiveState) -> tuple[Tensor, CompressiveState]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        outputs, state, weights, cost = self._read(inputs.unsqueeze(1), state)
        if self.recorder is not None:
            # Compressed states, recent ones, and this step last; what is compressed after it is not seen by it.
            recent = weights.shape[2] - self.sizes.window - 1
            shown = torch.cat([weights[:, :, : self.sizes.compressed], weights[:, :, recent:]], 2)
            self.recorder.append({"attention": shown})
        self._hand_out(cost)
        return outputs.squeeze(1), state

    def sequence(
        self, inputs: Tensor, state: CompressiveState, starts: Tensor | None = None
    ) -> tuple[Tensor, CompressiveState]:
        """All steps at once: inputs [B, T, D] to outputs [B, T, K]; rows are reset where ``starts`` [B, T] are set."""
        if starts is not None and not needs_reference():
            outputs, after, _, cost = self._read(inputs, state, starts)
            if is_finite(outputs, after):
                self._hand_out(cost)
                return outputs, after
        if starts is not None:
            return in_pieces(self._run, inputs, state, starts, self.initial_state(len(inputs)))
        return self._run(inputs, state)

    def _run(self, inputs: Tensor, state: CompressiveState) -> tuple[Tensor, CompressiveState]:
        outputs, after, _, cost = self._read(inputs, state)
        self._hand_out(cost)
        return outputs, after

    def _hand_out(self, cost: Tensor | None) -> None:
        if cost is not None:
            add_cost(self, "reconstruction", self.reconstruction_weight * cost)

    def _read(
        self, inputs: Tensor, state: CompressiveState, starts: Tensor | None = None
    ) -> tuple[Tensor, CompressiveState, Tensor, Tensor | None]:
        """Outputs [B, T, K], the state after them, weights [B, N H, J] of the last step, and costs [B, T]."""
        if inputs.shape[1] > 1 and not needs_reference():
            # How much is in use cannot be looked up while a call is transformed or traced.
            empty, none = (part.shape[1] - int(part.any(0).sum()) for part in (state.filled, state.held))
            state = CompressiveState(
                state.past[:, :, empty:], state.filled[:, empty:], state.compressed[:, :, none:], state.held[:, none:]
            )
        now = plan(self.sizes, state.filled, state.held, inputs.shape[1], starts)
        stream = self.input(inputs).to(state.past.dtype)
        past, compressed, weights, costs = [], [], [], []
        for number, layer in enumerate(self.layers):
            given = torch.cat([state.past[:, number], stream], 1)
            compress: Any = self.compressions[number]
            fresh = compress(pick(given, now.old)).to(given.dtype)
            before = torch.cat([state.compressed[:, number], fresh if self.task_gradient else fresh.detach()], 1)
            if self.auxiliary is not None and compress.convolution is not None:
                costs.append(self._cost(layer, compress, given, now))
            held = torch.cat([before, state.past[:, number]], 1)
            stream, attended = layer(stream, held, now.visible, now.distance)
            past.append(given)
            compressed.append(before)
            weights.append(attended[:, :, -1])
        after = self._after(torch.stack(past, 1), torch.stack(compressed, 1), now)
        cost = torch.stack(costs).sum(0) if costs else None
        return self.output(stream), after, torch.cat(weights, 1), cost

    def _cost(self, layer: Any, compress: Compression, given: Tensor, now: Plan) -> Tensor:
        """Algorithm 2, one layer: how far attention to what is compressed is from attention to the states, [B, T].

        Nothing but the compression gets a gradient.
        """
        steps = now.visible.shape[1]
        cost = given.new_zeros(len(given), steps)
        if not now.times.shape[1]:
            return cost
        old, asking = (pick(given.detach(), places).flatten(0, 1) for places in (now.old, now.asking))  # [B S, n_s, C]
        restored = layer.content(asking, compress(old.unsqueeze(1)).to(old.dtype))
        distance = torch.linalg.vector_norm(layer.content(asking, old) - restored, dim=(1, 2, 3))
        return cost.scatter_add(1, now.times, torch.where(now.due, distance.view_as(now.due), 0))

    def _after(self, past: Tensor, compressed: Tensor, now: Plan) -> CompressiveState:
        """The state after states [B, N, P + T, C] and compressed ones [B, N, Q + S n_s / c, C]."""
        window, held = self.sizes.window, now.chosen_kept
        kept = now.kept[:, -window:]
        past = torch.where(kept[:, None, :, None], past[:, :, -window:], 0)
        index = now.chosen[:, None, :, None].expand(-1, compressed.shape[1], -1, compressed.shape[3])
        compressed = torch.where(held[:, None, :, None], compressed.gather(2, index), 0)
        missing, none = window - kept.shape[1], self.sizes.compressed - held.shape[1]
        return CompressiveState(
            F.pad(past, (0, 0, missing, 0)),
            F.pad(kept, (missing, 0)),
            F.pad(compressed, (0, 0, none, 0)),
            F.pad(held, (none, 0)),
        )
