"""One access of the DNC to its memory, compiled, for one row of a batch: Graves et al. 2016, Methods, and back.

Legend: B batch, T time, Z steps that are kept, R read heads, H = R + 1, N slots, W word size, I numbers of the
interface.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.algebra import add, add_matrix, clear, clear_matrix, copy, dot
from lukasa.memory.kernels.sequence.compiling import compiled
from lukasa.memory.kernels.sequence.content import (
    content_back,
    content_weights,
    memory_scales,
    row_scales,
    softmax_back,
)
from lukasa.memory.kernels.sequence.dnc_links import follow_links, links_back, precede, precede_back
from lukasa.memory.kernels.sequence.dnc_memory import (
    read_weights,
    read_weights_back,
    squash_back,
    write,
    write_back,
)
from lukasa.memory.kernels.sequence.dnc_usage import allocate, allocate_back, sort_slots, use, use_back
from lukasa.memory.kernels.sequence.ntm_memory import read_back


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
    links: Any  # [B, Z, N, N]
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


class Room(NamedTuple):
    """Room to work in, for one row."""

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
def state_at(state, row):
    """One row of a state."""
    return State(
        state.memory[row],
        state.usage[row],
        state.links[row],
        state.precedence[row],
        state.weights[row],
        state.write_weights[row],
    )


@compiled()
def state_before(tape, row, time, starts, first, fresh):
    """The state with which a row goes into a step."""
    slot = (time - 1) % tape.memory.shape[1]
    if starts.shape[0] and starts[row, time]:
        return state_at(fresh, 0)
    if time == 0:
        return state_at(first, row)
    return State(
        tape.memory[row, slot],
        tape.usage[row, slot],
        tape.links[row, slot],
        tape.precedence[row, slot],
        tape.weights[row, slot],
        tape.write_weights[row, slot],
    )


@compiled()
def scale_before(tape, row, time, starts, memory, room):
    """1 / |m| of the memory with which a row goes into a step, in ``room.scale``."""
    if time > 0 and not (starts.shape[0] and starts[row, time]):
        copy(tape.scale[row, (time - 1) % tape.scale.shape[1]], room.scale)
    else:
        memory_scales(memory, room.squares, room.scale)


@compiled()
def access(heads, tape, row, time, slot, old, reads, room):
    """Usage, allocation, write, links, read, in the order of the paper's Methods."""
    told, usage, order, allocation = (
        tape.told[row, slot],
        tape.usage[row, slot],
        tape.order[row, slot],
        tape.allocation[row, slot],
    )
    similarity, content, key_scales = tape.similarity[row, slot], tape.content[row, slot], tape.key_scales[row, slot]
    written, scale, wrote = tape.memory[row, slot], tape.scale[row, slot], tape.write_weights[row, slot]
    count, strengths, scaled = heads.readers + 1, heads.strengths, room.scaled[0]
    use(told, heads.free_gates, old.usage, old.write_weights, old.weights, usage)
    for n in range(order.shape[0]):
        order[n] = n if time == 0 else tape.order[row, (time - 1) % tape.order.shape[1], n]
    sort_slots(usage, order, room.spare)
    allocate(usage, order, allocation)
    content_weights(told, 0, strengths, 0, 1, old.memory, room.scale, similarity, content, key_scales, scaled)
    write(told, heads, old.memory, content, allocation, wrote, written, room.squares)
    row_scales(room.squares, scale)
    ahead, back, weights = tape.ahead[row, slot], tape.back[row, slot], tape.weights[row, slot]
    follow_links(old.links, old.precedence, wrote, old.weights, tape.links[row, slot], ahead, back)
    precede(old.precedence, wrote, tape.precedence[row, slot])
    content_weights(told, 0, strengths, 1, count, written, scale, similarity, content, key_scales, scaled)
    read_weights(told, heads, content, ahead, back, weights)
    for h in range(heads.readers):
        for w in range(heads.word):
            reads[h * heads.word + w] = dot(weights, h, written, w)


@compiled()
def access_back(heads, tape, row, time, old, to_reads, to, to_told, room):
    """Through a step of the access; ``to`` holds the gradients of the state after it, then of the state before it."""
    told, content, allocation = tape.told[row, time], tape.content[row, time], tape.allocation[row, time]
    similarity, key_scales, written = tape.similarity[row, time], tape.key_scales[row, time], tape.memory[row, time]
    wrote, ahead, back, count = (
        tape.write_weights[row, time],
        tape.ahead[row, time],
        tape.back[row, time],
        heads.readers + 1,
    )
    strengths, squares, scaled = heads.strengths, room.squares, room.scaled
    read_back(heads, to_reads, written, tape.weights[row, time], to.memory, to.weights)
    read_weights_back(
        told, heads, content, ahead, back, to.weights, room.to_content, room.to_ahead, room.to_back, to_told
    )
    softmax_back(content, room.to_content, 1, count, room.to_similarity)
    content_back(
        told,
        0,
        strengths,
        1,
        count,
        written,
        tape.scale[row, time],
        similarity,
        key_scales,
        room.to_similarity,
        scaled,
        squares,
        to.memory,
        to_told,
    )
    precede_back(old.precedence, wrote, to.precedence, to.write_weights)
    links_back(
        old.links,
        tape.links[row, time],
        old.precedence,
        wrote,
        old.weights,
        room.to_ahead,
        room.to_back,
        to.links,
        to.precedence,
        to.write_weights,
        room.to_read,
    )
    write_back(
        told,
        heads,
        old.memory,
        content,
        allocation,
        wrote,
        to.memory,
        to.write_weights,
        room.to_content,
        room.to_allocation,
        to_told,
    )
    softmax_back(content, room.to_content, 0, 1, room.to_similarity)
    content_back(
        told,
        0,
        strengths,
        0,
        1,
        old.memory,
        room.scale,
        similarity,
        key_scales,
        room.to_similarity,
        scaled,
        squares,
        to.memory,
        to_told,
    )
    allocate_back(tape.usage[row, time], tape.order[row, time], room.to_allocation, to.usage, squares)
    use_back(
        told,
        heads.free_gates,
        old.usage,
        old.write_weights,
        old.weights,
        to.usage,
        to.write_weights,
        room.to_read,
        to_told,
        squares,
    )
    if not heads.through_usage:
        clear_matrix(to.write_weights)
    for h in range(heads.readers):
        copy(room.to_read[h], to.weights[h])
    squash_back(tape.emitted[row, time], told, heads, to_told)


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
