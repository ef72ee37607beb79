"""Temporal links and precedence of the DNC, compiled, for one row of a batch; see ``kernels/temporal_links/README.md``.

Legend: R read heads, N slots.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.algebra import inner, inner_apart, total
from lukasa.memory.kernels.sequence.compiling import compiled


@compiled()
def follow_links(before, precedence, write_weights, read_weights, links, ahead, back):
    """L[i, j] = (1 − w[i] − w[j]) L'[i, j] + w[i] p'[j], L[i, i] = 0; f = L w^r, b = Lᵀ w^r, in one pass.

    Args:
        before: [N, N], L'.
        precedence: [N], p'.
        write_weights: [1, N], w of this step.
        read_weights: [R, N], of the step before.
        links: [N, N], receives L.
        ahead: [R, N], receives f.
        back: [R, N], receives b.
    """
    slots, zero, one = precedence.shape[0], precedence.dtype.type(0), precedence.dtype.type(1)
    for h in range(read_weights.shape[0]):
        for n in range(slots):
            back[h, n] = zero
    for i in range(slots):
        weight = write_weights[0, i]
        for j in range(slots):
            links[i, j] = (one - weight - write_weights[0, j]) * before[i, j] + weight * precedence[j]
        links[i, i] = zero
        for h in range(read_weights.shape[0]):
            link, to, read = links[i], back[h], read_weights[h, i]
            ahead[h, i] = inner(link, read_weights[h])
            for j in range(slots):
                to[j] += link[j] * read


@compiled()
def links_back(
    before,
    links,
    precedence,
    write_weights,
    read_weights,
    to_ahead,
    to_back,
    to_links,
    to_precedence,
    to_write,
    to_read,
):
    """From the gradients of L, f and b to those of what they were made of.

    Args:
        before: [N, N], L'.
        links: [N, N], L.
        precedence: [N], p'.
        write_weights: [1, N], w.
        read_weights: [R, N], of the step before.
        to_ahead: [R, N].
        to_back: [R, N].
        to_links: [N, N], of L from the next step; replaced by that of L'.
        to_precedence: [N], to which that of p' is added.
        to_write: [1, N], to which that of w is added.
        to_read: [R, N], receives that of the read weights of the step before.
    """
    slots, zero, one = precedence.shape[0], precedence.dtype.type(0), precedence.dtype.type(1)
    heads = read_weights.shape[0]
    for h in range(heads):
        for n in range(slots):
            to_read[h, n] = zero
    written, to_written = write_weights[0], to_write[0]
    for i in range(slots):
        to_link = to_links[i]
        for h in range(heads):
            to_f, read = to_ahead[h, i], read_weights[h, i]
            weights, to_weights, to_b, link = read_weights[h], to_read[h], to_back[h], links[i]
            for j in range(slots):
                to_link[j] += to_f * weights[j] + read * to_b[j]
                to_weights[j] += to_f * link[j]
            to_weights[i] += inner(to_b, link)
        to_link[i] = zero
        weight, old = write_weights[0, i], before[i]
        to_weight = inner_apart(to_link, precedence, old)
        for j in range(slots):
            to_written[j] -= to_link[j] * old[j]
        for j in range(slots):
            to_precedence[j] += to_link[j] * weight
            to_link[j] *= one - weight - written[j]
        to_written[i] += to_weight


@compiled()
def precede(before, write_weights, precedence):
    """Decay: p = (1 − Σ w) p' + w."""
    rest = precedence.dtype.type(1)
    for n in range(before.shape[0]):
        rest -= write_weights[0, n]
    for n in range(before.shape[0]):
        precedence[n] = rest * before[n] + write_weights[0, n]


@compiled()
def precede_back(before, write_weights, to_precedence, to_write):
    """From the gradient of p, replaced by that of p', to that of w, which is added."""
    rest, lost = before.dtype.type(1) - total(write_weights, 0), inner(to_precedence, before)
    for n in range(before.shape[0]):
        to_write[0, n] += to_precedence[n] - lost
        to_precedence[n] *= rest
