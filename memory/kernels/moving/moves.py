"""What a step does to one stack or list, compiled, and the gradients of it; see ``places``.

Legend: N elements of a structure, W numbers of an element, A actions.
"""

from __future__ import annotations

from lukasa.memory.kernels.moving.places import first_of, last_of, mix
from lukasa.memory.kernels.sequence.algebra import inner
from lukasa.memory.kernels.sequence.compiling import compiled

PUSH, POP = 0, 1
LEFT, RIGHT, INSERT = 0, 1, 2


@compiled()
def move(layout, actions, word, before, held, after):
    """What is stored next, as far as the stretch after the step reaches."""
    head, size, zero = layout.head, layout.word_size, actions.dtype.type(0)
    begin, end = first_of(head, held), last_of(head, held)
    if head < 0:
        for j in range(size):
            before[j] = word[j]
        three = layout.actions > 2
        mix(before, begin, end, size, actions[PUSH], actions[2] if three else zero, actions[POP], three, after)
        return
    left, right, insert = actions[LEFT], actions[RIGHT], actions[INSERT]
    three = layout.actions > 3
    stay = actions[3] if three else zero
    mix(before, begin, head, size, left, stay, right + insert, three, after)
    mix(before, head, head + 1, size, left, stay, right, three, after)
    mix(before, head + 1, end, size, left, insert + stay, right, size > 0, after)  # a constant would be compiled apart
    at_head = after[(head + 1) * size : (head + 2) * size]
    for j in range(size):
        at_head[j] += insert * word[j]


@compiled()
def _apart(gradient, its_first, stored, first, count, size):
    """The scalar product of ``count`` elements of a gradient and as many of what is stored, each from its place."""
    return inner(gradient[its_first * size : (its_first + count) * size], stored[first * size : (first + count) * size])


@compiled()
def to_actions(layout, its_head, word, before, held, to_after, told):
    """The gradients of the actions, but for one number that all have in common, which a softmax does not see.

    Where all that an element could become is what nothing is read as, every action has that number.

    Args:
        layout: of what is stored.
        its_head: the middle of the gradient, whose lists may reach further.
        word: [W].
        before: what was stored before the step.
        held: the stretch after it, within the gradient's.
        to_after: the gradient of what was stored after it.
        told: [A], receives the gradients.
    """
    head, size, count = layout.head, layout.word_size, layout.actions
    begin, its = first_of(head, held), first_of(its_head, held) + 1
    many = last_of(head, held) - begin
    told[0] = _apart(to_after, its, before, begin, many, size)
    told[1] = _apart(to_after, its, before, begin + 2, many, size)
    if head < 0:
        if count > 2:
            told[2] = _apart(to_after, its, before, begin + 1, many, size)
        return
    here = its_head + 1
    insert = _apart(to_after, its, before, begin + 2, held, size)
    insert += inner(to_after[here * size : (here + 1) * size], word)
    told[INSERT] = insert + _apart(to_after, here + 1, before, head + 2, held, size)
    if count > 3:
        told[3] = _apart(to_after, its, before, begin + 1, many, size)


@compiled()
def to_before(layout, its_head, actions, to_after, live, gradient, to_word):
    """The gradients of what was stored before the step, as far as ``live`` reaches, and of the word."""
    size, zero = layout.word_size, actions.dtype.type(0)
    begin, end = first_of(its_head, live), last_of(its_head, live)
    if its_head < 0:
        three = layout.actions > 2
        mix(to_after, begin, end, size, actions[POP], actions[2] if three else zero, actions[PUSH], three, gradient)
        top, share = to_after[size : 2 * size], actions[PUSH]
        for j in range(size):
            to_word[j] = share * top[j]
        return
    left, right, insert = actions[LEFT], actions[RIGHT], actions[INSERT]
    three = layout.actions > 3
    stay = actions[3] if three else zero
    mix(to_after, begin, its_head + 1, size, right + insert, stay, left, three, gradient)
    mix(to_after, its_head + 1, end, size, right, insert + stay, left, size > 0, gradient)
    here = to_after[(its_head + 1) * size : (its_head + 2) * size]
    for j in range(size):
        to_word[j] = insert * here[j]
