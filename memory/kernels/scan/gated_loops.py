"""The recurrence of minGRU with its gates, and its gradient, compiled, for some rows of a batch.

What a gate keeps is a sigmoid of its own, as a difference from 1 would lose what a nearly open gate keeps. Gates are
worked out again on the way back, which costs less than keeping them.

Legend: B batch, T time, H hidden units.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.algebra import clear, copy
from lukasa.memory.kernels.sequence.arithmetic import sigmoid
from lukasa.memory.kernels.sequence.compiling import compiled


class Gates(NamedTuple):
    """Of one step of one row; room to work in."""

    kept: Any  # [H], 1 − z
    update: Any  # [H], z
    new: Any  # [H], h̃
    slope: Any  # [H], of h̃, where it is positive


@compiled()
def _open(emitted, positive, gates):
    """Gates and candidate from what was emitted: [2 H], the gate first."""
    size = gates.kept.shape[0]
    gate, new = emitted[:size], emitted[size:]
    zero, half, one = emitted.dtype.type(0), emitted.dtype.type(0.5), emitted.dtype.type(1)
    for j in range(size):
        gates.kept[j] = sigmoid(-gate[j])
    for j in range(size):
        gates.update[j] = sigmoid(gate[j])
    if not positive:
        copy(new, gates.new)
        return
    for j in range(size):
        gates.slope[j] = sigmoid(new[j])
    for j in range(size):
        gates.new[j] = new[j] + half if new[j] >= zero else gates.slope[j]
    for j in range(size):
        gates.slope[j] = one if new[j] >= zero else gates.slope[j] * (one - gates.slope[j])


@compiled(entry=True)
def forward(begin, end, emitted, positive, first, starts, states, gates):
    """Run the rows from ``begin`` to ``end`` over all steps.

    Args:
        begin: the first row.
        end: the last row plus one.
        emitted: [B, T, 2 H], the linear functions of the gate and of the candidate.
        positive: whether the candidate is g of that.
        first: [B, H], before the first step.
        starts: bool [B, T], or [0, 0] where nothing is reset; a state is replaced by zeros.
        states: [B, T, H], receives the states.
        gates: room to work in.
    """
    for row in range(begin, end):
        before = first[row]
        for time in range(states.shape[1]):
            _open(emitted[row, time], positive, gates)
            state, update, new, kept = states[row, time], gates.update, gates.new, gates.kept
            if starts.shape[0] and starts[row, time]:
                for j in range(state.shape[0]):
                    state[j] = update[j] * new[j]
            else:
                for j in range(state.shape[0]):
                    state[j] = kept[j] * before[j] + update[j] * new[j]
            before = state


@compiled(entry=True)
def backward(begin, end, emitted, positive, first, starts, states, to_states, to_emitted, to_first, gates, told, zeros):
    """From the gradients of the states to those of what was emitted.

    Args:
        begin: the first row.
        end: the last row plus one.
        emitted: as in ``forward``, and so are the three behind it.
        positive: likewise.
        first: [B, H].
        starts: bool [B, T].
        states: [B, T, H], as ``forward`` left them.
        to_states: [B, T, H], what arrives from outside.
        to_emitted: [B, T, 2 H], receives the gradient.
        to_first: [B, H], the gradient of the last state, which becomes that of the first.
        gates: room to work in.
        told: [H], room to work in.
        zeros: [H], what a row begins with where it is reset.
    """
    size = told.shape[0]
    for row in range(begin, end):
        carried = to_first[row]
        for time in range(states.shape[1] - 1, -1, -1):
            fresh = starts.shape[0] and starts[row, time]
            before = states[row, time - 1] if time else first[row]
            if fresh:
                before = zeros
            _open(emitted[row, time], positive, gates)
            arrived, to_gate, to_new = to_states[row, time], to_emitted[row, time, :size], to_emitted[row, time, size:]
            kept, update, new, slope = gates.kept, gates.update, gates.new, gates.slope
            for j in range(size):
                told[j] = carried[j] + arrived[j]
            for j in range(size):
                to_gate[j] = told[j] * (new[j] - before[j]) * (update[j] * kept[j])
            if positive:
                for j in range(size):
                    to_new[j] = told[j] * update[j] * slope[j]
            else:
                for j in range(size):
                    to_new[j] = told[j] * update[j]
            for j in range(size):
                carried[j] = told[j] * kept[j]
            if fresh:
                clear(carried)
