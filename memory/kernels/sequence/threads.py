"""Rows of a batch over the processor's cores: a few threads that sleep when there is nothing to do.

Rows need nothing of one another, and a row's numbers do not depend on which others it is worked on with, so the results
are the same to the last bit however many threads there are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

ROWS = 16
"""At most so many rows at once: their memories and the weights stay in the processor's cache."""

_pools: dict[int, ThreadPoolExecutor] = {}
_making = threading.Lock()


def _forget() -> None:
    """After a fork: the child has none of the threads."""
    global _making
    _pools.clear()
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def over_rows(work: Callable[[int, int], None], rows: int, at_once: int) -> None:
    """Call ``work(begin, end)`` for blocks of rows that cover them all, on ``torch.get_num_threads()`` threads.

    Args:
        work: a compiled function, which lets other threads run.
        rows: B.
        at_once: the most rows of a block.
    """
    threads = min(torch.get_num_threads(), rows)
    size = min(at_once, -(-rows // threads))
    if size > 4:
        size = -(-size // 4) * 4  # rows are multiplied with matrices four at a time
    blocks = [(begin, min(begin + size, rows)) for begin in range(0, rows, size)]
    if threads == 1 or len(blocks) == 1:
        for block in blocks:
            work(*block)
        return
    left = iter(blocks)  # a list's iterator: each block is given to one thread

    def some() -> None:
        for block in left:
            work(*block)

    others = [_pool(threads - 1).submit(some) for _ in range(min(threads, len(blocks)) - 1)]
    try:
        some()
    finally:
        for other in others:
            other.result()


def _pool(threads: int) -> ThreadPoolExecutor:
    with _making:
        if threads not in _pools:
            _pools[threads] = ThreadPoolExecutor(threads, "lukasa-rows")
        return _pools[threads]
