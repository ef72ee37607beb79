"""Compiled steps of the controllers, forward and backward, for some rows of a batch.

What a layer receives is a product with its weights; the part of the first layer that reads the input of the core is
``projected``, made for all steps at once. LSTM: Hochreiter & Schmidhuber 1997 with forget gates; GRU: Cho et al. 2014,
reset after the matrix product; feed-forward: tanh.

Legend: B batch, b rows of the batch worked on together, T time, L layers, H hidden units, G H what the layers receive,
A H what is kept of a step, F read numbers, Z steps that are kept.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.algebra import add_products, copy
from lukasa.memory.kernels.sequence.arithmetic import hyperbolic_tangent, sigmoid
from lukasa.memory.kernels.sequence.compiling import compiled

LSTM, GRU, FEEDFORWARD = 0, 1, 2
RECEIVED = {LSTM: 4, GRU: 3, FEEDFORWARD: 1}
"""G: how many numbers a unit receives."""
KEPT = {LSTM: 4, GRU: 4, FEEDFORWARD: 1}
"""A: how many numbers a unit keeps for the backward pass; of a GRU also what its new value received from before."""


class ControllerWeights(NamedTuple):
    """The matrices twice, one row for each number that goes in, forward and backward."""

    kind: int
    layers: int
    size: int  # H
    reads: Any  # [F, G H], of the first layer
    below: Any  # [L − 1, H, G H], of the others
    across: Any  # [L, H, G H], from the step before
    bias: Any  # [L, G H]; that of the first layer is in ``projected``
    bias_across: Any  # [L, G H], of a GRU
    reads_back: Any  # [G H, F]
    below_back: Any  # [L − 1, G H, H]
    across_back: Any  # [L, G H, H]


class ControllerTape(NamedTuple):
    """What the controller did at the steps, for the backward pass."""

    hidden: Any  # [L, B, Z, H], after the step
    cell: Any  # [L, B, Z, H]
    kept: Any  # [L, B, Z, A H]


@compiled()
def controller_step(weights, projected, work, tape, begin, time, slot):
    """One step of the rows from ``begin`` on: carried hidden and cell vectors are replaced, and kept in the tape."""
    carried, received, across = work.carried, work.received, work.across
    layers, rows, size = carried.hidden.shape
    for layer in range(layers):
        for r in range(rows):
            copy(projected[begin + r, time] if layer == 0 else weights.bias[layer], received[r])
        if layer == 0:
            add_products(received, carried.reads, weights.reads)
        else:
            add_products(received, carried.hidden[layer - 1], weights.below[layer - 1])
        if weights.kind == LSTM:
            add_products(received, carried.hidden[layer], weights.across[layer])
        elif weights.kind == GRU:
            for r in range(rows):
                copy(weights.bias_across[layer], across[r])
            add_products(across, carried.hidden[layer], weights.across[layer])
        for r in range(rows):
            hidden, cell, kept = carried.hidden[layer, r], carried.cell[layer, r], tape.kept[layer, begin + r, slot]
            if weights.kind == LSTM:
                lstm(received[r], kept, cell, hidden)
                copy(cell, tape.cell[layer, begin + r, slot])
            elif weights.kind == GRU:
                _gru(received[r], across[r], hidden, kept)
            else:
                for j in range(size):
                    hidden[j] = hyperbolic_tangent(received[r, j])
            copy(hidden, tape.hidden[layer, begin + r, slot])


@compiled()
def lstm(received, kept, cell, hidden):
    """C = f c + i g; h = o tanh c. Kept: i, f, g, o."""
    size = hidden.shape[0]
    for j in range(2 * size):
        kept[j] = sigmoid(received[j])
    for j in range(2 * size, 3 * size):
        kept[j] = hyperbolic_tangent(received[j])
    for j in range(3 * size, 4 * size):
        kept[j] = sigmoid(received[j])
    write, keep, new, show = kept[:size], kept[size : 2 * size], kept[2 * size : 3 * size], kept[3 * size :]
    for j in range(size):
        cell[j] = keep[j] * cell[j] + write[j] * new[j]
    for j in range(size):
        hidden[j] = show[j] * hyperbolic_tangent(cell[j])


@compiled()
def _gru(received, across, hidden, kept):
    """N = tanh(x + r y); h = (1 − z) n + z h. Kept: r, z, n and y."""
    size = hidden.shape[0]
    for j in range(2 * size):
        kept[j] = sigmoid(received[j] + across[j])
    reset, update, new, before = kept[:size], kept[size : 2 * size], kept[2 * size : 3 * size], kept[3 * size :]
    for j in range(size):
        before[j] = across[2 * size + j]
        new[j] = hyperbolic_tangent(received[2 * size + j] + reset[j] * before[j])
        hidden[j] = new[j] + update[j] * (hidden[j] - new[j])


@compiled()
def controller_back(weights, work, tape, to_received, begin, time, slot):
    """One step backward: from the gradients of hidden and cell vectors after the step to those before it.

    Args:
        weights: of the controller.
        work: the carried gradients, which are replaced (those of the reads before the step are added to what is
            there), and what was carried into the step.
        tape: of the forward pass.
        to_received: [L, B, T, A H], receives the gradients of what the layers received.
        begin: the first row of the batch.
        time: of the step, in ``to_received``.
        slot: of the step, in the tape.
    """
    to_carried, before, to_below, to_across = work.carried, work.before, work.received, work.across
    layers, rows, size = to_carried.hidden.shape
    for layer in range(layers - 1, -1, -1):
        for r in range(rows):
            to_hidden, to_cell = to_carried.hidden[layer, r], to_carried.cell[layer, r]
            kept, told = tape.kept[layer, begin + r, slot], to_received[layer, begin + r, time]
            if weights.kind == LSTM:
                cells = tape.cell[layer, begin + r, slot], before.cell[layer, r]
                lstm_back(kept, cells[0], cells[1], to_hidden, to_cell, told)
                copy(told, to_below[r])
            elif weights.kind == GRU:
                _gru_back(kept, before.hidden[layer, r], to_hidden, told)
                copy(told, to_below[r])
                copy(told, to_across[r, : 2 * size])
                copy(told[3 * size :], to_across[r, 2 * size :])
            else:
                hidden = tape.hidden[layer, begin + r, slot]
                for j in range(size):
                    told[j] = to_hidden[j] - to_hidden[j] * hidden[j] * hidden[j]
                    to_hidden[j] = told.dtype.type(0)
                copy(told, to_below[r])
        if weights.kind == LSTM:
            add_products(to_carried.hidden[layer], to_below, weights.across_back[layer])
        elif weights.kind == GRU:
            add_products(to_carried.hidden[layer], to_across, weights.across_back[layer])
        if layer == 0:
            add_products(to_carried.reads, to_below, weights.reads_back)
        else:
            add_products(to_carried.hidden[layer - 1], to_below, weights.below_back[layer - 1])


@compiled()
def lstm_back(kept, cell, cell_before, to_hidden, to_cell, told):
    """Leaves the gradient of the cell before, and zeros for the hidden vector before."""
    size = cell.shape[0]
    zero, one = cell.dtype.type(0), cell.dtype.type(1)
    for j in range(size):
        write, keep, new, show = kept[j], kept[size + j], kept[2 * size + j], kept[3 * size + j]
        shown = hyperbolic_tangent(cell[j])
        through = to_cell[j] + to_hidden[j] * show * (one - shown * shown)
        told[j] = through * new * write * (one - write)
        told[size + j] = through * cell_before[j] * keep * (one - keep)
        told[2 * size + j] = through * write * (one - new * new)
        told[3 * size + j] = to_hidden[j] * shown * show * (one - show)
        to_cell[j] = through * keep
        to_hidden[j] = zero


@compiled()
def _gru_back(kept, hidden_before, to_hidden, told):
    """Leaves the part of the hidden vector's gradient that does not pass through the weights. Told: r, z, x and y."""
    size = hidden_before.shape[0]
    one = hidden_before.dtype.type(1)
    for j in range(size):
        reset, update, new, before = kept[j], kept[size + j], kept[2 * size + j], kept[3 * size + j]
        to_new = to_hidden[j] * (one - update) * (one - new * new)
        told[j] = to_new * before * reset * (one - reset)
        told[size + j] = to_hidden[j] * (hidden_before[j] - new) * update * (one - update)
        told[2 * size + j] = to_new
        told[3 * size + j] = to_new * reset
        to_hidden[j] = to_hidden[j] * update
