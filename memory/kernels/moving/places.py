"""Where what is stored lies, compiled: a stretch of each stack or list that grows by one element a step.

A structure is a vector of numbers, element after element, with room for one more element at either end. In front of a
stack lies the word that may be pushed next, in front of a list and behind both lies what is read of nothing. Beyond
the stretch nothing was ever stored.

Legend: N elements of a structure, W numbers of an element, E elements that are read, S structures, A actions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.compiling import compiled


class Layout(NamedTuple):
    """How structures lie, and what is done to them."""

    head: int  # the element in the middle of a list; -1 of a stack, whose top comes first
    word_size: int  # W
    structures: int  # S
    actions: int  # A
    rounded: bool  # whether the most probable action is taken as if it were certain
    least: int  # as much of the stretch as is read, wherever anything is stored
    places: Any  # [E], the elements that are read


@compiled()
def first_of(head, held):
    """The first element of the stretch: of a stack as long as ``held``, of a list as far to both sides of the head."""
    return 0 if head < 0 else head - held


@compiled()
def last_of(head, held):
    """The last element plus one."""
    return held if head < 0 else head + held + 1


@compiled()
def grown(head, held, structure, word_size):
    """The stretch after a step, within what there is room for."""
    room = structure.shape[0] // word_size - 2
    if head >= 0:
        room = head
    return held + 1 if held < room else room


@compiled()
def close(layout, structure, held, value):
    """Write what nothing is read as into the two elements beyond each end of the stretch, as far as there is room."""
    size = layout.word_size
    begin = (last_of(layout.head, held) + 1) * size
    end = min(begin + 2 * size, structure.shape[0])
    for j in range(begin, end):
        structure[j] = value
    end = (first_of(layout.head, held) + 1) * size
    begin = max(end - 2 * size, 0)
    for j in range(begin, end):
        structure[j] = value


@compiled()
def enter(layout, shift, held, first, structure, value):
    """Take the stretch from a structure without room at its ends, whose element 0 is element -``shift`` here."""
    size = layout.word_size
    begin, end = first_of(layout.head, held), last_of(layout.head, held)
    source, to = first[(begin + shift) * size : (end + shift) * size], structure[(begin + 1) * size : (end + 1) * size]
    for j in range(to.shape[0]):
        to[j] = source[j]
    close(layout, structure, held, value)


@compiled()
def leave(layout, shift, held, structure, last):
    """Write the stretch to a structure without room at its ends."""
    size = layout.word_size
    begin, end = first_of(layout.head, held), last_of(layout.head, held)
    source, to = structure[(begin + 1) * size : (end + 1) * size], last[(begin + shift) * size : (end + shift) * size]
    for j in range(to.shape[0]):
        to[j] = source[j]


@compiled()
def empty(layout, structure, value):
    """Nothing is stored any more."""
    size, held = layout.word_size, layout.least
    for j in range((first_of(layout.head, held) + 1) * size, (last_of(layout.head, held) + 1) * size):
        structure[j] = value
    close(layout, structure, held, value)


@compiled()
def mix(source, begin, end, size, back, here, on, three, target):
    """Elements from ``begin`` to ``end``: of the element before, of itself where ``three``, and of the one behind."""
    before, behind = source[begin * size : end * size], source[(begin + 2) * size : (end + 2) * size]
    to = target[(begin + 1) * size : (end + 1) * size]
    if three:
        itself = source[(begin + 1) * size : (end + 1) * size]
        for j in range(to.shape[0]):
            to[j] = (back * before[j] + on * behind[j]) + here * itself[j]
    else:
        for j in range(to.shape[0]):
            to[j] = back * before[j] + on * behind[j]
