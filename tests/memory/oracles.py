"""The papers' equations as slow float64 loops, one row of a batch at a time: the truth for the tests of `memory`.

Graves et al. 2014 (arXiv 1410.5401), section 3, and Graves et al. 2016 (Nature 538), Methods. Nothing here is shared
with `memory`; a matrix product stands only where the paper writes a linear layer of the network.

Legend: T time, D input width, K output width, H heads of one kind, R read heads, P write heads, N slots, W word size,
S shifts, L controller layers. There is no batch: `by_row` and `run` add it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Named = dict[str, Array]


def by_row(function: Callable[..., Array | tuple[Array, ...]], *batches: Array) -> tuple[Array, ...]:
    """Apply an equation to every row of a batch; one batch for each of its results."""
    results = [function(*row) for row in zip(*batches, strict=True)]
    rows = [result if isinstance(result, tuple) else (result,) for result in results]
    return tuple(np.stack(column) for column in zip(*rows, strict=True))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def oneplus(x: Array) -> Array:
    return 1 + np.log(1 + np.exp(x))


def softplus(x: Array) -> Array:
    return np.log(1 + np.exp(x))


def softmax(x: Array) -> Array:
    total = sum(math.exp(value) for value in x)
    return np.array([math.exp(value) / total for value in x])


def cosine(a: Array, b: Array, epsilon: float) -> float:
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    norms = (sum(p * p for p in a) + epsilon) * (sum(q * q for q in b) + epsilon)
    return dot / math.sqrt(norms)


def content_weights(memory: Array, keys: Array, strengths: Array, epsilon: float = 1e-6) -> Array:
    rows = []
    for key, strength in zip(keys, strengths, strict=True):
        rows.append(softmax(np.array([strength * cosine(key, word, epsilon) for word in memory])))
    return np.stack(rows)


def read(memory: Array, read_weights: Array) -> Array:
    reads = np.zeros((len(read_weights), memory.shape[1]))
    for head, weights in enumerate(read_weights):
        for slot, weight in enumerate(weights):
            reads[head] += weight * memory[slot]
    return reads


def interpolate(prev_weights: Array, content: Array, gates: Array) -> Array:
    blended = np.zeros_like(content)
    for head, slot in np.ndindex(content.shape):
        blended[head, slot] = gates[head] * content[head, slot] + (1 - gates[head]) * prev_weights[head, slot]
    return blended


def shift(weights: Array, shift_weights: Array) -> Array:
    heads, slots = weights.shape
    reach = shift_weights.shape[1] // 2
    shifted = np.zeros_like(weights)
    for head in range(heads):
        for i in range(slots):
            for j in range(slots):
                for offset in range(-reach, reach + 1):
                    if (i - j - offset) % slots == 0:
                        shifted[head, i] += weights[head, j] * shift_weights[head, offset + reach]
    return shifted


def sharpen(weights: Array, sharpness: Array) -> Array:
    sharp = np.zeros_like(weights)
    for head, power in enumerate(sharpness):
        total = sum(weight**power for weight in weights[head])
        for slot, weight in enumerate(weights[head]):
            sharp[head, slot] = weight**power / total if total > 0 else 0
    return sharp


def erase_and_add(memory: Array, write_weights: Array, erase: Array, add: Array) -> Array:
    written = memory.copy()
    for slot, letter in np.ndindex(memory.shape):
        for head in range(len(write_weights)):
            written[slot, letter] *= 1 - write_weights[head, slot] * erase[head, letter]
    for slot, letter in np.ndindex(memory.shape):
        for head in range(len(write_weights)):
            written[slot, letter] += write_weights[head, slot] * add[head, letter]
    return written


def usage(prev_usage: Array, prev_write_weights: Array, prev_read_weights: Array, free_gates: Array) -> Array:
    used = np.zeros_like(prev_usage)
    for slot, (before, wrote) in enumerate(zip(prev_usage, prev_write_weights, strict=True)):
        retention = 1.0
        for head, gate in enumerate(free_gates):
            retention *= 1 - gate * prev_read_weights[head, slot]
        used[slot] = (before + wrote - before * wrote) * retention
    return used


def allocation(usage: Array) -> Array:
    free_list = sorted(range(len(usage)), key=lambda slot: (usage[slot], slot))
    allocated = np.zeros_like(usage)
    product = 1.0
    for slot in free_list:
        allocated[slot] = (1 - usage[slot]) * product
        product *= usage[slot]
    return allocated


def allocation_gradient(usage: Array, upstream: Array) -> Array:
    """Gradient of Σ upstream · allocation(usage) with the free list held fixed, term by term from the closed form.

    The allocation jumps where two usages tie, so there the derivative exists only along moves that keep the order.
    """
    free_list = sorted(range(len(usage)), key=lambda slot: (usage[slot], slot))
    gradient = np.zeros_like(usage)
    for place, slot in enumerate(free_list):
        earlier = free_list[:place]
        gradient[slot] -= upstream[slot] * math.prod(usage[i] for i in earlier)
        for moved in earlier:
            others = math.prod(usage[i] for i in earlier if i != moved)
            gradient[moved] += upstream[slot] * (1 - usage[slot]) * others
    return gradient


def write_weights(content: Array, allocation: Array, allocation_gate: Array, write_gate: Array) -> Array:
    written = np.zeros_like(content)
    for slot in range(len(content)):
        blend = allocation_gate[0] * allocation[slot] + (1 - allocation_gate[0]) * content[slot]
        written[slot] = write_gate[0] * blend
    return written


def precedence(prev_precedence: Array, write_weights: Array) -> Array:
    total = sum(write_weights)
    return np.array([(1 - total) * p + w for p, w in zip(prev_precedence, write_weights, strict=True)])


def temporal_links(prev_links: Array, prev_precedence: Array, write_weights: Array) -> Array:
    links = np.zeros_like(prev_links)
    for i, j in np.ndindex(links.shape):
        if i != j:
            kept = (1 - write_weights[i] - write_weights[j]) * prev_links[i, j]
            links[i, j] = kept + write_weights[i] * prev_precedence[j]
    return links


def forward_weights(links: Array, prev_read_weights: Array) -> Array:
    ahead = np.zeros_like(prev_read_weights)
    for head, i in np.ndindex(ahead.shape):
        ahead[head, i] = sum(links[i, j] * prev_read_weights[head, j] for j in range(len(links)))
    return ahead


def backward_weights(links: Array, prev_read_weights: Array) -> Array:
    back = np.zeros_like(prev_read_weights)
    for head, j in np.ndindex(back.shape):
        back[head, j] = sum(links[i, j] * prev_read_weights[head, i] for i in range(len(links)))
    return back


def read_weights(backward: Array, content: Array, forward: Array, read_modes: Array) -> Array:
    weights = np.zeros_like(content)
    for head, slot in np.ndindex(content.shape):
        pi = read_modes[head]
        weights[head, slot] = pi[0] * backward[head, slot] + pi[1] * content[head, slot] + pi[2] * forward[head, slot]
    return weights


def ntm_address(
    memory: Array,
    prev_weights: Array,
    keys: Array,
    strengths: Array,
    gates: Array,
    shifts: Array,
    sharpness: Array,
) -> Array:
    """Figure 2 of Graves et al. 2014: content, interpolation, shift, sharpening."""
    blended = interpolate(prev_weights, content_weights(memory, keys, strengths), gates)
    return sharpen(shift(blended, shifts), sharpness)


def allocate(*arguments: Array) -> tuple[Array, Array]:
    used = usage(*arguments)
    return used, allocation(used)


def follow_links(
    prev_links: Array, prev_precedence: Array, write_weights: Array, prev_read_weights: Array
) -> tuple[Array, Array, Array]:
    links = temporal_links(prev_links, prev_precedence, write_weights)
    return links, forward_weights(links, prev_read_weights), backward_weights(links, prev_read_weights)


def dnc_access(
    memory: Array,
    prev_usage: Array,
    prev_links: Array,
    prev_precedence: Array,
    prev_read_weights: Array,
    prev_write_weights: Array,
    read_keys: Array,
    read_strengths: Array,
    write_key: Array,
    write_strength: Array,
    erase: Array,
    add: Array,
    free_gates: Array,
    allocation_gate: Array,
    write_gate: Array,
    read_modes: Array,
) -> tuple[Array, ...]:
    """One step of the memory in the order of Graves et al. 2016, Methods: usage, allocation, write, links, read."""
    used = usage(prev_usage, prev_write_weights, prev_read_weights, free_gates)
    content = content_weights(memory, write_key, write_strength)[0]
    written_to = write_weights(content, allocation(used), allocation_gate, write_gate)
    written = erase_and_add(memory, written_to[None], erase, add)
    links = temporal_links(prev_links, prev_precedence, written_to)
    recent = precedence(prev_precedence, written_to)
    back, ahead = backward_weights(links, prev_read_weights), forward_weights(links, prev_read_weights)
    found = content_weights(written, read_keys, read_strengths)
    read_from = read_weights(back, found, ahead, read_modes)
    return written, used, links, recent, read_from, written_to, read(written, read_from)
