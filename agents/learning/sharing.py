"""One batch of sequences, shared by several processes that hold the same weights.

Every process draws the whole batch from the same stream of random numbers and learns from rows of its own. So nobody
learns from another's rows, curricula stay equal, and a checkpoint of one process serves any number of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
from torch import nn


class Sharing(Protocol):
    """What a trainer needs to know of the processes that learn with it.

    Attributes:
        rank: which of them this is, from 0.
        workers: how many there are.
    """

    rank: int
    workers: int

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by the mean over all processes."""
        ...

    def totals(self, values: Sequence[float]) -> list[float]:
        """The sum of each value over all processes; every one of them has to ask at the same point."""
        ...


class Alone:
    """One process, to which nothing is added and nothing is rounded."""

    rank, workers = 0, 1

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Leave them as they are."""

    def totals(self, values: Sequence[float]) -> list[float]:
        """The values."""
        return list(values)


class ProcessGroup:
    """The processes of ``torch.distributed``'s default group.

    Args:
        device: where this process computes; NCCL moves nothing but what lies on a GPU.
    """

    def __init__(self, device: str = "cpu"):
        self.device = torch.device(device)
        self.rank, self.workers = torch.distributed.get_rank(), torch.distributed.get_world_size()

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by the mean over all processes, in one message; where nobody has one, none appears."""
        trained = [one for one in parameters if one.requires_grad]
        there = torch.tensor([one.grad is not None for one in trained]).to(trained[0])
        pieces = [torch.zeros_like(one) if one.grad is None else one.grad for one in trained]
        message = torch.cat([there, *(piece.flatten() for piece in pieces)])
        torch.distributed.all_reduce(message)
        counts, means = message[: len(trained)], message[len(trained) :] / self.workers
        sizes = [one.numel() for one in trained]
        for one, count, mean in zip(trained, counts.tolist(), means.split(sizes), strict=True):
            one.grad = mean.view_as(one).to(one) if count else None

    def totals(self, values: Sequence[float]) -> list[float]:
        """The sum of each value over all processes, in double precision."""
        message = torch.tensor(list(values), dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(message)
        return message.tolist()


ALONE = Alone()
"""One process that shares its work with no other; what trainers use unless they are given another ``Sharing``."""
