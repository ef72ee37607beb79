"""The plain version: the paper's equations one after another, each step of the memory an operation of its own.

Legend: B batch, H heads, W word size, C slots that a head reads.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from memory.addressing import NORM_EPSILON
from memory.kernels.sparse_access.interface import Access, parse


def access(memory: Any, interface: Tensor, read_slots: Tensor, read_weights: Tensor) -> Access:
    """One access; see ``fused.access``."""
    heads = parse(interface, read_slots.shape[1], memory.word_size)
    to_read = heads.write_gates * heads.interpolation_gates  # [B, H]
    to_oldest = heads.write_gates - to_read
    oldest = memory.least_recent(read_slots.shape[1])
    write_slots = torch.cat([read_slots, oldest.unsqueeze(2)], 2)
    write_weights = torch.cat([to_read.unsqueeze(2) * read_weights, to_oldest.unsqueeze(2)], 2)

    keep = torch.ones_like(write_slots, dtype=torch.bool)
    keep[..., -1] = False
    added = write_weights.unsqueeze(3) * heads.words.unsqueeze(2)  # [B, H, C + 1, W]
    memory = memory.write(write_slots.flatten(1), keep.flatten(1), added.flatten(1, 2))

    slots = memory.search(heads.keys, read_slots.shape[2])
    rows, memory = memory.read(slots)
    weights = sparse_content_weights(rows, slots, heads.keys, heads.strengths)
    reads = torch.matmul(weights.unsqueeze(2), rows).squeeze(2)  # [B, H, W]
    accessed = torch.cat([write_weights.detach(), weights.detach()], 2)
    memory = memory.access(torch.cat([write_slots, slots], 2).flatten(1), accessed.flatten(1))
    return Access(memory, slots, weights, reads, write_slots, write_weights)


def sparse_content_weights(rows: Tensor, slots: Tensor, keys: Tensor, strengths: Tensor) -> Tensor:
    """Where the rows found resemble the keys; w̃^R, the softmax of eq. 2 over the nearest words alone.

    Args:
        rows: [B, H, C, W], the words found for each key.
        slots: int64 [B, H, C], -1 where none was found.
        keys: [B, H, W], q.
        strengths: [B, H], β.

    Returns:
        [B, H, C]; sums to 1, 0 where the slot is -1.
    """
    row_scale = (rows.square().sum(-1) + NORM_EPSILON).rsqrt()  # [B, H, C]
    key_scale = (keys.square().sum(-1) + NORM_EPSILON).rsqrt() * strengths  # [B, H]
    similarity = torch.matmul(rows, (keys * key_scale.unsqueeze(2)).unsqueeze(3)).squeeze(3) * row_scale
    missing = slots < 0
    # Finite, so that a head that finds nothing at all reads zeros and not 0/0.
    weights = torch.softmax(similarity.masked_fill(missing, torch.finfo(similarity.dtype).min), -1)
    return weights.masked_fill(missing, 0)
