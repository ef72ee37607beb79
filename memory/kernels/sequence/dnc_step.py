"""One access of the DNC to its memory, compiled, for one row of a batch: Graves et al. 2016, Methods, and back.

The arguments are those of ``dnc_state``.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.algebra import clear_matrix, copy, dot
from lukasa.memory.kernels.sequence.compiling import compiled
from lukasa.memory.kernels.sequence.content import content_back, content_weights, row_scales, softmax_back
from lukasa.memory.kernels.sequence.dnc_links import follow_links, precede, precede_back
from lukasa.memory.kernels.sequence.dnc_memory import (
    read_weights,
    read_weights_back,
    squash_back,
    write,
    write_back,
)
from lukasa.memory.kernels.sequence.dnc_restoring import keep_links, links_back
from lukasa.memory.kernels.sequence.dnc_usage import allocate, allocate_back, sort_slots, use, use_back
from lukasa.memory.kernels.sequence.ntm_memory import read_back


@compiled()
def access(heads, tape, row, time, slot, old, earlier, reads, room):
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
    links = tape.links[row, time % tape.links.shape[1]]
    follow_links(earlier.before, earlier.in_place, old.precedence, wrote, old.weights, links, ahead, back)
    keep_links(links, time, tape.memory.shape[1], tape.checkpoints[row])
    precede(old.precedence, wrote, tape.precedence[row, slot])
    content_weights(told, 0, strengths, 1, count, written, scale, similarity, content, key_scales, scaled)
    read_weights(told, heads, content, ahead, back, weights)
    for h in range(heads.readers):
        for w in range(heads.word):
            reads[h * heads.word + w] = dot(weights, h, written, w)


@compiled()
def access_back(heads, tape, row, time, old, past, to_reads, to, to_told, room):
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
        past,
        time,
        old.weights,
        room.to_ahead,
        room.to_back,
        to.links,
        to.precedence,
        to.write_weights,
        room.to_read,
        room.rows,
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
