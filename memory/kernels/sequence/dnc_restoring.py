"""The links of a DNC worked out anew for the way back, compiled, from the weightings that made them.

The links of a step take N² numbers and are made of w and p', which take N. So forward keeps them at checkpoints alone.
Backward goes through the steps from one checkpoint to the next, the last such stretch first: it makes the links before
every fourth step, its bases, and of these at each step those before it, four rows at a time, which never leave the
cache. Going back from L to L' instead would divide by 1 − w[i] − w[j], which is 0 where a slot is written whole.

Legend: B batch, T time, N slots, C checkpoints, b rows of the batch worked on together.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.algebra import clear_matrix, copy
from lukasa.memory.kernels.sequence.compiling import compiled
from lukasa.memory.kernels.sequence.dnc_links import follow_rows, gather_rows, renew_rows, renew_rows_back, together

EVERY = 4
"""Steps from one base to the next."""
BASES = 16
"""So many at least from one checkpoint to the next."""
SHARE = 4
"""So many times the root of how many bases there are: bases are of the rows worked on together, checkpoints of all."""


class Past(NamedTuple):
    """What the links of a row are made of."""

    links: Any  # [N, N], before the first step
    fresh: Any  # [N, N], to which they are reset
    precedence: Any  # [N], before the first step
    fresh_precedence: Any  # [N], to which it is reset
    precedences: Any  # [T, N], after the steps
    write_weights: Any  # [T, 1, N]
    starts: Any  # [T], or of size 0
    checkpoints: Any  # [C, N, N]
    bases: Any  # [., N, N]


class Base(NamedTuple):
    """Links that are at hand."""

    step: int  # before which
    links: Any  # [N, N]
    precedence: Any  # [N], before it


def checkpoints_for(steps: int) -> int:
    """How many links are kept of a sequence, so that they and the bases between two of them grow by the root of it."""
    bases = -(-steps // EVERY)
    several = max(BASES, round(SHARE * bases**0.5))
    return max(0, -(-bases // several) - 1)


def steps_apart(steps: int, checkpoints: int) -> int:
    """Steps from one checkpoint to the next, a multiple of ``EVERY``."""
    several = -(-steps // (checkpoints + 1))
    return -(-several // EVERY) * EVERY


steps_between = compiled()(steps_apart)


@compiled()
def keep_links(links, time, steps, checkpoints):
    """Keep the links [N, N] after a step where a checkpoint [C, N, N] lies."""
    count = checkpoints.shape[0]
    if count == 0:
        return
    between = steps_between(steps, count)
    place = (time + 1) // between - 1
    if (time + 1) % between == 0 and place < count:
        for n in range(links.shape[0]):
            copy(links[n], checkpoints[place, n])


@compiled()
def starts_at(past, time):
    """Whether the row is reset before a step."""
    return past.starts.shape[0] > 0 and past.starts[time]


@compiled()
def base_before(past, time):
    """The nearest: those before ``time`` are made of them, and nothing is reset in between."""
    step = time
    while step % EVERY and not starts_at(past, step):
        step -= 1
    if starts_at(past, step):
        return Base(step, past.fresh, past.fresh_precedence)
    if step == 0:
        return Base(step, past.links, past.precedence)
    between = steps_between(past.write_weights.shape[0], past.checkpoints.shape[0])
    if step % between == 0:
        return Base(step, past.checkpoints[step // between - 1], past.precedences[step - 1])
    return Base(step, past.bases[step % between // EVERY - 1], past.precedences[step - 1])


@compiled()
def restore_rows(base, end, write_weights, precedences, i, count, links):
    """Rows i to i + count (4 or 1) of the links before a step.

    Args:
        base: before an earlier one.
        end: the step.
        write_weights: [T, 1, N], w.
        precedences: [T, N], p.
        i: the first row.
        count: how many.
        links: [4, N], receives them.
    """
    weights = write_weights[base.step, 0]
    renew_rows(base.links[i : i + count], False, links, i, count, weights, base.precedence)
    for time in range(base.step + 1, end):
        renew_rows(links, True, links, i, count, write_weights[time, 0], precedences[time - 1])


@compiled()
def restore_bases(past, time):
    """Make the bases up to a step, from the checkpoint before it on, when ``time`` is the last step before the next."""
    steps, slots = past.write_weights.shape[0], past.write_weights.shape[2]
    between = steps_between(steps, past.checkpoints.shape[0])
    if time != steps - 1 and (time + 1) % between:
        return
    for step in range(time - time % between + EVERY, time + 1, EVERY):
        base = base_before(past, step - 1)
        links, i = past.bases[step % between // EVERY - 1], 0
        while i < slots:
            count = together(i, slots)
            restore_rows(base, step, past.write_weights, past.precedences, i, count, links[i : i + count])
            i += count


@compiled()
def links_back(past, time, read_weights, to_ahead, to_back, to_links, to_precedence, to_write, to_read, rows):
    """From the gradients of L, f and b of a step to those of what they were made of.

    Args:
        past: of the row of the batch.
        time: the step.
        read_weights: [R, N], of the step before.
        to_ahead: [R, N].
        to_back: [R, N].
        to_links: [N, N], of L from the next step; replaced by that of L'.
        to_precedence: [N], to which that of p' is added.
        to_write: [1, N], to which that of w is added.
        to_read: [R, N], receives that of the read weights of the step before.
        rows: [4, N], to work in.
    """
    slots, i, base = rows.shape[1], 0, base_before(past, time)
    at_hand, weights = base.step == time, past.write_weights[time, 0]
    precedence = base.precedence if at_hand else past.precedences[time - 1]
    clear_matrix(to_read)
    while i < slots:
        count = together(i, slots)
        to, before = to_links[i : i + count], base.links[i : i + count]
        if not at_hand:
            restore_rows(base, time, past.write_weights, past.precedences, i, count, rows)
            before = rows
        gather_rows(to, i, count, to_ahead, to_back, read_weights)
        renew_rows_back(to, before, i, count, weights, precedence, to_precedence, to_write[0])
        renew_rows(before, not at_hand, rows, i, count, weights, precedence)
        follow_rows(rows, i, count, to_back, to_ahead, to_read, to_read)
        i += count
