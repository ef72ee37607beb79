"""Tasks on arrays (Kurach et al. 2016, appendix): A[0], ..., A[n−1] are values other than 0, which is NULL.

Dimensions: B memories, M cells, n elements.
"""

from __future__ import annotations

import torch
from torch import Generator

from lukasa.tasks.ram.memories import Memories, empty, permutations, pick, values


def draw_access(length: int, rows: int, cells: int, generator: Generator) -> Memories:
    """k, A[0], ..., A[n−1], NULL: the first cell is to hold A[k].

    Args:
        length: n.
        rows: B.
        cells: M.
        generator: decides, alone, what is drawn.
    """
    memory, mask = empty(rows, cells)
    memory[:, 1 : 1 + length] = values(rows, length, cells, generator)
    memory[:, :1] = torch.randint(0, length, (rows, 1), generator=generator)
    target = memory.clone()
    target[:, :1] = pick(memory, memory[:, :1] + 1)
    mask[:, 0] = True
    return Memories(memory, target, mask)


def draw_increment(length: int, rows: int, cells: int, generator: Generator) -> Memories:
    """A[0], ..., A[n−1], NULL: every element grows by 1; none is M−1, which would become 0. Arguments as above."""
    memory, mask = empty(rows, cells)
    memory[:, :length] = values(rows, length, cells - 1, generator)
    mask[:, :length] = True
    return Memories(memory, memory + mask, mask)


def draw_copy(length: int, rows: int, cells: int, generator: Generator) -> Memories:
    """p, A[0], ..., A[n−1], with p the address after A: the elements are to stand from p on as well."""
    memory, mask = _with_destination(length, rows, cells, generator)
    target = memory.clone()
    target[:, 1 + length : 1 + 2 * length] = memory[:, 1 : 1 + length]
    return Memories(memory, target, mask)


def draw_reverse(length: int, rows: int, cells: int, generator: Generator) -> Memories:
    """p, A[0], ..., A[n−1], with p the address after A: from p on A[n−1], ..., A[0]."""
    memory, mask = _with_destination(length, rows, cells, generator)
    target = memory.clone()
    target[:, 1 + length : 1 + 2 * length] = memory[:, 1 : 1 + length].flip(1)
    return Memories(memory, target, mask)


def draw_swap(length: int, rows: int, cells: int, generator: Generator) -> Memories:
    """p, q, A[0], ..., A[n−1], NULL: what stands at the addresses p and q, two different ones, changes places."""
    memory, mask = empty(rows, cells)
    memory[:, 2 : 2 + length] = values(rows, length, cells, generator)
    places = permutations(rows, length, generator)[:, :2] + 2
    memory[:, :2] = places
    target = memory.scatter(1, places, pick(memory, places).flip(1))
    mask[:, 2 : 2 + length] = True
    return Memories(memory, target, mask)


def draw_permutation(length: int, rows: int, cells: int, generator: Generator) -> Memories:
    """a, P[0], ..., P[n−1], A[0], ..., A[n−1], with a the address of A: A[P[0]], ..., A[P[n−1]] is to replace P."""
    memory, mask = empty(rows, cells)
    memory[:, 0] = length + 1
    order, array = permutations(rows, length, generator), values(rows, length, cells, generator)
    memory[:, 1 : 1 + length], memory[:, 1 + length : 1 + 2 * length] = order, array
    target = memory.clone()
    target[:, 1 : 1 + length] = pick(array, order)
    mask[:, 1 : 1 + length] = True
    return Memories(memory, target, mask)


def draw_merge(length: int, rows: int, cells: int, generator: Generator) -> Memories:
    """a, b, o, A[0], ..., A[n−1], G, B[0], ..., B[m−1], G: from o on the elements of both sorted arrays, in order.

    a and b are the addresses of A and B, o is the one after the second G, and n + m is the length. The guardian G is
    M−1, more than every element. All rows have the same n.
    """
    memory, mask = empty(rows, cells)
    guardian = cells - 1
    first = int(torch.randint(1, length, (1,), generator=generator))
    elements = values(rows, length, guardian, generator)
    start_b = 3 + first + 1
    out = start_b + length - first + 1
    memory[:, 0], memory[:, 1], memory[:, 2] = 3, start_b, out
    memory[:, 3 : 3 + first] = elements[:, :first].sort(1).values
    memory[:, start_b : out - 1] = elements[:, first:].sort(1).values
    memory[:, start_b - 1] = memory[:, out - 1] = guardian
    target = memory.clone()
    target[:, out : out + length] = elements.sort(1).values
    mask[:, out : out + length] = True
    return Memories(memory, target, mask)


def _with_destination(length: int, rows: int, cells: int, generator: Generator):
    memory, mask = empty(rows, cells)
    memory[:, 0] = length + 1
    memory[:, 1 : 1 + length] = values(rows, length, cells, generator)
    mask[:, 1 + length : 1 + 2 * length] = True
    return memory, mask
