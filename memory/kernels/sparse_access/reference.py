"""The plain version: the paper's equations one after another, each step of the memory an operation of its own.

Legend: B batch, H heads, W word size, C slots that a head reads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lukasa.memory.heads import parse
from lukasa.memory.kernels.sparse_access.interface import Access, Memory
from lukasa.memory.sparse.weightings import sparse_content_weights


def access(memory: Memory, interface: Tensor, read_slots: Tensor, read_weights: Tensor) -> Access[Memory]:
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
