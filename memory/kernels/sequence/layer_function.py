"""A recurrent layer over a sequence as one autograd function around the compiled loops.

Legend: B batch, T time, D numbers from below, L layers, H hidden units, G H what a layer receives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lukasa.memory.controllers import gru_cell, lstm_cell
from lukasa.memory.derivatives import differentiable_gradients, is_differentiated_again
from lukasa.memory.kernels.sequence import layer_steps
from lukasa.memory.kernels.sequence.compiling import call
from lukasa.memory.kernels.sequence.layer_steps import LayerRoom, LayerTape, LayerWeights
from lukasa.memory.kernels.sequence.packing import numbers
from lukasa.memory.kernels.sequence.threads import over_rows

ROWS = 64
"""At most so many rows at once: what they carry stays in the processor's cache beside the weights."""
FEW = 4
"""With fewer rows than this, the products with what comes from below are one matrix product over all steps."""


class Layer(NamedTuple):
    """What a layer is given: tensors, or whether their gradients are asked for."""

    inputs: Any  # [T, B, D]
    below: Any  # [G H, D], as in ``torch.nn.LSTM``
    across: Any  # [G H, H]
    bias: Any  # [G H]
    bias_across: Any  # [G H]
    hidden: Any  # [B, H], before the first step
    cell: Any = None  # [B, H]; None of a GRU


def run_layers(
    inputs: Tensor, starts: Tensor | None, weights: Sequence[Sequence[Tensor]], state: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """A stack of layers over a sequence.

    Args:
        inputs: [B, T, D].
        starts: bool [B, T], where rows are reset to zeros; None where nothing is.
        weights: of each layer, in the order of ``torch.nn.LSTM``.
        state: hidden vectors [B, L, H], and of an LSTM the cells.

    Returns:
        Hidden vectors of the last layer [B, T, H], and the state after the last step.
    """
    below, ends = inputs.transpose(0, 1).contiguous(), []
    resets = None if starts is None else starts.t().contiguous()
    for index, layer in enumerate(weights):
        below, *last = _run(resets, Layer(below, *layer, *(part[:, index] for part in state)))
        ends.append(last)
    return below.transpose(0, 1), [torch.stack(parts, 1) for parts in zip(*ends, strict=True)]


def _run(starts: Tensor | None, layer: Layer) -> Sequence[Tensor]:
    """Hidden vectors [T, B, H], the last of them, and of an LSTM the last cell."""
    tensors = [part for part in layer if part is not None]
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return _Layer.apply(starts, *tensors)  # type: ignore[return-value]
    return _forward(starts, layer, keep=False)[0]


class _Layer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, starts: Tensor | None, *tensors: Tensor) -> tuple[Tensor, ...]:
        results, kept = _forward(starts, Layer(*tensors), keep=True)
        ctx.given = len(tensors)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(starts, *tensors, *kept)
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        starts, *saved = ctx.saved_tensors
        tensors, kept, needed = saved[: ctx.given], saved[ctx.given :], ctx.needs_input_grad[1:]
        if is_differentiated_again():
            return None, *_differentiable(starts, tensors, needed, gradients)
        found = _backward(starts, Layer(*tensors), Layer(*needed), gradients, LayerTape(*kept))
        return None, *(one if wanted else None for one, wanted in zip(found, needed, strict=True))


def _forward(starts: Tensor | None, layer: Layer, keep: bool) -> tuple[tuple[Tensor, ...], LayerTape]:
    """The results, and what backward needs where all steps are to be kept."""
    inputs, is_lstm = layer.inputs, layer.cell is not None
    (steps, rows, width), size = inputs.shape, layer.hidden.shape[1]
    bias = layer.bias + layer.bias_across if is_lstm else layer.bias
    if rows < FEW:
        gates = torch.addmm(bias, inputs.view(-1, width), layer.below.t()).view(steps, rows, -1)
        below = inputs.new_empty(0, gates.shape[2])
    else:
        below = layer.below.t().contiguous()
        gates = inputs.new_empty(steps if keep else 1, rows, len(bias))
    tape = LayerTape(
        gates,
        inputs.new_empty(0 if is_lstm else len(gates), rows, size),
        inputs.new_empty((steps + 1 if keep else 1) if is_lstm else 0, rows, size),
        inputs.new_empty(steps + 1, rows, size),
    )
    tape.hidden[0] = layer.hidden
    if is_lstm:
        tape.cell[0] = layer.cell
    weights = LayerWeights(*(numbers(part.contiguous()) for part in (below, layer.across.t(), bias, layer.bias_across)))
    resets, arrays = _resets(starts), LayerTape(*map(numbers, tape))
    function = layer_steps.lstm_forward if is_lstm else layer_steps.gru_forward
    _over_rows(function, layer, weights, numbers(inputs), resets, arrays)
    last = [part[-1].clone() for part in ((tape.hidden, tape.cell) if is_lstm else (tape.hidden,))]
    return (tape.hidden[1:], *last), tape


def _over_rows(function: Any, layer: Layer, *arguments: Any) -> None:
    """Call a compiled function for all rows, each block with room of its own to work in."""
    like, received, size = layer.inputs, len(layer.bias), layer.hidden.shape[1]

    def work(begin: int, end: int) -> None:
        rows = end - begin
        sizes = [(rows, size)] * 3 + [(rows, received)] * 2
        call(function, like.dtype, begin, end, *arguments, LayerRoom(*(numbers(like.new_empty(one)) for one in sizes)))

    over_rows(work, like.shape[1], ROWS)


def _resets(starts: Tensor | None) -> Any:
    return numbers(torch.zeros(0, 0, dtype=torch.bool) if starts is None else starts)


def _backward(
    starts: Tensor | None, layer: Layer, asked: Layer, gradients: Sequence[Tensor | None], tape: LayerTape
) -> list[Tensor | None]:
    """The gradients of all that was given."""
    is_lstm = layer.cell is not None
    to_hidden, to_first, *to_cell = (
        torch.zeros_like(like) if gradient is None else gradient.contiguous()
        for gradient, like in zip(gradients, (tape.hidden[1:], layer.hidden, layer.cell), strict=False)
        if like is not None
    )
    # what becomes the gradient of the first state has memory of its own
    to_state = [part.clone() for part in (to_first, *to_cell)]
    to_gates = torch.empty_like(tape.gates)
    to_across = torch.empty_like(tape.before)
    results = [*to_state, to_gates, *[to_across] * (not is_lstm)]
    function = layer_steps.lstm_backward if is_lstm else layer_steps.gru_backward
    arrays = LayerTape(*map(numbers, tape))
    across = numbers(layer.across.contiguous())
    _over_rows(function, layer, across, _resets(starts), arrays, numbers(to_hidden), *map(numbers, results))
    before = tape.hidden[:-1]
    if starts is not None:
        before = before.masked_fill(starts.unsqueeze(2), 0)
    return [*_weight_gradients(layer, asked, to_gates, to_across, before), *to_state]


def _weight_gradients(
    layer: Layer, asked: Layer, to_gates: Tensor, to_across: Tensor, before: Tensor
) -> list[Tensor | None]:
    """Of the inputs, the weights and the biases."""
    told, from_before = to_gates.flatten(0, 1), before.flatten(0, 1)
    parts = [told]  # what came from the step before
    if layer.cell is None:
        parts = [told[:, : 2 * before.shape[2]], to_across.flatten(0, 1)]
    bias = told.sum(0)
    return [
        (told @ layer.below).view_as(layer.inputs) if asked.inputs else None,
        told.t() @ layer.inputs.flatten(0, 1) if asked.below else None,
        torch.cat([part.t() @ from_before for part in parts]) if asked.across else None,
        bias,
        torch.cat([part.sum(0) for part in parts]) if layer.cell is None else bias.clone(),
    ]


def _differentiable(
    starts: Tensor | None, tensors: Sequence[Tensor], needed: Sequence[bool], gradients: Sequence[Tensor | None]
) -> tuple[Tensor | None, ...]:
    """The gradients by way of the equations."""
    arrived = [index for index, gradient in enumerate(gradients) if gradient is not None]

    def reference(*some: Tensor) -> list[Tensor]:
        results = by_equations(starts, Layer(*some))
        return [results[index] for index in arrived]

    return differentiable_gradients(reference, tensors, needed, [one for one in gradients if one is not None])


def by_equations(starts: Tensor | None, layer: Layer) -> list[Tensor]:
    """The results of a layer, step by step."""
    hidden: Any = layer.hidden
    cell: Any = layer.cell
    weights, outputs = layer[1:5], []
    for time, inputs in enumerate(layer.inputs.unbind(0)):
        if starts is not None:
            hidden, cell = (
                part if part is None else part.masked_fill(starts[time, :, None], 0) for part in (hidden, cell)
            )
        if cell is None:
            hidden = gru_cell(inputs, hidden, *weights)
        else:
            hidden, cell = lstm_cell(inputs, (hidden, cell), *weights)
        outputs.append(hidden)
    return [torch.stack(outputs), hidden, *([] if cell is None else [cell])]
