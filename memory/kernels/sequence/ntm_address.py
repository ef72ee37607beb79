"""The NTM's addressing, compiled, for one row of a batch; the gradient is that of ``kernels/ntm_address/README.md``.

The memory lies as [W, N], so that every loop over slots runs over neighbours.

Legend: H heads (those that read come first), R read heads, P write heads, N slots, W word size, S shifts,
I numbers of the interface.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

from lukasa.memory.kernels.sequence.algebra import clear, dot, inner, inner_apart, largest, lerp, total
from lukasa.memory.kernels.sequence.arithmetic import exponential, logarithm, sigmoid
from lukasa.memory.kernels.sequence.compiling import compiled
from lukasa.memory.kernels.sequence.content import content_weights


class Heads(NamedTuple):
    """How many heads there are, and where in the interface lies what they are told."""

    readers: int
    writers: int
    word: int
    shifts: int
    strengths: int
    sharpness: int
    gates: int
    erase: int
    shift: int
    add: int


class Address(NamedTuple):
    """What addressing keeps of a step; all but ``numbers`` [H, N]."""

    similarity: Any
    content: Any
    relative: Any  # to the largest weight after the shift
    slope: Any  # relative to the power γ − 1
    weights: Any
    numbers: Any  # [H, 3]: scale of the key, largest weight after the shift, sum of the powers


def heads_of(readers: int, writers: int, word: int, shifts: int) -> Heads:
    """The places of ``NTM.widths``: keys, strengths, sharpness, gates, erase, shifts, add."""
    heads = readers + writers
    widths = [heads * word, heads, heads, heads, writers * word, heads * shifts]
    return Heads(readers, writers, word, shifts, *itertools.accumulate(widths))


@compiled()
def squash(emitted, told, heads):
    """What the heads are told: keys, β, γ, g, e, s and a, of the interface [I] as the controller emits it."""
    one = told.dtype.type(1)
    for j in range(heads.strengths):
        told[j] = emitted[j]
    for j in range(heads.strengths, heads.gates):
        told[j] = softplus(emitted[j])
    for j in range(heads.sharpness, heads.gates):
        told[j] += one
    for j in range(heads.gates, heads.shift):
        told[j] = sigmoid(emitted[j])
    for place in range(heads.shift, heads.add, heads.shifts):
        _softmax(emitted, told, place, place + heads.shifts)
    for j in range(heads.add, told.shape[0]):
        told[j] = emitted[j]


@compiled()
def _softmax(x, y, first, last):
    """Of a stretch of a vector."""
    top, amount = x[first], x.dtype.type(0)
    for j in range(first, last):
        top = x[j] if x[j] > top else top
    for j in range(first, last):
        y[j] = exponential(x[j] - top)
        amount += y[j]
    for j in range(first, last):
        y[j] /= amount


@compiled()
def softplus(x):
    """The logarithm of 1 + eˣ; x itself where it is the same to the last bit, as PyTorch has it."""
    return x if x > 20 else math.log1p(math.exp(x))


@compiled()
def squash_back(emitted, told, heads, to_told):
    """From the gradients of what the heads are told to those of the interface, in place."""
    zero, one = told.dtype.type(0), told.dtype.type(1)
    for j in range(heads.strengths, heads.gates):
        to_told[j] *= one if emitted[j] > 20 else sigmoid(emitted[j])
    for j in range(heads.gates, heads.shift):
        to_told[j] *= told[j] * (one - told[j])
    for place in range(heads.shift, heads.add, heads.shifts):
        along = zero
        for j in range(place, place + heads.shifts):
            along += told[j] * to_told[j]
        for j in range(place, place + heads.shifts):
            to_told[j] = told[j] * (to_told[j] - along)


@compiled()
def address(told, heads, first, last, memory, scale, before, kept, scaled, circles):
    """Content, interpolation, shift and sharpening of the heads from ``first`` to ``last``; Figure 2 of the paper."""
    slots, reach = scale.shape[0], heads.shifts // 2
    content_weights(
        told, 0, heads.strengths, first, last, memory, scale, kept.similarity, kept.content, kept.numbers, scaled
    )
    for h in range(first, last):
        gate, one = told[heads.gates + h], told.dtype.type(1)
        for n in range(slots):
            kept.relative[h, n] = lerp(before[h, n], kept.content[h, n], gate, one)
        close_circle(kept.relative[h], circles[0], reach)
        place = heads.shift + h * heads.shifts
        clear(kept.relative[h])
        for o in range(heads.shifts):
            moved, weight = circles[0, heads.shifts - 1 - o :], told[place + o]
            for n in range(slots):
                kept.relative[h, n] += moved[n] * weight
        _sharpen(told[heads.sharpness + h], kept, h)


@compiled()
def close_circle(weights, around, reach):
    """A weighting with its ends repeated beyond the other end, [reach + N + reach]."""
    slots = weights.shape[0]
    inner = around[reach:]
    for n in range(slots):
        inner[n] = weights[n]
    for j in range(reach):
        around[j] = weights[slots - reach + j]
        around[reach + slots + j] = weights[j]


@compiled()
def _sharpen(sharpness, kept, h):
    """A power, then normalised; by way of the largest, so that nothing underflows, and zeros where all are zero."""
    relative, slope, weights = kept.relative, kept.slope, kept.weights
    zero, one = relative.dtype.type(0), relative.dtype.type(1)
    top = largest(relative, h)
    empty = top == zero
    top = one if empty else top
    of_zero = one if sharpness == one else zero
    for n in range(relative.shape[1]):
        x = relative[h, n] / top
        relative[h, n] = x
        power = exponential((sharpness - one) * logarithm(x))
        slope[h, n] = of_zero if x == zero else power
        weights[h, n] = slope[h, n] * x
    amount = one if empty else total(weights, h)
    scale = one / amount
    for n in range(relative.shape[1]):
        weights[h, n] *= scale
    kept.numbers[h, 1], kept.numbers[h, 2] = top, amount


@compiled()
def address_back(told, heads, first, last, before, kept, to_weights, to_told, to_similarity, circles):
    """From the gradients of the weights to those of γ, s and g, of the weights before, and of the similarities.

    Args:
        told: [I].
        heads: places in it.
        first: the first head.
        last: the last head plus one.
        before: [H, N], the weights before the step.
        kept: of the forward pass.
        to_weights: [H, N], replaced by the gradient of the weights before the step.
        to_told: [I], receives those of γ, g and s.
        to_similarity: [H, N], receives those of the similarities.
        circles: [2, reach + N + reach], to work in.
    """
    slots, reach = before.shape[1], heads.shifts // 2
    slope, relative, weights, content = kept.slope, kept.relative, kept.weights, kept.content
    zero, one = told.dtype.type(0), told.dtype.type(1)
    for h in range(first, last):
        gate, along = told[heads.gates + h], dot(to_weights, h, weights, h)
        factor = told[heads.sharpness + h] / (kept.numbers[h, 2] * kept.numbers[h, 1])
        for n in range(slots):
            log = weights[h, n] * logarithm(relative[h, n])
            circles[1, n] = zero if weights[h, n] == zero else log
            to_weights[h, n] -= along
            to_similarity[h, n] = lerp(before[h, n], content[h, n], gate, one)
        to_told[heads.sharpness + h] = inner(to_weights[h], circles[1])
        for n in range(slots):
            to_weights[h, n] *= slope[h, n] * factor
        close_circle(to_similarity[h], circles[0], reach)
        close_circle(to_weights[h], circles[1], reach)
        _unshift(told, to_told, heads.shift + h * heads.shifts, heads.shifts, circles, to_weights[h])
        to_told[heads.gates + h] = inner_apart(to_weights[h], content[h], before[h])
        through = gate * inner(to_weights[h], content[h])
        for n in range(slots):
            to_content = gate * to_weights[h, n]
            to_similarity[h, n] = content[h, n] * (to_content - through)
            to_weights[h, n] -= to_content


@compiled()
def _unshift(told, to_told, place, shifts, circles, to_blended):
    """From the gradient of the shifted weights, the second circle, to those of the shifts and of what was shifted."""
    slots = to_blended.shape[0]
    to_shifted = circles[1, shifts // 2 :]
    clear(to_blended)
    for o in range(shifts):
        weight, moved, back = told[place + o], circles[0, shifts - 1 - o :], circles[1, o:]
        to_told[place + o] = inner(to_shifted[:slots], moved)
        for n in range(slots):
            to_blended[n] += weight * back[n]
