"""What the DNC's heads are told, and how they write, compiled, for one row of a batch: Graves et al. 2016, and back.

The memory lies as [W, N]; of the content weightings the first is the write head's.

Legend: R read heads, N slots, W word size, I numbers of the interface.
"""

# pyright: reportCallIssue=false
from __future__ import annotations

import itertools
from typing import NamedTuple

from lukasa.memory.kernels.sequence.algebra import dot, inner, inner_apart, inner_of_three, lerp
from lukasa.memory.kernels.sequence.arithmetic import exponential, sigmoid
from lukasa.memory.kernels.sequence.compiling import compiled
from lukasa.memory.kernels.sequence.ntm_address import softplus


class Heads(NamedTuple):
    """How many read heads there are, and where in the interface lies what all are told; the write key comes first."""

    readers: int
    word: int
    strengths: int
    erase: int
    free_gates: int
    allocation_gate: int
    write_gate: int
    add: int
    modes: int
    through_usage: bool  # whether the gradient of the usage reaches the write weights


def heads_of(readers: int, word: int, through_usage: bool) -> Heads:
    """The places of ``DNC.widths``."""
    widths = [(readers + 1) * word, readers + 1, word, readers, 1, 1, word]
    return Heads(readers, word, *itertools.accumulate(widths), through_usage)


@compiled()
def squash(emitted, told, heads):
    """What the heads are told, of the interface [I] as the controller emits it."""
    one = told.dtype.type(1)
    for j in range(heads.strengths):
        told[j] = emitted[j]
    for j in range(heads.strengths, heads.erase):
        told[j] = one + softplus(emitted[j])
    for j in range(heads.erase, heads.add):
        told[j] = sigmoid(emitted[j])
    for j in range(heads.add, heads.modes):
        told[j] = emitted[j]
    for j in range(heads.modes, told.shape[0], 3):
        top = max(emitted[j], max(emitted[j + 1], emitted[j + 2]))
        a, b, c = exponential(emitted[j] - top), exponential(emitted[j + 1] - top), exponential(emitted[j + 2] - top)
        amount = a + b + c
        told[j], told[j + 1], told[j + 2] = a / amount, b / amount, c / amount


@compiled()
def squash_back(emitted, told, heads, to_told):
    """From the gradients of what the heads are told to those of the interface, in place."""
    one = told.dtype.type(1)
    for j in range(heads.strengths, heads.erase):
        to_told[j] *= one if emitted[j] > 20 else sigmoid(emitted[j])
    for j in range(heads.erase, heads.add):
        to_told[j] *= told[j] * (one - told[j])
    for j in range(heads.modes, told.shape[0], 3):
        along = told[j] * to_told[j] + told[j + 1] * to_told[j + 1] + told[j + 2] * to_told[j + 2]
        for k in range(j, j + 3):
            to_told[k] = told[k] * (to_told[k] - along)


@compiled()
def write(told, heads, memory, content, allocation, weights, written, squares):
    """Write with w = g_w (g_a a + (1 − g_a) c); M∘(1 − w eᵀ) + w vᵀ, and the squared lengths of its slots."""
    slots, zero, one = squares.shape[0], squares.dtype.type(0), squares.dtype.type(1)
    allocation_gate, write_gate = told[heads.allocation_gate], told[heads.write_gate]
    for n in range(slots):
        weights[0, n] = write_gate * lerp(content[0, n], allocation[n], allocation_gate, one)
        squares[n] = zero
    for w in range(heads.word):
        erase, add = told[heads.erase + w], told[heads.add + w]
        for n in range(slots):
            written[w, n] = memory[w, n] + weights[0, n] * (add - memory[w, n] * erase)
        for n in range(slots):
            squares[n] += written[w, n] * written[w, n]


@compiled()
def write_back(
    told, heads, memory, content, allocation, weights, to_memory, to_write, to_content, to_allocation, to_told
):
    """From the gradients of the written memory, in place, and of w to those of content, allocation and the interface.

    Args:
        told: [I].
        heads: places in it.
        memory: [W, N], before.
        content: [R + 1, N].
        allocation: [N].
        weights: [1, N], w.
        to_memory: [W, N], replaced.
        to_write: [1, N], of w from elsewhere; replaced.
        to_content: [R + 1, N], receives that of the write head's in its first row.
        to_allocation: [N], receives that of the allocation.
        to_told: [I], receives those of e, v, g_a and g_w.
    """
    slots, one = allocation.shape[0], told.dtype.type(1)
    weight, to_weight = weights[0], to_write[0]
    for w in range(heads.word):
        erase, add, mine, theirs = told[heads.erase + w], told[heads.add + w], memory[w], to_memory[w]
        to_told[heads.erase + w], to_told[heads.add + w] = -inner_of_three(theirs, weight, mine), inner(theirs, weight)
        for n in range(slots):
            to_weight[n] += theirs[n] * (add - mine[n] * erase)
            theirs[n] *= one - weight[n] * erase
    allocation_gate, write_gate = told[heads.allocation_gate], told[heads.write_gate]
    to_told[heads.write_gate] = _of_write_gate(to_weight, content[0], allocation, allocation_gate)
    to_told[heads.allocation_gate] = write_gate * inner_apart(to_weight, allocation, content[0])
    for n in range(slots):
        to_blend = to_weight[n] * write_gate
        to_allocation[n] = to_blend * allocation_gate
        to_content[0, n] = to_blend - to_allocation[n]


@compiled("reassoc")
def _of_write_gate(to_weight, content, allocation, allocation_gate):
    found = to_weight.dtype.type(0)
    for n in range(to_weight.shape[0]):
        found += to_weight[n] * (content[n] + allocation_gate * (allocation[n] - content[n]))
    return found


@compiled()
def read_weights(told, heads, content, ahead, back, weights):
    """w^r = π₁ b + π₂ c + π₃ f."""
    for h in range(heads.readers):
        place = heads.modes + 3 * h
        for n in range(weights.shape[1]):
            weights[h, n] = (
                told[place] * back[h, n] + told[place + 1] * content[h + 1, n] + told[place + 2] * ahead[h, n]
            )


@compiled()
def read_weights_back(told, heads, content, ahead, back, to_weights, to_content, to_ahead, to_back, to_told):
    """From the gradient of the read weights to those of b, c, f and π."""
    for h in range(heads.readers):
        place = heads.modes + 3 * h
        to_told[place], to_told[place + 2] = dot(to_weights, h, back, h), dot(to_weights, h, ahead, h)
        to_told[place + 1] = dot(to_weights, h, content, h + 1)
        for n in range(to_weights.shape[1]):
            to = to_weights[h, n]
            to_back[h, n] = to * told[place]
            to_content[h + 1, n] = to * told[place + 1]
            to_ahead[h, n] = to * told[place + 2]
