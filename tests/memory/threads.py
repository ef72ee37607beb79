"""How many threads native code runs on, in a test of equal bits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch import Tensor

from lukasa import memory


@contextmanager
def native_threads(threads: int) -> Iterator[None]:
    """Native code on so many threads, PyTorch's own products on one.

    With more of them these have other bits on some processors.
    """
    with mock.patch.object(torch, "get_num_threads", return_value=threads):
        yield


def last_states(core: memory.Core, inputs: Tensor, starts: Tensor) -> list[list[Tensor]]:
    """The last state of a sequence on one, two and three threads, with gradients, without, and in inference.

    Args:
        core: who reads it.
        inputs: [B, T, D].
        starts: bool [B, T].
    """
    ways = ((1, torch.enable_grad), (2, torch.no_grad), (3, torch.enable_grad), (1, torch.inference_mode))
    found = []
    for threads, context in ways:
        with native_threads(threads), context():
            _, last = memory.unroll(core, inputs, None, starts)
        found.append([tensor.detach().clone() for tensor in memory.state_to_dict(last).values()])
    return found
