"""Gated Transformer-XL: attention over a cached window, with gates for residual connections (Parisotto et al. 2020).

Legend: B batch, T time, L steps kept of the past, N layers, H heads, C size of a layer, D input width, K output width.
"""

from __future__ import annotations

from torch import Tensor, nn

from lukasa.memory.attention.gated import GatedTransformer, GateKind
from lukasa.memory.attention.window import WindowState, in_pieces, is_finite
from lukasa.memory.core import Core, check_inputs
from lukasa.memory.derivatives import needs_reference


class GTrXL(Core):
    """A linear layer, gated Transformer layers with relative attention, a linear output.

    A step attends, in every layer, to itself and to what that layer was given at the ``length`` steps before it. So the
    N-th layer knows of what was up to N L steps back, and the state is of one size.

    Args:
        input_size: D.
        output_size: K.
        length: steps that a layer looks back (L).
        size: width of the stream through the layers (C).
        layers: number of layers, one above another (N).
        heads: attention heads of a layer (H).
        head_size: numbers in a query, key and value of a head.
        mlp_size: hidden units of each layer's perceptron.
        gate: what puts a submodule's result into the stream: "gru", or another gate of the paper; "residual" adds it.
        gate_bias: b_g at first; with 2, gates begin almost closed and every layer as if it were not there.
    """

    resets_inside = True

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        length: int = 64,
        size: int = 128,
        layers: int = 2,
        heads: int = 4,
        head_size: int = 32,
        mlp_size: int = 128,
        gate: GateKind = "gru",
        gate_bias: float = 2.0,
    ):
        super().__init__()
        self.input_size, self.output_size = input_size, output_size
        sizes = {"layers": layers, "length": length, "heads": heads, "head_size": head_size, "mlp_size": mlp_size}
        self.input = nn.Linear(input_size, size)
        self.body = GatedTransformer(size, **sizes, gate=gate, gate_bias=gate_bias)
        self.output = nn.Linear(size, output_size)

    def initial_state(self, batch_size: int) -> WindowState:
        """No past."""
        return self.body.initial_state(batch_size)

    def forward(self, inputs: Tensor, state: WindowState) -> tuple[Tensor, WindowState]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        stream, state, weights = self.body(self.input(inputs).unsqueeze(1), state)
        if self.recorder is not None:
            self.recorder.append({"attention": weights.squeeze(2)})  # [B, N H, L + 1], this step last
        return self.output(stream.squeeze(1)), state

    def sequence(self, inputs: Tensor, state: WindowState, starts: Tensor | None = None) -> tuple[Tensor, WindowState]:
        """All steps at once: inputs [B, T, D] to outputs [B, T, K]; rows are reset where ``starts`` [B, T] are set."""
        if starts is not None and not needs_reference():
            outputs, after = self._run(inputs, state, starts)
            if is_finite(outputs, after):
                return outputs, after
        if starts is not None:
            return in_pieces(self._run, inputs, state, starts, self.initial_state(len(inputs)))
        return self._run(inputs, state)

    def _run(self, inputs: Tensor, state: WindowState, starts: Tensor | None = None) -> tuple[Tensor, WindowState]:
        stream, state, _ = self.body(self.input(inputs), state, starts)
        return self.output(stream), state
