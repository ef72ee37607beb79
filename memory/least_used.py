"""Least recently used access to a dense memory: which slots count as used, and which are written anew.

Legend: B batch, H heads, N slots.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa.memory.derivatives import needs_reference
from lukasa.memory.ranking import slot_ranks


def least_used_slots(usage: Tensor, heads: int) -> Tensor:
    """The slot that each head may write anew: the least used one, the next for the next head; ties by lowest slot.

    Args:
        usage: [B, N], U.
        heads: H.

    Returns:
        bool [B, H, N]; one slot set for each head.
    """
    if needs_reference():
        return slot_ranks(usage).unsqueeze(1) == torch.arange(heads, device=usage.device).unsqueeze(1)
    order = torch.sort(usage, dim=-1, stable=True).indices[:, :heads]
    return F.one_hot(order, usage.shape[-1]).bool()


def discounted_usage(prev_usage: Tensor, write_weights: Tensor, read_weights: Tensor, discount: float) -> Tensor:
    """How much each slot was accessed; U^(1), the discounted sum of write and read weights; no gradient.

    Args:
        prev_usage: [B, N].
        write_weights: [B, H, N].
        read_weights: [B, H, N].
        discount: λ in [0, 1].

    Returns:
        [B, N]; non-negative.
    """
    return discount * prev_usage + (write_weights.sum(1) + read_weights.sum(1)).detach()
