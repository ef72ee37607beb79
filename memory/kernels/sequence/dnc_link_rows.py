"""Four rows of a link matrix at once, or one of those left over, compiled.

Four rows stay in the cache from the update to all that is read along them, and a number of a vector is fetched once for
the four. All arrays of a call lie apart: each loop below writes to several, or writes and sums.

Legend: N slots.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.compiling import compiled


@compiled()
def four_rows(matrix, i):
    """Rows i to i + 3."""
    return matrix[i], matrix[i + 1], matrix[i + 2], matrix[i + 3]


@compiled()
def four_numbers(vector, i):
    """Numbers i to i + 3."""
    return vector[i], vector[i + 1], vector[i + 2], vector[i + 3]


@compiled(apart=True)
def renew_four(links, weights, write_weights, precedence):
    """L[i, j] = (1 − w[i] − w[j]) L'[i, j] + w[i] p'[j] in place, of four rows with the weights w[i]."""
    (p, q, r, s), (a, b, c, d), one = links, weights, precedence.dtype.type(1)
    left_a, left_b, left_c, left_d = one - a, one - b, one - c, one - d
    for j in range(precedence.shape[0]):
        weight, earlier = write_weights[j], precedence[j]
        p[j] = (left_a - weight) * p[j] + a * earlier
        q[j] = (left_b - weight) * q[j] + b * earlier
        r[j] = (left_c - weight) * r[j] + c * earlier
        s[j] = (left_d - weight) * s[j] + d * earlier


@compiled(apart=True)
def renew_four_of(before, links, weights, write_weights, precedence):
    """The same of L' that lies elsewhere: in place it would lie in ``links``, and arrays of one call lie apart."""
    (k, m, n, o), (p, q, r, s), (a, b, c, d), one = before, links, weights, precedence.dtype.type(1)
    left_a, left_b, left_c, left_d = one - a, one - b, one - c, one - d
    for j in range(precedence.shape[0]):
        weight, earlier = write_weights[j], precedence[j]
        p[j] = (left_a - weight) * k[j] + a * earlier
        q[j] = (left_b - weight) * m[j] + b * earlier
        r[j] = (left_c - weight) * n[j] + c * earlier
        s[j] = (left_d - weight) * o[j] + d * earlier


@compiled(apart=True)
def renew(links, weight, write_weights, precedence):
    """``renew_four`` of one row."""
    left = precedence.dtype.type(1) - weight
    for j in range(precedence.shape[0]):
        links[j] = (left - write_weights[j]) * links[j] + weight * precedence[j]


@compiled(apart=True)
def renew_of(before, links, weight, write_weights, precedence):
    """``renew_four_of`` of one row."""
    left = precedence.dtype.type(1) - weight
    for j in range(precedence.shape[0]):
        links[j] = (left - write_weights[j]) * before[j] + weight * precedence[j]


@compiled("reassoc", apart=True)
def follow_four(links, along, across, sums):
    """Σ_j L[i, j] x[j] of four rows, and adds Σ_i L[i, j] y[i] over them to ``sums``.

    Args:
        links: four rows [N].
        along: [N], x.
        across: four numbers y[i].
        sums: [N].

    Returns:
        Four numbers.
    """
    (p, q, r, s), (a, b, c, d), zero = links, across, along.dtype.type(0)
    of_p, of_q, of_r, of_s = zero, zero, zero, zero
    for j in range(along.shape[0]):
        x = along[j]
        of_p += p[j] * x
        of_q += q[j] * x
        of_r += r[j] * x
        of_s += s[j] * x
        sums[j] += p[j] * a + q[j] * b + r[j] * c + s[j] * d
    return of_p, of_q, of_r, of_s


@compiled("reassoc", apart=True)
def follow(links, along, across, sums):
    """The same of one row."""
    found = along.dtype.type(0)
    for j in range(along.shape[0]):
        found += links[j] * along[j]
        sums[j] += links[j] * across
    return found


@compiled(apart=True)
def gather_four(to_links, to_ahead, read, to_back, read_weights):
    """Add f̄[i] v[j] + v[i] b̄[j] to four rows of the gradient of the links.

    Args:
        to_links: four rows [N].
        to_ahead: four numbers f̄[i].
        read: four numbers v[i].
        to_back: [N], b̄.
        read_weights: [N], v.
    """
    (p, q, r, s), (a, b, c, d), (e, f, g, h) = to_links, to_ahead, read
    for j in range(to_back.shape[0]):
        weight, to = read_weights[j], to_back[j]
        p[j] += a * weight + e * to
        q[j] += b * weight + f * to
        r[j] += c * weight + g * to
        s[j] += d * weight + h * to


@compiled(apart=True)
def gather_four_of_two(to_links, to_ahead, read, to_back, read_weights, to_ahead_2, read_2, to_back_2, read_weights_2):
    """The same of two heads."""
    (p, q, r, s), (a, b, c, d), (e, f, g, h) = to_links, to_ahead, read
    (a2, b2, c2, d2), (e2, f2, g2, h2) = to_ahead_2, read_2
    for j in range(to_back.shape[0]):
        weight, to, weight_2, to_2 = read_weights[j], to_back[j], read_weights_2[j], to_back_2[j]
        p[j] += a * weight + e * to + (a2 * weight_2 + e2 * to_2)
        q[j] += b * weight + f * to + (b2 * weight_2 + f2 * to_2)
        r[j] += c * weight + g * to + (c2 * weight_2 + g2 * to_2)
        s[j] += d * weight + h * to + (d2 * weight_2 + h2 * to_2)


@compiled(apart=True)
def gather(to_links, to_ahead, read, to_back, read_weights):
    """The same of one row."""
    for j in range(to_back.shape[0]):
        to_links[j] += to_ahead * read_weights[j] + read * to_back[j]


@compiled("reassoc", apart=True)
def renew_four_back(to_links, before, weights, write_weights, precedence, to_precedence, to_write):
    """From the gradient of four rows of L, replaced by that of L', to those of p' and w.

    Args:
        to_links: four rows [N], G.
        before: four rows [N], L'.
        weights: four numbers w[i].
        write_weights: [N], w.
        precedence: [N], p'.
        to_precedence: [N], to which Σ_i w[i] G[i, j] is added.
        to_write: [N], from which Σ_i G[i, j] L'[i, j] is subtracted.

    Returns:
        Σ_j G[i, j] (p'[j] − L'[i, j]) of the four rows.
    """
    (p, q, r, s), (k, m, n, o), (a, b, c, d) = to_links, before, weights
    one, zero = precedence.dtype.type(1), precedence.dtype.type(0)
    left_a, left_b, left_c, left_d = one - a, one - b, one - c, one - d
    of_p, of_q, of_r, of_s = zero, zero, zero, zero
    for j in range(precedence.shape[0]):
        weight, earlier = write_weights[j], precedence[j]
        of_p += p[j] * (earlier - k[j])
        of_q += q[j] * (earlier - m[j])
        of_r += r[j] * (earlier - n[j])
        of_s += s[j] * (earlier - o[j])
        to_write[j] -= p[j] * k[j] + q[j] * m[j] + r[j] * n[j] + s[j] * o[j]
        to_precedence[j] += p[j] * a + q[j] * b + r[j] * c + s[j] * d
        p[j] *= left_a - weight
        q[j] *= left_b - weight
        r[j] *= left_c - weight
        s[j] *= left_d - weight
    return of_p, of_q, of_r, of_s


@compiled("reassoc", apart=True)
def renew_back(to_links, before, weight, write_weights, precedence, to_precedence, to_write):
    """The same of one row."""
    left, found = precedence.dtype.type(1) - weight, precedence.dtype.type(0)
    for j in range(precedence.shape[0]):
        to = to_links[j]
        found += to * (precedence[j] - before[j])
        to_write[j] -= to * before[j]
        to_precedence[j] += to * weight
        to_links[j] = to * (left - write_weights[j])
    return found
