"""Weightings over many slots as lists of the few that have a weight.

Legend: B batch, R rows looked up, C slots listed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def matching(rows: Tensor, slots: Tensor, weights: Tensor) -> Tensor:
    """The weight [B, R] that each of the rows [B, R] has among slots [B, C]; 0 where it is not there."""
    return ((rows.unsqueeze(2) == slots.unsqueeze(1)) * weights.unsqueeze(1)).sum(2)


def largest_sums(slots: Tensor, weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Add up the weights of equal slots and keep the largest sums, ties by lowest slot; equal to 24 bits is a tie.

    Args:
        slots: int64 [..., C]; -1 is nothing.
        weights: [..., C], non-negative.
        count: how many to keep.

    Returns:
        Distinct slots and their weights [..., count], largest first; -1 and 0 behind the last that is positive.

    Example:
        >>> largest_sums(torch.tensor([4, 2, 4, 7]), torch.tensor([0.25, 0.375, 0.25, 0.125]), 2)
        (tensor([4, 2]), tensor([0.5000, 0.3750]))
    """
    if slots.shape[-1] < count:
        missing = (0, count - slots.shape[-1])
        slots, weights = F.pad(slots, missing, value=-1), F.pad(weights, missing)
    ordered, order = slots.sort(-1)
    group = F.pad((ordered[..., 1:] != ordered[..., :-1]).cumsum(-1), (1, 0))  # which of the distinct slots
    distinct = torch.full_like(slots, -1).scatter(-1, group, ordered)
    sums = torch.zeros_like(weights).scatter_add(-1, group, weights.gather(-1, order))
    sums = sums.masked_fill(distinct < 0, 0)
    order = _compared(sums).sort(dim=-1, descending=True, stable=True).indices[..., :count]
    largest, slots = sums.gather(-1, order), distinct.gather(-1, order)
    nothing = ~(largest > 0)  # true of NaN too
    return slots.masked_fill(nothing, -1), largest.masked_fill(nothing, 0)


def _compared(weights: Tensor) -> Tensor:
    """What to order weights by: of float64 the leading 24 bits, so that what logarithms round is a tie."""
    if weights.dtype != torch.float64:
        return weights
    # The bits of non-negative numbers, read as whole numbers, are in the numbers' own order.
    return (weights.view(torch.int64) + (1 << 28)) >> 29
