"""What a controller carries from step to step, and how it steers the heads; compiled, for some rows of a batch.

Legend: B batch, b rows of the batch worked on together, T time, Z steps that are kept, L layers, H hidden units,
U hidden units that steer the heads, F read numbers, I numbers of the interface.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.algebra import add, add_products, clear, copy
from lukasa.memory.kernels.sequence.compiling import compiled


class Inside(NamedTuple):
    """The controller's state and what was read, of all rows or of one that is fresh; or its gradient."""

    hidden: Any  # [B, L, H]; L = 0 where the controller has no such state
    cell: Any  # [B, L, H]; likewise
    reads: Any  # [B, F]


class Carried(NamedTuple):
    """The same of the rows that are worked on."""

    hidden: Any  # [L, b, H]
    cell: Any  # [L, b, H]
    reads: Any  # [b, F]


class Interface(NamedTuple):
    """The layer that steers the heads."""

    weight: Any  # [U, I]
    bias: Any  # [I]
    back: Any  # [U / H, I, H], its weights for the way back


class Rows(NamedTuple):
    """Room to work in, for the rows that are worked on together."""

    carried: Carried
    before: Carried
    received: Any  # [b, G H]
    across: Any  # [b, G H]
    emitted: Any  # [b, I]


@compiled()
def enter(carried, r, inside, row):
    """Row r of those worked on takes over the state of a row."""
    for layer in range(inside.hidden.shape[1]):
        copy(inside.hidden[row, layer], carried.hidden[layer, r])
    for layer in range(inside.cell.shape[1]):
        copy(inside.cell[row, layer], carried.cell[layer, r])
    copy(inside.reads[row], carried.reads[r])


@compiled()
def leave(carried, r, inside, row):
    """The reverse."""
    for layer in range(inside.hidden.shape[1]):
        copy(carried.hidden[layer, r], inside.hidden[row, layer])
    for layer in range(inside.cell.shape[1]):
        copy(carried.cell[layer, r], inside.cell[row, layer])
    copy(carried.reads[r], inside.reads[row])


@compiled()
def leave_fresh(carried, r, to_fresh, row):
    """A row's gradient is that of the fresh state, and nothing flows further back."""
    for layer in range(to_fresh.hidden.shape[1]):
        add(carried.hidden[layer, r], to_fresh.hidden[row, layer])
    for layer in range(to_fresh.cell.shape[1]):
        add(carried.cell[layer, r], to_fresh.cell[row, layer])
    for layer in range(carried.hidden.shape[0]):
        clear(carried.hidden[layer, r])
        clear(carried.cell[layer, r])
    add(carried.reads[r], to_fresh.reads[row])
    clear(carried.reads[r])


@compiled()
def recall(carried, r, tape, row, time, starts, first, fresh):
    """The hidden and cell vectors with which a row went into a step."""
    source, from_row = (fresh, 0) if starts.shape[0] and starts[row, time] else (first, row)
    from_tape = time > 0 and not (starts.shape[0] and starts[row, time])
    for layer in range(first.hidden.shape[1]):
        hidden = tape.hidden[layer, row, time - 1] if from_tape else source.hidden[from_row, layer]
        copy(hidden, carried.hidden[layer, r])
    for layer in range(first.cell.shape[1]):
        cell = tape.cell[layer, row, time - 1] if from_tape else source.cell[from_row, layer]
        copy(cell, carried.cell[layer, r])


@compiled()
def steer(interface, carried, emitted, hidden, begin, time):
    """What the controller emits [b, I], of its last layers; their hidden vectors are kept in ``hidden`` [B, T, U]."""
    layers, rows, size = carried.hidden.shape
    steering = hidden.shape[2] // size
    for r in range(rows):
        copy(interface.bias, emitted[r])
    for layer in range(steering):
        part = carried.hidden[layers - steering + layer]
        add_products(emitted, part, interface.weight[layer * size : (layer + 1) * size])
        for r in range(rows):
            copy(part[r], hidden[begin + r, time, layer * size : (layer + 1) * size])


@compiled()
def steer_back(interface, to_carried, to_emitted, to_hidden, begin, time):
    """Add to the gradients of the hidden vectors what comes of the interface, and of the output layer."""
    layers, rows, size = to_carried.hidden.shape
    steering = to_hidden.shape[2] // size
    for layer in range(steering):
        part = to_carried.hidden[layers - steering + layer]
        for r in range(rows):
            for j in range(size):
                part[r, j] += to_hidden[begin + r, time, layer * size + j]
        add_products(part, to_emitted, interface.back[layer])
