"""The DNC's state and what is kept of its steps, compiled: of a row before a step, and its gradient.

Legend: B batch, b rows of it worked on together, T time, Z steps that are kept, L steps whose links are kept, C
checkpoints, R read heads, H = R + 1, N slots, W word size, I numbers of the interface.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.algebra import add, add_matrix, clear, clear_matrix, copy
from lukasa.memory.kernels.sequence.compiling import compiled
from lukasa.memory.kernels.sequence.content import memory_scales
from lukasa.memory.kernels.sequence.dnc_restoring import Past


class State(NamedTuple):
    """Of all rows, or of one that is fresh; or its gradient."""

    memory: Any  # [B, W, N]
    usage: Any  # [B, N]
    links: Any  # [B, N, N]
    precedence: Any  # [B, N]
    weights: Any  # [B, R, N], of the reads
    write_weights: Any  # [B, 1, N]


class Tape(NamedTuple):
    """What is kept of the steps."""

    emitted: Any  # [B, Z, I], the interface as the controller emits it
    told: Any  # [B, Z, I], squashed
    memory: Any  # [B, Z, W, N], after the step, as all up to the write weights
    usage: Any  # [B, Z, N]
    links: Any  # [B, L, N, N], of every step for a recording, else of the last one alone
    precedence: Any  # [B, Z, N]
    weights: Any  # [B, Z, R, N]
    write_weights: Any  # [B, Z, 1, N]
    scale: Any  # [B, Z, N], 1 / |m| of the memory
    similarity: Any  # [B, Z, H, N]
    content: Any  # [B, Z, H, N]
    key_scales: Any  # [B, Z, H, 1]
    ahead: Any  # [B, Z, R, N]
    back: Any  # [B, Z, R, N]
    allocation: Any  # [B, Z, N]
    order: Any  # whole numbers [B, Z, N], the free list
    checkpoints: Any  # [B, C, N, N], links from which backward makes those of the other steps


class Before(NamedTuple):
    """Of the state with which a row goes into a step, all but the links."""

    memory: Any  # [W, N]
    usage: Any  # [N]
    precedence: Any  # [N]
    weights: Any  # [R, N], of the reads
    write_weights: Any  # [1, N]


class Links(NamedTuple):
    """Those with which a row goes into a step."""

    before: Any  # [N, N]
    in_place: bool  # whether the next ones are to replace them


class Room(NamedTuple):
    """Room to work in, for one row; and what backward needs of each that is worked on."""

    scale: Any  # [N]
    squares: Any  # [N]
    spare: Any  # whole numbers [N]
    scaled: Any  # [2, H, W]
    to_similarity: Any  # [H, N]
    to_content: Any  # [H, N]
    to_ahead: Any  # [R, N]
    to_back: Any  # [R, N]
    to_read: Any  # [R, N]
    to_allocation: Any  # [N]
    rows: Any  # [4, N], of links
    bases: Any  # [b, ., N, N], links between two checkpoints; see ``dnc_restoring``
    to_links: Any  # [b, N, N], where nobody asks for that of the state


class Watched(NamedTuple):
    """Gradients of what was recorded; of size 0 where there are none."""

    emitted: Any  # [B, T, I]
    memory: Any  # [B, T, W, N]
    usage: Any  # [B, T, N]
    links: Any  # [B, T, N, N]
    precedence: Any  # [B, T, N]
    weights: Any  # [B, T, R, N]
    write_weights: Any  # [B, T, 1, N]
    allocation: Any  # none


@compiled()
def gradients_at(to, row, room, r):
    """Of the state of a row, which is r-th of those worked on."""
    links = to.links[row] if to.links.shape[0] else room.to_links[r]
    return State(to.memory[row], to.usage[row], links, to.precedence[row], to.weights[row], to.write_weights[row])


@compiled()
def _at(state, row):
    weights, write_weights = state.weights[row], state.write_weights[row]
    return Before(state.memory[row], state.usage[row], state.precedence[row], weights, write_weights)


@compiled()
def state_before(tape, row, time, starts, first, fresh):
    """The state with which a row goes into a step, all but the links."""
    slot = (time - 1) % tape.memory.shape[1]
    if starts.shape[0] and starts[row, time]:
        return _at(fresh, 0)
    if time == 0:
        return _at(first, row)
    return Before(
        tape.memory[row, slot],
        tape.usage[row, slot],
        tape.precedence[row, slot],
        tape.weights[row, slot],
        tape.write_weights[row, slot],
    )


@compiled()
def links_before(tape, row, time, starts, first, fresh):
    """On the way forward."""
    kept = tape.links.shape[1]
    if starts.shape[0] and starts[row, time]:
        return Links(fresh.links[0], False)
    if time == 0:
        return Links(first.links[row], False)
    return Links(tape.links[row, (time - 1) % kept], kept == 1)


@compiled()
def past_of(tape, row, r, starts, first, fresh, room):
    """What the links of a row are made of, which is r-th of those worked on."""
    return Past(
        first.links[row],
        fresh.links[0],
        first.precedence[row],
        fresh.precedence[0],
        tape.precedence[row],
        tape.write_weights[row],
        starts[row] if starts.shape[0] else starts[:, 0],
        tape.checkpoints[row],
        room.bases[r],
    )


@compiled()
def scale_before(tape, row, time, starts, memory, room):
    """1 / |m| of the memory with which a row goes into a step, in ``room.scale``."""
    if time > 0 and not (starts.shape[0] and starts[row, time]):
        copy(tape.scale[row, (time - 1) % tape.scale.shape[1]], room.scale)
    else:
        memory_scales(memory, room.squares, room.scale)


@compiled()
def watch(watched, row, time, to):
    """Add the gradients of what was recorded."""
    if watched.memory.shape[0]:
        add_matrix(watched.memory[row, time], to.memory)
    if watched.usage.shape[0]:
        add(watched.usage[row, time], to.usage)
    if watched.links.shape[0]:
        add_matrix(watched.links[row, time], to.links)
    if watched.precedence.shape[0]:
        add(watched.precedence[row, time], to.precedence)
    if watched.weights.shape[0]:
        add_matrix(watched.weights[row, time], to.weights)
    if watched.write_weights.shape[0]:
        add_matrix(watched.write_weights[row, time], to.write_weights)


@compiled()
def leave_fresh_memory(to, to_fresh, row):
    """The gradient of a row's memory is that of the fresh state, and nothing flows further back."""
    if to_fresh.memory.shape[0]:
        add_matrix(to.memory, to_fresh.memory[row])
    if to_fresh.links.shape[0]:
        add_matrix(to.links, to_fresh.links[row])
    add(to.usage, to_fresh.usage[row])
    add(to.precedence, to_fresh.precedence[row])
    add_matrix(to.weights, to_fresh.weights[row])
    add_matrix(to.write_weights, to_fresh.write_weights[row])
    clear_matrix(to.memory)
    clear_matrix(to.links)
    clear(to.usage)
    clear(to.precedence)
    clear_matrix(to.weights)
    clear_matrix(to.write_weights)
