"""The order of slots by their usage.

Legend: B batch, N slots.
"""

from __future__ import annotations

import torch
from torch import Tensor


def slot_ranks(usage: Tensor) -> Tensor:
    """The place of each slot in the free list, by comparing all with all: what a traced graph has in place of a sort.

    Args:
        usage: [B, N].

    Returns:
        int64 [B, N], 0 for the least used slot; ties by lowest slot.
    """
    mine, others = usage.unsqueeze(2), usage.unsqueeze(1)  # [B, N, 1], [B, 1, N]
    slots = torch.arange(usage.shape[-1], device=usage.device)
    lower = slots.unsqueeze(0) < slots.unsqueeze(1)
    return ((others < mine) | ((others == mine) & lower)).sum(2)
