"""Tasks on linked lists and binary search trees, whose nodes lie in random places of the memory.

Kurach et al. 2016, appendix. Dimensions: B memories, M cells, n nodes, k steps of a path.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from lukasa.tasks.ram.memories import Memories, empty, permutations, pick, values

HEAD = 3
"""Cells before the nodes of a list."""


def draw_list_k(length: int, rows: int, cells: int, generator: Generator) -> Memories:
    """head, k, out, nodes: the cell out is to hold the value of the node that k hops lead to, 0 hops to the head's.

    A node is two cells: the next node's address, NULL after the last, and its value.

    Args:
        length: n.
        rows: B.
        cells: M.
        generator: decides, alone, what is drawn.
    """
    memory, mask = empty(rows, cells)
    nodes = _linked(memory, length, values(rows, length, cells, generator), generator)
    hops = torch.randint(0, length, (rows, 1), generator=generator)
    memory[:, :1], memory[:, 1:2] = nodes[:, :1], hops
    return _answer(memory, mask, 2, pick(memory, pick(nodes, hops) + 1))


def draw_list_search(length: int, rows: int, cells: int, generator: Generator) -> Memories:
    """head, v, out, nodes: the cell out is to hold the address of the first node of value v, which there is.

    Cells that belong to no node hold random values, so that the list cannot be found by walking over the memory.
    """
    memory, mask = empty(rows, cells)
    memory[:, HEAD:] = values(rows, cells - HEAD, cells, generator)
    # Few different values, so that "the first" means something.
    contents = values(rows, length, min(cells, max(3, length + 1)), generator)
    nodes = _linked(memory, length, contents, generator)
    wanted = pick(contents, torch.randint(0, length, (rows, 1), generator=generator))
    first = (contents == wanted).to(torch.int64).argmax(1, keepdim=True)
    memory[:, :1], memory[:, 1:2] = nodes[:, :1], wanted
    return _answer(memory, mask, 2, pick(nodes, first))


def path_length(nodes: int) -> int:
    """The most steps of a path in a tree of so many nodes that is asked for."""
    return max(1, math.ceil(math.log2(nodes + 1)))


def draw_walk_bst(length: int, rows: int, cells: int, generator: Generator) -> Memories:
    """root, out, d_1, ..., d_k, NULL, nodes: the cell out is to hold the value of the node that the path leads to.

    A node is three cells: its value, its left child's address and its right child's, NULL where there is none. d_i is
    1 for left and 2 for right. k is at most that of ``path_length``, and the path leads to a node.
    """
    memory, mask = empty(rows, cells)
    begin = 2 + path_length(length) + 1
    slots = (cells - begin) // 3
    places = begin + 3 * permutations(rows, slots, generator)[:, :length]
    keys = torch.zeros(rows, length, dtype=torch.int64)
    for row in range(rows):
        keys[row] = torch.randperm(cells - 1, generator=generator)[:length] + 1
    ends = torch.zeros(rows, 1, dtype=torch.int64)
    for row in range(rows):
        ends[row] = _grow(memory[row], places[row].tolist(), keys[row].tolist(), begin - 3, generator)
    return _answer(memory, mask, 1, ends)


def _grow(memory: Tensor, places: list[int], keys: list[int], most: int, generator: Generator) -> int:
    """Insert keys into a tree one by one, and write a path to one of its nodes; returns that node's value."""
    paths = {0: []}
    memory[0] = places[0]
    for number, (place, key) in enumerate(zip(places, keys, strict=True)):
        memory[place] = key
        node, path = 0, []
        while number:
            side = 1 if key < keys[node] else 2
            path.append(side)
            child = int(memory[places[node] + side])
            if not child:
                memory[places[node] + side] = place
                paths[number] = path
                break
            node = places.index(child)
    reachable = [node for node, path in paths.items() if len(path) <= most]
    chosen = reachable[int(torch.randint(0, len(reachable), (1,), generator=generator))]
    for step, side in enumerate(paths[chosen]):
        memory[2 + step] = side
    return keys[chosen]


def _linked(memory: Tensor, length: int, contents: Tensor, generator: Generator) -> Tensor:
    """Write a list into a memory; the addresses [B, n] of its nodes, in order."""
    rows, cells = memory.shape
    nodes = HEAD + 2 * permutations(rows, (cells - HEAD) // 2, generator)[:, :length]
    following = torch.cat([nodes[:, 1:], torch.zeros(rows, 1, dtype=torch.int64)], 1)
    memory.scatter_(1, nodes, following)
    memory.scatter_(1, nodes + 1, contents)
    return nodes


def _answer(memory: Tensor, mask: Tensor, cell: int, answer: Tensor) -> Memories:
    memory[:, cell] = 0
    target = memory.clone()
    target[:, cell : cell + 1] = answer
    mask[:, cell] = True
    return Memories(memory, target, mask)
