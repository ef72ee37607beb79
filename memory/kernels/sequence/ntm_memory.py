"""What the NTM's heads do to the memory, compiled, for one row of a batch: erase, add and read, and back.

The memory lies as [W, N].

Legend: H heads (those that read come first), R read heads, P write heads, N slots, W word size, I numbers of the
interface.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.algebra import add_products, clear, inner, inner_of_three
from lukasa.memory.kernels.sequence.compiling import compiled


@compiled()
def write(told, heads, memory, weights, written, squares):
    """M∘Π(1 − w eᵀ) + Σ w aᵀ, and the squared lengths of its slots; eq. 3 and 4."""
    slots = memory.shape[1]
    clear(squares)
    for w in range(heads.word):
        for p in range(heads.writers):
            source, h = memory if p == 0 else written, heads.readers + p
            erase = told[heads.erase + p * heads.word + w]
            for n in range(slots):
                written[w, n] = source[w, n] - source[w, n] * weights[h, n] * erase
        for p in range(heads.writers):
            add, h = told[heads.add + p * heads.word + w], heads.readers + p
            for n in range(slots):
                written[w, n] += weights[h, n] * add
        for n in range(slots):
            squares[n] += written[w, n] * written[w, n]


@compiled()
def write_back(told, heads, memory, weights, to_memory, to_weights, to_told, kept):
    """From the gradient of the written memory to that of the one before, in place, and to w, e and a.

    ``kept`` is [P + 1, N], to work in: what is left of a row of the memory after each erasure.
    """
    one, slots = told.dtype.type(1), memory.shape[1]
    for w in range(heads.word):
        theirs = to_memory[w]
        for p in range(heads.writers):
            before, left = memory[w] if p == 0 else kept[p], kept[p + 1]
            weight, erase = weights[heads.readers + p], told[heads.erase + p * heads.word + w]
            if p < heads.writers - 1:
                for n in range(slots):
                    left[n] = before[n] - before[n] * weight[n] * erase
        for p in range(heads.writers):
            weight, to_weight = weights[heads.readers + p], to_weights[heads.readers + p]
            place = heads.add + p * heads.word + w
            add = told[place]
            to_told[place] = inner(weight, theirs)
            for n in range(slots):
                to_weight[n] += add * theirs[n]
        for p in range(heads.writers - 1, -1, -1):
            before = memory[w] if p == 0 else kept[p]
            weight, to_weight = weights[heads.readers + p], to_weights[heads.readers + p]
            place = heads.erase + p * heads.word + w
            erase = told[place]
            to_told[place] = -inner_of_three(theirs, before, weight)
            for n in range(slots):
                to_weight[n] -= theirs[n] * before[n] * erase
                theirs[n] *= one - weight[n] * erase


@compiled()
def read_back(heads, to_reads, memory, weights, to_memory, to_weights):
    """From the gradient of what is read to those of the memory and of the weights."""
    add_products(to_weights[: heads.readers], to_reads.reshape((heads.readers, heads.word)), memory)
    for w in range(heads.word):
        for h in range(heads.readers):
            to_read = to_reads[h * heads.word + w]
            for n in range(memory.shape[1]):
                to_memory[w, n] += to_read * weights[h, n]
