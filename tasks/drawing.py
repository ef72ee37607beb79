"""Random draws that depend on the generator alone, and rows laid out in blocks of different lengths.

Dimensions: B rows, T steps, M members of a set, D columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor


def draw_whole(shape: Sequence[int], low: int, high: int, generator: Generator, *, alike: bool = False) -> Tensor:
    """Whole numbers from low to high, both included; with ``alike`` the same for every row of the batch."""
    drawn = torch.randint(low, high + 1, (1, *shape[1:]) if alike else tuple(shape), generator=generator)
    return drawn.expand(*shape)


def draw_bits(shape: Sequence[int], generator: Generator) -> Tensor:
    """Fair coins, 0.0 or 1.0."""
    return torch.randint(0, 2, tuple(shape), generator=generator).float()


def draw_order(shape: Sequence[int], generator: Generator) -> Tensor:
    """Random orders of the last dimension, one for each of the others."""
    return torch.rand(tuple(shape), generator=generator).argsort(-1)


def draw_distinct(rows: int, count: int, below: int, generator: Generator) -> Tensor:
    """Different whole numbers from 0 to below - 1, in random order: [rows, count]."""
    return torch.rand(rows, below, generator=generator).topk(count).indices


def draw_member(allowed: Tensor, generator: Generator) -> Tensor:
    """One allowed member of each row, each with the same chance: bool [B, M], some allowed in each row -> [B]."""
    return torch.multinomial(allowed.float(), 1, generator=generator).squeeze(1)


def pick(values: Tensor, index: Tensor) -> Tensor:
    """Values at an index along dimension 1: [B, M, D] and [B, T] -> [B, T, D]; an index out of range is clamped."""
    index = index.clamp(0, values.shape[1] - 1)
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[2]))


class Blocks(NamedTuple):
    """Where each step of each row lies, in rows made of blocks one after another."""

    block: Tensor  # [B, T], the number of the block; that of the last one beyond the end
    offset: Tensor  # [B, T], steps since the block's first
    inside: Tensor  # [B, T], bool: not beyond the end
    lengths: Tensor  # [B], steps of each row

    def phase(self, number: int, of: int) -> Tensor:
        """Whether a step lies in phase ``number`` where every ``of`` blocks are one round: [B, T], bool."""
        return (self.block % of == number) & self.inside


def lay_out(block_lengths: Tensor) -> Blocks:
    """Lay blocks of the given lengths one after another; empty blocks are allowed.

    Args:
        block_lengths: whole numbers, one column for each block, one row for each of B.

    Example:
        >>> blocks = lay_out(torch.tensor([[2, 0, 1]]))
        >>> blocks.block.tolist(), blocks.offset.tolist()
        ([[0, 0, 2]], [[0, 1, 0]])
    """
    ends = block_lengths.cumsum(1)
    lengths = ends[:, -1]
    steps = torch.arange(int(lengths.max())).repeat(len(ends), 1)  # [B, T]
    block = torch.searchsorted(ends, steps, right=True).clamp(max=ends.shape[1] - 1)
    offset = steps - (ends - block_lengths).gather(1, block)
    return Blocks(block, offset, steps < lengths[:, None], lengths)
