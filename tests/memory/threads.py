"""How many threads native code runs on, in a test of equal bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch


@contextmanager
def native_threads(threads: int) -> Iterator[None]:
    """Native code on so many threads, PyTorch's own products on one.

    With more of them these have other bits on some processors.
    """
    with mock.patch.object(torch, "get_num_threads", return_value=threads):
        yield
