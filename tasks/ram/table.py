"""The ten tasks of Neural Random-Access Machines, by name."""

from __future__ import annotations

from lukasa.ground.names import nearest
from lukasa.tasks.ram import arrays, nodes
from lukasa.tasks.ram.memories import RamTask

RAM_TASKS: dict[str, RamTask] = {
    one.name: one
    for one in (
        RamTask(
            "access",
            "replace the index k by A[k]",
            "k, A[0], ..., A[n-1], 0",
            arrays.draw_access,
            cells=lambda n: n + 2,
            steps=lambda n: 4,
            shortest=1,
            longest=8,
        ),
        RamTask(
            "increment",
            "add 1 to every element",
            "A[0], ..., A[n-1], 0",
            arrays.draw_increment,
            cells=lambda n: n + 2,
            steps=lambda n: n + 2,
            shortest=1,
            longest=8,
        ),
        RamTask(
            "copy",
            "copy an array to the address p",
            "p, A[0], ..., A[n-1], then n cells for the copy",
            arrays.draw_copy,
            cells=lambda n: 2 * n + 2,
            steps=lambda n: n + 3,
            shortest=1,
            longest=8,
        ),
        RamTask(
            "reverse",
            "copy an array in reverse to the address p",
            "p, A[0], ..., A[n-1], then n cells for the copy",
            arrays.draw_reverse,
            cells=lambda n: 2 * n + 2,
            steps=lambda n: n + 3,
            shortest=1,
            longest=8,
        ),
        RamTask(
            "swap",
            "swap what stands at the addresses p and q",
            "p, q, A[0], ..., A[n-1], 0",
            arrays.draw_swap,
            cells=lambda n: n + 3,
            steps=lambda n: 6,
            shortest=2,
            longest=8,
        ),
        RamTask(
            "permutation",
            "replace each P[i] by A[P[i]]",
            "a, P[0], ..., P[n-1], A[0], ..., A[n-1]; a is the address of A",
            arrays.draw_permutation,
            cells=lambda n: 2 * n + 2,
            steps=lambda n: 2 * n + 3,
            shortest=1,
            longest=6,
        ),
        RamTask(
            "list_k",
            "find the value that k hops along a list lead to",
            "head, k, out, nodes of (next, value)",
            nodes.draw_list_k,
            cells=lambda n: 2 * n + 4,
            steps=lambda n: n + 5,
            shortest=1,
            longest=8,
            easy=False,
        ),
        RamTask(
            "list_search",
            "find the first node of a list with the value v",
            "head, v, out, nodes of (next, value)",
            nodes.draw_list_search,
            cells=lambda n: 2 * n + 4,
            steps=lambda n: 2 * n + 5,
            shortest=1,
            longest=6,
            easy=False,
        ),
        RamTask(
            "merge",
            "merge two sorted arrays from the address o on",
            "a, b, o, A[0], ..., A[n-1], G, B[0], ..., B[m-1], G; G is M-1",
            arrays.draw_merge,
            cells=lambda n: 2 * n + 6,
            steps=lambda n: 3 * n + 6,
            shortest=2,
            longest=8,
            easy=False,
        ),
        RamTask(
            "walk_bst",
            "find the value that a path down a binary search tree leads to",
            "root, out, d_1, ..., d_k, 0, nodes of (value, left, right)",
            nodes.draw_walk_bst,
            cells=lambda n: 3 + nodes.path_length(n) + 3 * n,
            steps=lambda n: 2 * nodes.path_length(n) + 5,
            shortest=1,
            longest=8,
            easy=False,
        ),
    )
}
"""The tasks of the paper, in its order; a length is n, n + m for merge, and the nodes of the tree for walk_bst."""


def ram_task(name: str) -> RamTask:
    """A task by name.

    Raises:
        ValueError: there is none.

    Example:
        >>> ram_task("copy").cells(10)
        22
    """
    if name not in RAM_TASKS:
        raise ValueError(f"unknown task {name!r}: {nearest(name, RAM_TASKS)}")
    return RAM_TASKS[name]
