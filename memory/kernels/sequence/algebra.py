"""Compiled sums and products of vectors and matrices.

Every result is summed in an order that depends on its own row alone: never on how many rows are worked on together, nor
on where arrays lie. Of a loop that writes the compiler makes two versions, as it cannot tell which arrays overlap, and
takes the one without vectors where some lie close to each other. So a sum over a vector is a function of its own
(``"reassoc"``), whose loop writes nothing. A loop that writes to one place, or sums, becomes vector instructions; one
that does several things may not. An index that is a sum is slow (it might be negative): take a view of the stretch and
index that from 0.

Legend: R rows, K numbers in, J numbers out.
"""

from __future__ import annotations

from lukasa.memory.kernels.sequence.compiling import compiled


@compiled()
def lerp(start, end, share, one):
    """Start + share (end − start) for a share in [0, 1], exact at both ends, as ``torch.lerp`` is.

    A gate that is saturated, or a slot that is written whole, leaves nothing behind, not even a last bit: sharpening
    and the order of usage make much of such bits.
    """
    apart, left = end - start, one - share
    return start + share * apart if share < left else end - left * apart


@compiled()
def add_products(out, vectors, matrix):
    """Add to each row of ``out`` [R, J] the product of ``vectors`` [R, K] and ``matrix`` [K, J], in the order of K."""
    add_some_products(out, 0, vectors, 0, out.shape[0], matrix)


@compiled()
def add_some_products(out, first, vectors, its_first, rows, matrix):
    """The same of ``rows`` rows, from some row of each on."""
    fours = rows - rows % 4
    for r in range(0, fours, 4):
        _add_to_four(out, first + r, vectors, its_first + r, matrix)
    for r in range(fours, rows):
        _add_to_one(out, first + r, vectors, its_first + r, matrix)


@compiled()
def _add_to_four(out, r, x, i, matrix):
    """Four rows at once, so that a number of the matrix is fetched once for all of them."""
    count, width = matrix.shape
    whole = count - count % 4
    for k in range(0, whole, 4):
        a0, a1, a2, a3 = x[i, k], x[i + 1, k], x[i + 2, k], x[i + 3, k]
        b0, b1, b2, b3 = x[i, k + 1], x[i + 1, k + 1], x[i + 2, k + 1], x[i + 3, k + 1]
        c0, c1, c2, c3 = x[i, k + 2], x[i + 1, k + 2], x[i + 2, k + 2], x[i + 3, k + 2]
        d0, d1, d2, d3 = x[i, k + 3], x[i + 1, k + 3], x[i + 2, k + 3], x[i + 3, k + 3]
        for j in range(width):
            p, q, s, t = matrix[k, j], matrix[k + 1, j], matrix[k + 2, j], matrix[k + 3, j]
            out[r, j] = (((out[r, j] + a0 * p) + b0 * q) + c0 * s) + d0 * t
            out[r + 1, j] = (((out[r + 1, j] + a1 * p) + b1 * q) + c1 * s) + d1 * t
            out[r + 2, j] = (((out[r + 2, j] + a2 * p) + b2 * q) + c2 * s) + d2 * t
            out[r + 3, j] = (((out[r + 3, j] + a3 * p) + b3 * q) + c3 * s) + d3 * t
    for k in range(whole, count):
        a0, a1, a2, a3 = x[i, k], x[i + 1, k], x[i + 2, k], x[i + 3, k]
        for j in range(width):
            p = matrix[k, j]
            out[r, j] += a0 * p
            out[r + 1, j] += a1 * p
            out[r + 2, j] += a2 * p
            out[r + 3, j] += a3 * p


@compiled()
def _add_to_one(out, r, x, i, matrix):
    count, width = matrix.shape
    whole = count - count % 4
    for k in range(0, whole, 4):
        a, b, c, d = x[i, k], x[i, k + 1], x[i, k + 2], x[i, k + 3]
        for j in range(width):
            p, q, s, t = matrix[k, j], matrix[k + 1, j], matrix[k + 2, j], matrix[k + 3, j]
            out[r, j] = (((out[r, j] + a * p) + b * q) + c * s) + d * t
    for k in range(whole, count):
        a = x[i, k]
        for j in range(width):
            out[r, j] += a * matrix[k, j]


@compiled("reassoc")
def dot(a, i, b, j):
    """The scalar product of row i of a matrix and row j of another."""
    found = a.dtype.type(0)
    for n in range(a.shape[1]):
        found += a[i, n] * b[j, n]
    return found


@compiled("reassoc")
def inner(a, b):
    """The scalar product of two vectors."""
    found = a.dtype.type(0)
    for n in range(a.shape[0]):
        found += a[n] * b[n]
    return found


@compiled("reassoc")
def inner_of_three(a, b, c):
    """Σ a b c over three vectors."""
    found = a.dtype.type(0)
    for n in range(a.shape[0]):
        found += a[n] * b[n] * c[n]
    return found


@compiled("reassoc")
def inner_apart(a, b, c):
    """Σ a (b − c) over three vectors."""
    found = a.dtype.type(0)
    for n in range(a.shape[0]):
        found += a[n] * (b[n] - c[n])
    return found


@compiled("reassoc")
def total(a, i):
    """The sum of row i of a matrix."""
    found = a.dtype.type(0)
    for n in range(a.shape[1]):
        found += a[i, n]
    return found


@compiled()
def largest(a, i):
    """The largest number of row i of a matrix; numbers that are none are passed over unless the first is one."""
    size = a.shape[1]
    first = second = third = fourth = a[i, 0]
    whole = size - size % 4
    for n in range(0, whole, 4):
        first = a[i, n] if a[i, n] > first else first
        second = a[i, n + 1] if a[i, n + 1] > second else second
        third = a[i, n + 2] if a[i, n + 2] > third else third
        fourth = a[i, n + 3] if a[i, n + 3] > fourth else fourth
    for n in range(whole, size):
        first = a[i, n] if a[i, n] > first else first
    first = second if second > first else first
    third = fourth if fourth > third else third
    return third if third > first else first


# One by one instead of ``to[:] = source``: what Numba makes of that takes seconds to compile at every place.


@compiled()
def copy(source, to):
    """Write a vector over another."""
    for j in range(to.shape[0]):
        to[j] = source[j]


@compiled()
def add(source, to):
    """Add a vector to another."""
    for j in range(to.shape[0]):
        to[j] += source[j]


@compiled()
def clear(to):
    """Write zeros."""
    for j in range(to.shape[0]):
        to[j] = to.dtype.type(0)


@compiled()
def clear_matrix(to):
    """Write zeros."""
    for i in range(to.shape[0]):
        for j in range(to.shape[1]):
            to[i, j] = to.dtype.type(0)


@compiled()
def add_matrix(source, to):
    """Add a matrix to another."""
    for i in range(to.shape[0]):
        for j in range(to.shape[1]):
            to[i, j] += source[i, j]
