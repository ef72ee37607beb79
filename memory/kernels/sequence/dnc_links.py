"""Temporal links and precedence of the DNC, compiled, for one row of a batch; see ``kernels/temporal_links/README.md``.

Legend: R read heads, N slots.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.algebra import clear_matrix, inner, total
from lukasa.memory.kernels.sequence.compiling import compiled
from lukasa.memory.kernels.sequence.dnc_link_rows import (
    follow,
    follow_four,
    four_numbers,
    four_rows,
    gather,
    gather_four,
    gather_four_of_two,
    renew,
    renew_back,
    renew_four,
    renew_four_back,
    renew_four_of,
    renew_of,
)


@compiled()
def renew_rows(before, in_place, links, i, count, write_weights, precedence):
    """L of ``count`` rows (4 or 1) from row i of the matrix on.

    Args:
        before: [4, N], L' of the rows.
        in_place: whether they are ``links``.
        links: [4, N], receives L.
        i: the place of the first row in the matrix.
        count: how many.
        write_weights: [N], w of the step.
        precedence: [N], p'.
    """
    if count == 4:
        rows, weights = four_rows(links, 0), four_numbers(write_weights, i)
        if in_place:
            renew_four(rows, weights, write_weights, precedence)
        else:
            renew_four_of(four_rows(before, 0), rows, weights, write_weights, precedence)
    elif in_place:
        renew(links[0], write_weights[i], write_weights, precedence)
    else:
        renew_of(before[0], links[0], write_weights[i], write_weights, precedence)
    for k in range(count):
        links[k, i + k] = precedence.dtype.type(0)


@compiled()
def follow_rows(links, i, count, along, across, ahead, back):
    """Read along some rows of the matrix: ``ahead[i]`` grows by Σ_j L[i, j] x[j], ``back`` by Σ_i L[i, j] y[i].

    Args:
        links: [4, N], the rows.
        i: the place of the first in the matrix.
        count: how many, 4 or 1.
        along: [R, N], x.
        across: [R, N], y.
        ahead: [R, N].
        back: [R, N].
    """
    for h in range(along.shape[0]):
        if count == 4:
            rows, read = four_rows(links, 0), four_numbers(across[h], i)
            a, b, c, d = follow_four(rows, along[h], read, back[h])
            ahead[h, i] += a
            ahead[h, i + 1] += b
            ahead[h, i + 2] += c
            ahead[h, i + 3] += d
        else:
            ahead[h, i] += follow(links[0], along[h], across[h, i], back[h])


@compiled()
def together(i, slots):
    """How many rows from row i on are worked on together: four, and one by one what is left over."""
    return 4 if i + 4 <= slots else 1


@compiled()
def follow_links(before, in_place, precedence, write_weights, read_weights, links, ahead, back):
    """L[i, j] = (1 − w[i] − w[j]) L'[i, j] + w[i] p'[j], L[i, i] = 0; f = L w^r, b = Lᵀ w^r, in one pass.

    Args:
        before: [N, N], L'.
        in_place: whether it lies in ``links`` already.
        precedence: [N], p'.
        write_weights: [1, N], w of this step.
        read_weights: [R, N], of the step before.
        links: [N, N], receives L.
        ahead: [R, N], receives f.
        back: [R, N], receives b.
    """
    slots, i = precedence.shape[0], 0
    clear_matrix(ahead)
    clear_matrix(back)
    while i < slots:
        count = together(i, slots)
        rows = links[i : i + count]
        renew_rows(before[i : i + count], in_place, rows, i, count, write_weights[0], precedence)
        follow_rows(rows, i, count, read_weights, read_weights, ahead, back)
        i += count


@compiled()
def gather_rows(to_links, i, count, to_ahead, to_back, read_weights):
    """Add to some rows of the gradient of L, from row i on, what comes of f and b; its diagonal is zero."""
    heads = read_weights.shape[0]
    if count == 4:
        rows = four_rows(to_links, 0)
        for h in range(0, heads - 1, 2):
            gather_four_of_two(
                rows,
                four_numbers(to_ahead[h], i),
                four_numbers(read_weights[h], i),
                to_back[h],
                read_weights[h],
                four_numbers(to_ahead[h + 1], i),
                four_numbers(read_weights[h + 1], i),
                to_back[h + 1],
                read_weights[h + 1],
            )
        for h in range(heads - heads % 2, heads):
            to_f, read = four_numbers(to_ahead[h], i), four_numbers(read_weights[h], i)
            gather_four(rows, to_f, read, to_back[h], read_weights[h])
    else:
        for h in range(heads):
            gather(to_links[0], to_ahead[h, i], read_weights[h, i], to_back[h], read_weights[h])
    for k in range(count):
        to_links[k, i + k] = to_links.dtype.type(0)


@compiled()
def renew_rows_back(to_links, before, i, count, write_weights, precedence, to_precedence, to_write):
    """From the gradient of some rows of L to those of L', p' and w; see ``renew_four_back``."""
    if count == 4:
        rows, old, weights = four_rows(to_links, 0), four_rows(before, 0), four_numbers(write_weights, i)
        a, b, c, d = renew_four_back(rows, old, weights, write_weights, precedence, to_precedence, to_write)
        to_write[i] += a
        to_write[i + 1] += b
        to_write[i + 2] += c
        to_write[i + 3] += d
    else:
        to_write[i] += renew_back(
            to_links[0], before[0], write_weights[i], write_weights, precedence, to_precedence, to_write
        )


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
