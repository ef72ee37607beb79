"""What surrounds such a memory: layers one above another, each with a matrix of its own for every head.

Legend: B batch, T time, D input width, K output width, L layers, E width of the layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.controllers import NoState
from lukasa.memory.core import Core, check_inputs, in_dtype, in_full_precision

State = Any
"""A NamedTuple of tensors [B, L, ...], or ``NoState`` in the place of one that the options do without."""
Recording = dict[str, Tensor]


class Stack(nn.Module):
    """An input layer, layers that read what is normalised and add to it, and a last norm.

    Args:
        input_size: D.
        size: E.
        layers: each takes inputs [B, T, E], its part of the state, with tensors [B, ...], and ``starts``, and gives
            what it adds, the next state, and what is to be recorded of its last step.
    """

    def __init__(self, input_size: int, size: int, layers: Sequence[nn.Module]):
        super().__init__()
        self.into = nn.Linear(input_size, size)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in layers)
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(size)

    def initial_state(self, batch_size: int) -> State:
        """Of all layers."""
        return _joined([layer.initial_state(batch_size) for layer in self.layers])  # type: ignore[operator]

    def forward(self, inputs: Tensor, state: State, starts: Tensor | None) -> tuple[Tensor, State, Recording]:
        """Inputs [B, T, D] to [B, T, E], the last state and a recording of the last step."""
        whole = in_full_precision(state)
        # what layers add up is kept whole, as the memory is: a read can be beyond what float16 holds
        hidden = self.into(inputs).to(whole[0].dtype)
        parts, recorded = [], []
        for index, (norm, layer) in enumerate(zip(self.norms, self.layers, strict=True)):
            added, part, seen = layer(_normalised(norm, hidden).to(inputs.dtype), _layer_of(whole, index), starts)
            hidden = hidden + added
            parts.append(part)
            recorded.append(seen)
        names = recorded[0]
        shown = {name: torch.cat([seen[name] for seen in recorded], 1) for name in names}
        return (
            _normalised(self.norm, hidden).to(inputs.dtype),
            in_dtype(state[0].dtype, _joined(parts)),
            shown,
        )


class Stacked(Core):
    """A core that is a stack of such layers and a linear output; a subclass makes the layers of its options.

    Args:
        input_size: D.
        output_size: K.
        size: E.
        layers: as ``Stack`` takes them.
    """

    resets_inside = True

    def __init__(self, input_size: int, output_size: int, size: int, layers: Sequence[nn.Module]):
        super().__init__()
        self.input_size, self.output_size = input_size, output_size
        self.stack = Stack(input_size, size, layers)
        self.output = nn.Linear(size, output_size)

    def initial_state(self, batch_size: int) -> State:
        """Nothing is written."""
        return self.stack.initial_state(batch_size)

    def forward(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """One step: inputs [B, D] to outputs [B, K]."""
        check_inputs(self, inputs, state=state)
        hidden, after, shown = self.stack(inputs.unsqueeze(1), state, None)
        if self.recorder is not None:
            self.recorder.append(shown)
        return self.output(hidden.squeeze(1)), after

    def sequence(self, inputs: Tensor, state: State, starts: Tensor | None = None) -> tuple[Tensor, State]:
        """All steps at once, with resets inside: inputs [B, T, D] to outputs [B, T, K]."""
        hidden, after, _ = self.stack(inputs, state, starts)
        return self.output(hidden), after


def _normalised(norm: nn.Module, hidden: Tensor) -> Tensor:
    """A layer norm of what may be in a wider format than its parameters."""
    layer: Any = norm
    return F.layer_norm(
        hidden, layer.normalized_shape, layer.weight.to(hidden.dtype), layer.bias.to(hidden.dtype), layer.eps
    )


def _layer_of(state: State, index: int) -> State:
    return type(state)(*(part[:, index] if isinstance(part, Tensor) else part for part in state))


def _joined(states: Sequence[State]) -> State:
    kind = type(states[0])
    return kind(*(torch.stack(parts, 1) if isinstance(parts[0], Tensor) else NoState() for parts in zip(*states)))  # noqa: B905
