"""Weights, states and tapes of a core as the compiled functions take them; gradients as autograd takes them.

Legend: B batch, T time, Z steps that are kept, D input width, L controller layers, H hidden units, F read numbers,
G H what a layer receives, A H what is kept of it, U hidden units that steer the heads, I numbers of the interface.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lukasa.memory.kernels.sequence.carrying import Carried, Interface, Rows
from lukasa.memory.kernels.sequence.controller_steps import (
    FEEDFORWARD,
    GRU,
    KEPT,
    LSTM,
    RECEIVED,
    ControllerWeights,
)

FIELDS = {LSTM: 2, GRU: 1, FEEDFORWARD: 0}
"""Tensors of a controller's state."""

LAYER = {LSTM: 4, GRU: 4, FEEDFORWARD: 2}
"""Parameters of a layer: weights and biases of what comes from below, and of what comes from the step before."""


class Shape(NamedTuple):
    """Of a controller and what it steers."""

    kind: int
    layers: int
    size: int
    input_size: int
    reads: int
    steering: int  # layers that steer the heads

    @property
    def parameters(self) -> int:
        """How many tensors hold its weights; behind them come the interface's two and the output's two."""
        return LAYER[self.kind] * self.layers

    def layer(self, tensors: tuple[Tensor, ...], index: int) -> tuple[Tensor, ...]:
        """The weights of a layer."""
        count = LAYER[self.kind]
        return tensors[index * count : (index + 1) * count]


def numbers(tensor: Tensor) -> Any:
    """A tensor as the array that shares its memory."""
    return tensor.detach().numpy()


def project(shape: Shape, tensors: tuple[Tensor, ...], inputs: Tensor) -> Tensor:
    """What the first layer receives from the inputs, at all steps: [B, T, G H]."""
    weight, bias = input_weight(shape, tensors)
    rows, steps, width = inputs.shape
    return torch.addmm(bias, inputs.reshape(rows * steps, width), weight.t()).view(rows, steps, -1)


def input_weight(shape: Shape, tensors: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Weights [G H, D] and bias of that."""
    first = shape.layer(tensors, 0)
    weight = first[0][:, : shape.input_size]
    bias = {LSTM: lambda: first[2] + first[3], GRU: lambda: first[2], FEEDFORWARD: lambda: first[1]}[shape.kind]()
    return weight, bias


def pack_weights(shape: Shape, tensors: tuple[Tensor, ...]) -> ControllerWeights:
    """The matrices of a controller, as they multiply forward and backward."""
    layers = [shape.layer(tensors, index) for index in range(shape.layers)]
    first, recurrent = layers[0][0], shape.kind != FEEDFORWARD
    none, received = first.new_empty(0, 0, 0), RECEIVED[shape.kind] * shape.size
    below = torch.stack([layer[0] for layer in layers[1:]]) if shape.layers > 1 else none
    across = torch.stack([layer[1] for layer in layers]) if recurrent else none
    if shape.kind == LSTM:
        bias = torch.stack([layer[2] + layer[3] for layer in layers])
    else:
        bias = torch.stack([layer[2 if recurrent else 1] for layer in layers])
    bias_across = torch.stack([layer[3] for layer in layers]) if shape.kind == GRU else first.new_empty(0, received)
    reads = first[:, shape.input_size :]
    return ControllerWeights(
        shape.kind,
        shape.layers,
        shape.size,
        *(
            numbers(part.contiguous())
            for part in (
                reads.t(),
                below.transpose(1, 2),
                across.transpose(1, 2),
                bias,
                bias_across,
                reads,
                below,
                across,
            )
        ),
    )


def pack_interface(shape: Shape, weight: Tensor, bias: Tensor) -> Interface:
    """The layer [I, U] that steers the heads."""
    back = weight.unflatten(1, (shape.steering, shape.size)).transpose(0, 1)
    return Interface(*(numbers(part.contiguous()) for part in (weight.t(), bias, back)))


def pack_layers(
    shape: Shape, weights: tuple[Tensor, ...], interface: tuple[Tensor, ...]
) -> tuple[ControllerWeights, Interface]:
    """The layers that run inside the loop, as forward and backward take them: the controller's and the interface's."""
    return pack_weights(shape, weights), pack_interface(shape, *interface)


def controller_tape(shape: Shape, like: Tensor, rows: int, steps: int) -> tuple[Tensor, ...]:
    """Room for what the controller does: hidden and cell vectors, and what it keeps."""
    layers, size = shape.layers, shape.size
    return (
        like.new_empty(layers, rows, steps, size),
        like.new_empty(layers if shape.kind == LSTM else 0, rows, steps, size),
        like.new_empty(layers, rows, steps, KEPT[shape.kind] * size),
    )


def room(shape: Shape, like: Tensor, rows: int, interface: int) -> Rows:
    """Room for some rows to be worked on."""
    carried = [(shape.layers, rows, shape.size)] * 2 + [(rows, shape.reads)]
    sizes = [(rows, RECEIVED[shape.kind] * shape.size)] * 2 + [(rows, interface)]
    parts = [numbers(like.new_zeros(size)) for size in (*carried, *carried, *sizes)]
    return Rows(Carried(*parts[:3]), Carried(*parts[3:6]), *parts[6:])


def inside_tensors(shape: Shape, reads: Tensor, controller: Sequence[Tensor]) -> list[Tensor]:
    """Hidden vectors [B, L, H], cell vectors [B, L, H] and reads [B, F]; L is 0 where a controller has none."""
    none = reads.new_empty(len(reads), 0, shape.size)
    hidden, cell = [*controller, none, none][:2]
    return [hidden, cell, reads.flatten(1)]


def controller_gradients(
    shape: Shape,
    tensors: tuple[Tensor, ...],
    needed: tuple[bool, ...],
    to_received: Tensor,
    inputs: Tensor,
    hidden: Tensor,
    before: Tensor | None,
    reads_before: Tensor,
) -> tuple[Tensor | None, list[Tensor | None]]:
    """The gradients of the inputs and of the weights of a controller, from those of what its layers received.

    Args:
        shape: of the controller.
        tensors: its weights.
        needed: for the inputs and each of the weights whether it is asked for.
        to_received: [L, B, T, A H].
        inputs: [B, T, D].
        hidden: [L, B, T, H], after the steps.
        before: [L, B, T, H], before the steps; None of a feed-forward controller.
        reads_before: [B, T, F].
    """
    found: list[Tensor | None] = []
    to_inputs = None
    for index in range(shape.layers):
        told = to_received[index].flatten(0, 1)
        to_below, to_across = _sides(shape, told)
        asked = needed[1 + index * LAYER[shape.kind] : 1 + (index + 1) * LAYER[shape.kind]]
        if index == 0:
            sources = [inputs.flatten(0, 1), reads_before.flatten(0, 1)]
            if needed[0]:
                to_inputs = torch.mm(to_below, tensors[0][:, : shape.input_size]).view_as(inputs)
        else:
            sources = [hidden[index - 1].flatten(0, 1)]
        weight = torch.cat([to_below.t() @ source for source in sources], 1) if asked[0] else None
        bias = to_below.sum(0) if asked[-1] or asked[-2] else None
        if shape.kind == FEEDFORWARD:
            found += [weight, bias]
            continue
        across = to_across.t() @ before[index].flatten(0, 1) if before is not None and asked[1] else None
        bias_across = bias if shape.kind == LSTM else to_across.sum(0)
        found += [weight, across, bias, bias_across.clone() if bias_across is not None else None]
    return to_inputs, found


def _sides(shape: Shape, told: Tensor) -> tuple[Tensor, Tensor]:
    """What came from below and what came from the step before, of [B T, A H]."""
    if shape.kind != GRU:
        return told, told
    below, before = told.split([3 * shape.size, shape.size], 1)
    return below, torch.cat([below[:, : 2 * shape.size], before], 1)
