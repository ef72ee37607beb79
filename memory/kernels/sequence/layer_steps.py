"""A recurrent layer over a sequence, compiled, forward and backward, for some rows of a batch.

LSTM: Hochreiter & Schmidhuber 1997 with forget gates; GRU: Cho et al. 2014, reset after the matrix product. Where a row
is reset, it begins from zeros. Time comes first: a step of all rows is one matrix. The gradients of the weights are
products over all steps, made outside.

Legend: B batch, b rows of the batch worked on together, T time, Z steps that are kept, D numbers from below,
H hidden units, G H what the layer receives.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.algebra import add, add_products, add_some_products, clear, copy
from lukasa.memory.kernels.sequence.arithmetic import hyperbolic_tangent, sigmoid
from lukasa.memory.kernels.sequence.compiling import compiled
from lukasa.memory.kernels.sequence.controller_steps import lstm, lstm_back


class LayerWeights(NamedTuple):
    """One row for each number that goes in."""

    below: Any  # [D, G H]; [0, G H] where the products with them are in the tape's gates
    across: Any  # [H, G H], from the step before
    bias: Any  # [G H]
    bias_across: Any  # [G H], of a GRU


class LayerTape(NamedTuple):
    """What a layer did at the steps."""

    gates: Any  # [Z, B, G H]
    before: Any  # [Z, B, H], what the new values of a GRU received from the step before
    cell: Any  # [Z + 1, B, H], of an LSTM, from before the first step; [1, B, H] where none are kept
    hidden: Any  # [T + 1, B, H], from before the first step


class LayerRoom(NamedTuple):
    """Room to work in."""

    carried: Any  # [b, H]
    cell: Any  # [b, H]
    before: Any  # [b, H]
    received: Any  # [b, G H]
    across: Any  # [b, G H]


@compiled()
def _receive(weights, inputs, tape, begin, time, received):
    """What the layer receives from below."""
    for r in range(received.shape[0]):
        copy(weights.bias if weights.below.shape[0] else tape.gates[time, begin + r], received[r])
    if weights.below.shape[0]:
        add_some_products(received, 0, inputs[time], begin, received.shape[0], weights.below)


@compiled(entry=True)
def lstm_forward(begin, end, weights, inputs, starts, tape, work):
    """Run the rows from ``begin`` to ``end`` over all steps.

    Args:
        begin: the first row.
        end: the last row plus one.
        weights: of the layer.
        inputs: [T, B, D].
        starts: bool [T, B], or [0, 0] where nothing is reset.
        tape: with the first state; receives the others.
        work: room for the rows.
    """
    rows, kept, cells = end - begin, tape.gates.shape[0], tape.cell.shape[0]
    for r in range(rows):
        copy(tape.cell[0, begin + r], work.cell[r])
    for time in range(tape.hidden.shape[0] - 1):
        for r in range(rows):
            copy(tape.hidden[time, begin + r], work.carried[r])
        _forget(work.carried, starts, time, begin)
        _forget(work.cell, starts, time, begin)
        _receive(weights, inputs, tape, begin, time, work.received)
        add_products(work.received, work.carried, weights.across)
        for r in range(rows):
            hidden = tape.hidden[time + 1, begin + r]
            lstm(work.received[r], tape.gates[time % kept, begin + r], work.cell[r], hidden)
            copy(work.cell[r], tape.cell[(time + 1) % cells, begin + r])


@compiled(entry=True)
def gru_forward(begin, end, weights, inputs, starts, tape, work):
    """Likewise."""
    rows, kept = end - begin, tape.gates.shape[0]
    for time in range(tape.hidden.shape[0] - 1):
        for r in range(rows):
            copy(tape.hidden[time, begin + r], work.carried[r])
            copy(weights.bias_across, work.across[r])
        _forget(work.carried, starts, time, begin)
        _receive(weights, inputs, tape, begin, time, work.received)
        add_products(work.across, work.carried, weights.across)
        for r in range(rows):
            row, slot = begin + r, time % kept
            kinds = tape.gates[slot, row], tape.before[slot, row]
            _gru(work.received[r], work.across[r], kinds[0], kinds[1], work.carried[r], tape.hidden[time + 1, row])


@compiled()
def _gru(received, across, gates, before, hidden_before, hidden):
    """N = tanh(x + r y); h = (1 − z) n + z h. Gates: r, z, n; y is ``before``."""
    size = hidden.shape[0]
    for j in range(2 * size):
        gates[j] = sigmoid(received[j] + across[j])
    copy(across[2 * size :], before)
    reset, update, new, below = gates[:size], gates[size : 2 * size], gates[2 * size :], received[2 * size :]
    for j in range(size):
        new[j] = hyperbolic_tangent(below[j] + reset[j] * before[j])
    for j in range(size):
        hidden[j] = new[j] + update[j] * (hidden_before[j] - new[j])


@compiled(entry=True)
def lstm_backward(begin, end, across, starts, tape, to_hidden, to_first, to_first_cell, to_gates, work):
    """From the gradients of what the rows from ``begin`` to ``end`` gave to those of what they received.

    Args:
        begin: the first row.
        end: the last row plus one.
        across: [4 H, H], as in ``torch.nn.LSTM``.
        starts: as in ``lstm_forward``.
        tape: as that left it, with every step.
        to_hidden: [T, B, H], from above.
        to_first: [B, H], the gradient of the last hidden vector, which becomes that of the first.
        to_first_cell: [B, H], likewise of the cell.
        to_gates: [T, B, 4 H], receives the gradient of what the layer received.
        work: room for the rows.
    """
    rows = end - begin
    for r in range(rows):
        copy(to_first[begin + r], work.carried[r])
        copy(to_first_cell[begin + r], work.cell[r])
    for time in range(to_gates.shape[0] - 1, -1, -1):
        for r in range(rows):
            row = begin + r
            fresh = starts.shape[0] and starts[time, row]
            if fresh:
                clear(work.before[r])
            else:
                copy(tape.cell[time, row], work.before[r])
            add(to_hidden[time, row], work.carried[r])
            cells = tape.cell[time + 1, row], work.before[r]
            lstm_back(tape.gates[time, row], cells[0], cells[1], work.carried[r], work.cell[r], work.received[r])
            copy(work.received[r], to_gates[time, row])
            if fresh:
                clear(work.cell[r])
        add_products(work.carried, work.received, across)
        _forget(work.carried, starts, time, begin)
    for r in range(rows):
        copy(work.carried[r], to_first[begin + r])
        copy(work.cell[r], to_first_cell[begin + r])


@compiled()
def _forget(carried, starts, time, begin):
    """Nothing flows further back where a row was reset."""
    if starts.shape[0]:
        for r in range(carried.shape[0]):
            if starts[time, begin + r]:
                clear(carried[r])


@compiled(entry=True)
def gru_backward(begin, end, across, starts, tape, to_hidden, to_first, to_gates, to_across, work):
    """Likewise; ``across`` is [3 H, H], and ``to_across`` [T, B, H] receives that of the tape's ``before``."""
    rows, size = end - begin, to_hidden.shape[2]
    for r in range(rows):
        copy(to_first[begin + r], work.carried[r])
    for time in range(to_gates.shape[0] - 1, -1, -1):
        for r in range(rows):
            row = begin + r
            if starts.shape[0] and starts[time, row]:
                clear(work.before[r])
            else:
                copy(tape.hidden[time, row], work.before[r])
            add(to_hidden[time, row], work.carried[r])
            _gru_back(
                tape.gates[time, row],
                tape.before[time, row],
                work.before[r],
                work.carried[r],
                work.received[r],
                to_gates[time, row],
            )
            copy(work.received[r, 2 * size :], to_across[time, row])
        add_products(work.carried, work.received, across)
        _forget(work.carried, starts, time, begin)
    for r in range(rows):
        copy(work.carried[r], to_first[begin + r])


@compiled()
def _gru_back(gates, before, hidden_before, to_hidden, told, to_gates):
    """Leaves the part of the hidden vector's gradient that does not pass through the weights. Told: r, z and y."""
    size = hidden_before.shape[0]
    one = hidden_before.dtype.type(1)
    for j in range(size):
        reset, update, new = gates[j], gates[size + j], gates[2 * size + j]
        to_new = to_hidden[j] * (one - update) * (one - new * new)
        told[j] = to_new * before[j] * reset * (one - reset)
        told[size + j] = to_hidden[j] * (hidden_before[j] - new) * update * (one - update)
        told[2 * size + j] = to_new * reset
        to_gates[2 * size + j] = to_new
        to_hidden[j] = to_hidden[j] * update
    for j in range(2 * size):
        to_gates[j] = told[j]
