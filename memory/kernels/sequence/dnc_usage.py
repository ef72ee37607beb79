"""Usage and allocation of the DNC, compiled, for one row of a batch; derivation in ``kernels/allocation/README.md``.

Legend: R read heads, N slots.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.algebra import inner, lerp
from lukasa.memory.kernels.sequence.compiling import compiled


@compiled()
def _comes_first(usage, a, b):
    """Whether slot a is before slot b in the free list: less used, or as much and lower; what is no number last."""
    x, y = usage[a], usage[b]
    if x != x or y != y:
        return a < b if x != x and y != y else y != y
    return x < y or (x == y and a < b)


@compiled()
def sort_slots(usage, order, spare):
    """Put ``order``, some order of the slots, into that of the free list; fast where it was nearly that.

    Runs of eight by insertion, then merged; two runs that are in order already are left as they are.
    """
    slots = usage.shape[0]
    for start in range(0, slots, 8):
        for k in range(start + 1, min(start + 8, slots)):
            slot, place = order[k], k
            while place > start and _comes_first(usage, slot, order[place - 1]):
                order[place] = order[place - 1]
                place -= 1
            order[place] = slot
    width = 8
    while width < slots:
        for start in range(0, slots - width, 2 * width):
            middle, end = start + width, min(start + 2 * width, slots)
            if _comes_first(usage, order[middle], order[middle - 1]):
                _merge(usage, order, spare, start, middle, end)
        width *= 2


@compiled()
def _merge(usage, order, spare, start, middle, end):
    for k in range(start, middle):
        spare[k] = order[k]
    left, right = start, middle
    for k in range(start, end):
        if left == middle:
            break
        if right < end and _comes_first(usage, order[right], spare[left]):
            order[k] = order[right]
            right += 1
        else:
            order[k] = spare[left]
            left += 1


@compiled()
def use(told, free_gates, before, write_weights, read_weights, usage):
    """(u + w − u∘w)∘ψ with ψ = Π (1 − f w^r); of the step before but for the gates."""
    one = usage.dtype.type(1)
    for n in range(usage.shape[0]):
        usage[n] = lerp(before[n], one, write_weights[0, n], one)
    for h in range(read_weights.shape[0]):
        gate = told[free_gates + h]
        for n in range(usage.shape[0]):
            usage[n] *= one - gate * read_weights[h, n]


@compiled()
def allocate(usage, order, allocation):
    """(1 − u) Π u over the slots before in the free list; eq. 1 of Methods."""
    one = usage.dtype.type(1)
    product = one
    for k in range(order.shape[0]):
        n = order[k]
        allocation[n] = (one - usage[n]) * product
        product *= usage[n]


@compiled()
def allocate_back(usage, order, to_allocation, to_usage, products):
    """Add to the gradient of the usage what comes of the allocation; ``products`` [N] is to work in.

    ū_k = P_k (S_k − g_k), with S_k what all later slots receive of a change of u_k, from the last slot on.
    """
    zero, one = usage.dtype.type(0), usage.dtype.type(1)
    product = one
    for k in range(order.shape[0]):
        products[k] = product
        product *= usage[order[k]]
    later = zero
    for k in range(order.shape[0] - 1, -1, -1):
        n = order[k]
        to_usage[n] += products[k] * (later - to_allocation[n])
        later = to_allocation[n] * (one - usage[n]) + usage[n] * later


@compiled()
def use_back(told, free_gates, before, write_weights, read_weights, to_usage, to_write, to_read, to_told, used):
    """From the gradient of the usage to those of what it was made of.

    Args:
        told: [I].
        free_gates: where they lie in it.
        before: [N], the usage before.
        write_weights: [1, N], before.
        read_weights: [R, N], before.
        to_usage: [N], replaced by the gradient of the usage before.
        to_write: [1, N], receives that of the write weights.
        to_read: [R, N], to which that of the read weights is added.
        to_told: [I], receives that of the gates.
        used: [N], to work in.
    """
    one, slots = told.dtype.type(1), before.shape[0]
    for h in range(read_weights.shape[0]):
        for n in range(slots):
            used[n] = to_usage[n] * lerp(before[n], one, write_weights[0, n], one)
        for other in range(read_weights.shape[0]):
            if other != h:
                gate = told[free_gates + other]
                for n in range(slots):
                    used[n] *= one - gate * read_weights[other, n]
        gate = told[free_gates + h]
        to_told[free_gates + h] = -inner(used, read_weights[h])
        for n in range(slots):
            to_read[h, n] -= used[n] * gate
    for h in range(read_weights.shape[0]):
        gate = told[free_gates + h]
        for n in range(slots):
            to_usage[n] *= one - gate * read_weights[h, n]
    for n in range(slots):
        to_write[0, n] = to_usage[n] * (one - before[n])
        to_usage[n] *= one - write_weights[0, n]
