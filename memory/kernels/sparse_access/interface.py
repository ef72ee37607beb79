"""What goes into an access of SAM and what comes out of it.

Legend: B batch, H heads, W word size, C slots that a head reads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Heads(NamedTuple):
    """What the controller tells the heads."""

    keys: Tensor  # [B, H, W], q
    words: Tensor  # [B, H, W], a
    strengths: Tensor  # [B, H], β, positive
    write_gates: Tensor  # [B, H], α in [0, 1]
    interpolation_gates: Tensor  # [B, H], γ in [0, 1]; 1 writes to what was read


class Access(NamedTuple):
    """The memory after a step, and what the heads did."""

    memory: Any  # a SparseMemory, or what stands in for one
    read_slots: Tensor  # int64 [B, H, C], -1 where fewer are written
    read_weights: Tensor  # [B, H, C], sums to 1; 0 where the slot is -1
    reads: Tensor  # [B, H, W]
    write_slots: Tensor  # int64 [B, H, C + 1], the least recently accessed one last
    write_weights: Tensor  # [B, H, C + 1]; to look at, no gradient need flow out of it


def widths(heads: int, word_size: int) -> list[int]:
    """How much of the interface vector is keys, words, strengths and both kinds of gates."""
    return [heads * word_size, heads * word_size, heads, 2 * heads]


def parse(interface: Tensor, heads: int, word_size: int) -> Heads:
    """Split and squash what the controller emits, [B, sum of widths]."""
    keys, words, strengths, gates = torch.split_with_sizes(interface, widths(heads, word_size), 1)
    write_gates, interpolation_gates = torch.sigmoid(gates).chunk(2, 1)
    return Heads(
        keys=keys.unflatten(1, (heads, -1)),
        words=words.unflatten(1, (heads, -1)),
        strengths=F.softplus(strengths),
        write_gates=write_gates,
        interpolation_gates=interpolation_gates,
    )
