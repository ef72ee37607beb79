"""A network that moves stacks or lists over a sequence, compiled, forward and backward, for some rows of a batch.

Time comes first: a step of all rows is one matrix. Where a row is reset it begins with nothing stored and from zeros.
The gradients of the weights are products over all steps, made outside.

Legend: B batch, T time, Z steps that are kept, H hidden units, V of them that the next step reads (H or 0), S
structures, P numbers of a structure with room at its ends, Q numbers that are read of all, A actions, G numbers that
are emitted.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.moving.moves import move, to_actions, to_before
from lukasa.memory.kernels.moving.places import close, empty, enter, grown, leave
from lukasa.memory.kernels.sequence.algebra import add, add_some_products, clear, copy, inner
from lukasa.memory.kernels.sequence.arithmetic import exponential, sigmoid
from lukasa.memory.kernels.sequence.compiling import compiled

EMPTY = -1.0


class Weights(NamedTuple):
    """One row for each number that goes in, forward; one for each that comes out, backward."""

    receiving: Any  # [V + Q, H], or [H, V + Q]
    emitting: Any  # [H, G], or [G, H]
    bias: Any  # [G]


class Tape(NamedTuple):
    """What was done at the steps."""

    stored: Any  # [Z + 1, B S, P], from before the first step; two of them where none are kept
    held: Any  # [T + 1, B], how far the stretch reaches in which something is stored
    told: Any  # [Z, B, V + Q], the hidden units of the step before, and what is read
    emitted: Any  # [Z, B, G], actions and then words
    hidden: Any  # [T, B, H]


@compiled()
def _look(layout, stored, first, read):
    """What is read of the structures of one row."""
    size, at = layout.word_size, 0
    for s in range(layout.structures):
        structure = stored[first + s]
        for e in range(layout.places.shape[0]):
            element = structure[(layout.places[e] + 1) * size : (layout.places[e] + 2) * size]
            for w in range(size):
                read[at + w] = element[w]
            at += size


@compiled()
def _largest(scores):
    found = scores[0]
    for a in range(1, scores.shape[0]):
        found = scores[a] if scores[a] > found else found
    return found


@compiled()
def _round(actions):
    """1 for the first of the most probable actions."""
    best = 0
    for a in range(1, actions.shape[0]):
        best = a if actions[a] > actions[best] else best
    for a in range(actions.shape[0]):
        actions[a] = 1 if a == best else 0


@compiled()
def _decide(layout, emitted):
    """Scores become actions, and what is emitted for them words."""
    count = layout.actions
    decisions, words = emitted[: layout.structures * count], emitted[layout.structures * count :]
    for s in range(layout.structures):
        scores = decisions[s * count : (s + 1) * count]
        most = _largest(scores)
        for a in range(count):
            scores[a] = scores[a] - most
    for n in range(decisions.shape[0]):
        decisions[n] = exponential(decisions[n])
    for s in range(layout.structures):
        actions = decisions[s * count : (s + 1) * count]
        share = actions[0]
        for a in range(1, count):
            share += actions[a]
        for a in range(count):
            actions[a] = actions[a] / share
        if layout.rounded:
            _round(actions)
    for n in range(words.shape[0]):
        words[n] = sigmoid(words[n])


@compiled()
def _step(layout, row, emitted, before, held, after):
    """Move what is stored in one row."""
    count, size, structures = layout.actions, layout.word_size, layout.structures
    decisions, words = emitted[: structures * count], emitted[structures * count :]
    for s in range(structures):
        actions, word = decisions[s * count : (s + 1) * count], words[s * size : (s + 1) * size]
        structure = after[row * structures + s]
        move(layout, actions, word, before[row * structures + s], held, structure)
        close(layout, structure, held, emitted.dtype.type(EMPTY))


@compiled(entry=True)
def forward(begin, end, layout, shift, weights, driven, starts, first, first_hidden, tape, last):
    """Run the rows from ``begin`` to ``end`` over all steps.

    Args:
        begin: the first row.
        end: the last row plus one.
        layout: of what is stored.
        shift: how many more elements a list has to the left than here.
        weights: as they multiply forward.
        driven: [T, B, H], what the hidden units receive from the inputs.
        starts: bool [T, B], or [0, 0] where nothing is reset.
        first: [B S, N W], what is stored before the first step.
        first_hidden: [B, V].
        tape: with ``held`` before the first step; receives all else.
        last: [B S, N W], of nothing stored; receives what is stored after the last step.
    """
    rows, steps, structures, kept = end - begin, driven.shape[0], layout.structures, tape.told.shape[0]
    nothing, carried = driven.dtype.type(EMPTY), first_hidden.shape[1]
    for row in range(begin, end):
        for i in range(row * structures, (row + 1) * structures):
            enter(layout, shift, tape.held[0, row], first[i], tape.stored[0, i], nothing)
    for time in range(steps):
        before, after = tape.stored[time % tape.stored.shape[0]], tape.stored[(time + 1) % tape.stored.shape[0]]
        told, emitted, hidden = tape.told[time % kept], tape.emitted[time % kept], tape.hidden[time]
        for row in range(begin, end):
            units = told[row][:carried]
            if starts.shape[0] and starts[time, row]:
                clear(units)
                tape.held[time, row] = layout.least
                for i in range(row * structures, (row + 1) * structures):
                    empty(layout, before[i], nothing)
            else:
                copy(tape.hidden[time - 1, row] if time else first_hidden[row], units)
            _look(layout, before, row * structures, told[row][carried:])
            copy(driven[time, row], hidden[row])
        add_some_products(hidden, begin, told, begin, rows, weights.receiving)
        for row in range(begin, end):
            here = hidden[row]
            for j in range(here.shape[0]):
                here[j] = sigmoid(here[j])
            copy(weights.bias, emitted[row])
        add_some_products(emitted, begin, hidden, begin, rows, weights.emitting)
        for row in range(begin, end):
            _decide(layout, emitted[row])
            held = grown(layout.head, tape.held[time, row], before[row * structures], layout.word_size)
            tape.held[time + 1, row] = held
            _step(layout, row, emitted[row], before, held, after)
    for row in range(begin, end):
        for i in range(row * structures, (row + 1) * structures):
            leave(layout, shift, tape.held[steps, row], tape.stored[steps % tape.stored.shape[0], i], last[i])


@compiled()
def _to_scores(layout, emitted, told):
    """From the gradients of actions and words to those of what was emitted."""
    count, structures = layout.actions, layout.structures
    one = told.dtype.type(1)
    for s in range(structures):
        actions, slopes = emitted[s * count : (s + 1) * count], told[s * count : (s + 1) * count]
        if layout.rounded:
            clear(slopes)
        else:
            mean = inner(actions, slopes)
            for a in range(count):
                slopes[a] = actions[a] * (slopes[a] - mean)
    words, to_words = emitted[structures * count :], told[structures * count :]
    for n in range(words.shape[0]):
        to_words[n] = to_words[n] * words[n] * (one - words[n])


@compiled()
def _step_back(layout, its_head, row, emitted, before, held, to_after, live, gradient, told):
    """The gradients of one row's structures before a step, and of what was emitted for them."""
    count, size, structures = layout.actions, layout.word_size, layout.structures
    within = min(held, live)
    further = grown(its_head, live, to_after[row * structures], size)
    for s in range(structures):
        i = row * structures + s
        actions = emitted[s * count : (s + 1) * count]
        word = emitted[structures * count + s * size : structures * count + (s + 1) * size]
        to_word = told[structures * count + s * size : structures * count + (s + 1) * size]
        to_actions(layout, its_head, word, before[i], within, to_after[i], told[s * count : (s + 1) * count])
        to_before(layout, its_head, actions, to_after[i], further, gradient[i], to_word)
    _to_scores(layout, emitted, told)
    return further


@compiled()
def _add_read(layout, move_by, to_read, gradient, first):
    """The gradients of what was read, added to those of what was stored."""
    size, at = layout.word_size, 0
    for s in range(layout.structures):
        structure = gradient[first + s]
        for e in range(layout.places.shape[0]):
            place = layout.places[e] + move_by + 1
            element = structure[place * size : (place + 1) * size]
            for w in range(size):
                element[w] += to_read[at + w]
            at += size


@compiled(entry=True)
def backward(
    begin, end, layout, shift, weights, starts, tape, to_hidden, live, to_stored, to_told, to_driven, to_emitted
):
    """From the gradients of the hidden units and of what is stored last to those of what the steps received.

    Args:
        begin: the first row.
        end: the last row plus one.
        layout: of what is stored.
        shift: how many more elements the gradients of a list have to the left.
        weights: as they multiply backward.
        starts: as in ``forward``.
        tape: as ``forward`` left it, with every step.
        to_hidden: [T, B, H], what arrives from outside; changed.
        live: [B], how far the gradients of what is stored reach; changed.
        to_stored: [2, B S, P'], that of what is stored last, and zeros; the first state's is left in [T % 2].
        to_told: [B, V + Q], zeros; receives the gradient of what the first step was told.
        to_driven: [T, B, H], receives the gradient of what the hidden units received.
        to_emitted: [T, B, G], receives that of what was emitted.
    """
    rows, steps, structures = end - begin, to_driven.shape[0], layout.structures
    carried = to_told.shape[1] - structures * layout.places.shape[0] * layout.word_size
    one, at = to_driven.dtype.type(1), 0
    its_head = layout.head + shift if layout.head >= 0 else layout.head
    for time in range(steps - 1, -1, -1):
        after, before, stored, units = to_stored[at], to_stored[1 - at], tape.stored[time], to_hidden[time]
        at = 1 - at
        for row in range(begin, end):
            emitted, told, held = tape.emitted[time, row], to_emitted[time, row], tape.held[time + 1, row]
            live[row] = _step_back(layout, its_head, row, emitted, stored, held, after, live[row], before, told)
            add(to_told[row][:carried], units[row][:carried])
            clear(to_told[row])
        add_some_products(units, begin, to_emitted[time], begin, rows, weights.emitting)
        for row in range(begin, end):
            here, new, to_here = tape.hidden[time, row], to_driven[time, row], units[row]
            for j in range(here.shape[0]):
                new[j] = to_here[j] * here[j] * (one - here[j])
        add_some_products(to_told, begin, to_driven[time], begin, rows, weights.receiving)
        for row in range(begin, end):
            if starts.shape[0] and starts[time, row]:
                clear(to_told[row])
                live[row] = layout.least
                for i in range(row * structures, (row + 1) * structures):
                    clear(after[i])
                    clear(before[i])
            else:
                _add_read(layout, its_head - layout.head, to_told[row][carried:], before, row * structures)
