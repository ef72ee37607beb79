"""What the heads of a MANN and of a DAM do to the memory, compiled, for one row of a batch, and back.

Santoro et al. 2016, section 3.2, and Rae et al. 2016, section 3.2, write w = α (γ w^r + (1 − γ) w^lu) into a memory in
which the least used slots are wiped; α is 1 in a MANN, whose gate σ(α) is γ here. The memory lies as [W, N].

Legend: H heads, N slots, W word size, I numbers of the interface.
"""

from __future__ import annotations

from typing import NamedTuple

from lukasa.memory.kernels.sequence.algebra import dot, inner, lerp
from lukasa.memory.kernels.sequence.arithmetic import sigmoid
from lukasa.memory.kernels.sequence.compiling import compiled
from lukasa.memory.kernels.sequence.ntm_address import softplus


class Heads(NamedTuple):
    """How many heads there are, and where lies what they are told; some may lie behind the interface's end."""

    readers: int
    word: int
    gates: int  # γ
    opens: int  # α
    words: int  # those of the keys where the keys are written
    strengths: int
    least: float  # what no strength is below
    emitted: int  # I
    told: int  # numbers that the heads are told
    discount: float


@compiled()
def squash(emitted, told, heads):
    """What the heads are told: keys, gates, words and strengths; 1 for gates and strengths that are not emitted."""
    one, least = told.dtype.type(1), told.dtype.type(heads.least)
    for j in range(heads.emitted):
        told[j] = emitted[j]
    for j in range(heads.gates, heads.gates + heads.readers):
        told[j] = sigmoid(emitted[j])
    for j in range(heads.opens, heads.opens + heads.readers):
        told[j] = sigmoid(emitted[j]) if j < heads.emitted else one
    for j in range(heads.strengths, heads.strengths + heads.readers):
        told[j] = least + softplus(emitted[j]) if j < heads.emitted else one


@compiled()
def squash_back(emitted, told, heads, to_told):
    """From the gradients of what the heads are told to those of the interface, in place."""
    one = told.dtype.type(1)
    for j in range(heads.gates, heads.gates + heads.readers):
        to_told[j] *= told[j] * (one - told[j])
    for j in range(heads.opens, min(heads.opens + heads.readers, heads.emitted)):
        to_told[j] *= told[j] * (one - told[j])
    for j in range(heads.strengths, min(heads.strengths + heads.readers, heads.emitted)):
        to_told[j] *= one if emitted[j] > 20 else sigmoid(emitted[j])


@compiled()
def find_least_used(usage, slots_of_heads):
    """The least used slot for the first head, the next for the next; ties by lowest slot, what is no number last."""
    for h in range(slots_of_heads.shape[0]):
        best = -1
        for n in range(usage.shape[0]):
            taken = False
            for other in range(h):
                taken = taken or slots_of_heads[other] == n
            if taken:
                continue
            if best < 0 or usage[n] < usage[best] or (usage[best] != usage[best] and usage[n] == usage[n]):
                best = n
        slots_of_heads[h] = usage.dtype.type(best)


@compiled()
def write(told, heads, memory, before, least_used, written, weights, squares):
    """Add words at w = α (γ w^r + (1 − γ) w^lu) once the least used slots are wiped; squared lengths of slots too."""
    zero, one = told.dtype.type(0), told.dtype.type(1)
    for h in range(heads.readers):
        gate, open_to, mine = told[heads.gates + h], told[heads.opens + h], int(least_used[h])
        for n in range(squares.shape[0]):
            weights[h, n] = open_to * (gate * before[h, n])
        weights[h, mine] = open_to * lerp(one, before[h, mine], gate, one)
    for n in range(squares.shape[0]):
        squares[n] = zero
    for w in range(heads.word):
        for n in range(squares.shape[0]):
            written[w, n] = memory[w, n]
        for h in range(heads.readers):
            written[w, int(least_used[h])] = zero
        for h in range(heads.readers):
            word = told[heads.words + h * heads.word + w]
            for n in range(squares.shape[0]):
                written[w, n] += weights[h, n] * word
        for n in range(squares.shape[0]):
            squares[n] += written[w, n] * written[w, n]


@compiled()
def write_back(told, heads, before, least_used, weights, to_memory, to_write, to_weights, to_told):
    """From the gradient of the written memory, in place, to those of the weights before, of the gates and of the words.

    Args:
        told: [I].
        heads: places in it.
        before: [H, N], w^r before the step.
        least_used: [H].
        weights: [H, N], w of the write.
        to_memory: [W, N], replaced.
        to_write: [H, N], those of the write weights from elsewhere; replaced.
        to_weights: [H, N], receives those of w^r before the step.
        to_told: [I]; words are added, gates written.
    """
    zero, slots = told.dtype.type(0), before.shape[1]
    for w in range(heads.word):
        theirs = to_memory[w]
        for h in range(heads.readers):
            place = heads.words + h * heads.word + w
            word, to_weight = told[place], to_write[h]
            to_told[place] += inner(weights[h], theirs)
            for n in range(slots):
                to_weight[n] += word * theirs[n]
        for h in range(heads.readers):
            to_memory[w, int(least_used[h])] = zero
    for h in range(heads.readers):
        gate, open_to, to_gate = told[heads.gates + h], told[heads.opens + h], dot(to_write, h, before, h)
        for n in range(slots):
            to_weights[h, n] = open_to * gate * to_write[h, n]
        to_mine = to_write[h, int(least_used[h])]
        to_told[heads.gates + h] = open_to * (to_gate - to_mine)
        to_told[heads.opens + h] = to_mine + gate * (to_gate - to_mine)


@compiled()
def use(heads, before, write_weights, read_weights, usage):
    """How much each slot is used, with what it was used before discounted."""
    discount = usage.dtype.type(heads.discount)
    for n in range(usage.shape[0]):
        wrote = read = usage.dtype.type(0)
        for h in range(heads.readers):
            wrote += write_weights[h, n]
            read += read_weights[h, n]
        usage[n] = discount * before[n] + (wrote + read)
