"""Weightings over many slots as lists of the few that have a weight.

Legend: B batch, H heads, R rows looked up, C slots listed, N slots, W word size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa.memory.addressing import NORM_EPSILON

RECORDED_DENSELY = 4096
"""Up to so many slots ``memory.record`` shows weightings over all of them, beyond it slots and their weights."""


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


def recorded(slots: int, weightings: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """What ``memory.record`` shows of sparse weightings.

    Args:
        slots: N.
        weightings: by name, slots and weights [B, H, C].

    Returns:
        By name, weights [B, H, N] where N is at most ``RECORDED_DENSELY``; else "name_slots" and "name_weights".
    """
    if slots > RECORDED_DENSELY:
        pairs = {f"{name}_slots": pair[0] for name, pair in weightings.items()}
        return pairs | {f"{name}_weights": pair[1] for name, pair in weightings.items()}
    shown = {}
    for name, (places, weights) in weightings.items():
        dense = weights.new_zeros(*weights.shape[:2], slots + 1)  # the last column takes what is at no slot
        shown[name] = dense.scatter_add(2, places.masked_fill(places < 0, slots), weights)[..., :slots]
    return shown


def last(write_slots: Tensor) -> tuple[Tensor, Tensor]:
    """The slot that each head may write anew, the last of its write slots [B, H, C + 1], as a weighting of 1."""
    oldest = write_slots[..., -1:]
    return oldest, torch.ones_like(oldest, dtype=torch.get_default_dtype())
