"""The k best of many scores, ties to the lowest slot.

Legend: U scores a row, k how many, S blocks of scores.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def top_slots(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k highest scores in descending order; equal ones by ascending slot.

    ``torch.topk`` leaves the choice among ties open, so that it only serves where there are none, as nearly always.
    Else: the k best scores lie in the k blocks of highest maximum (the lower block first where two tie), so that only
    their scores and the maxima are sorted.

    Args:
        scores: [..., U]; -inf marks what must not be chosen.
        k: how many.

    Returns:
        The scores [..., k] and their slots, int64 [..., k]; -inf and -1 where there are fewer.
    """
    if scores.shape[-1] > k and scores.device.type == "cpu":  # elsewhere looking would wait for the device
        ordered, slots = scores.topk(k + 1)
        # One is looked at beyond the k, which may tie with the last of them; NaN is above no other.
        if bool((ordered[..., :-1] > ordered[..., 1:]).all()):
            return ordered[..., :k], slots[..., :k].contiguous()
    return _top_slots_with_ties(scores, k)


def _top_slots_with_ties(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    if scores.shape[-1] == 0:
        scores = F.pad(scores, (0, 1), value=-torch.inf)
    width = _block_width(scores.shape[-1], k)
    padded = F.pad(scores, (0, -scores.shape[-1] % width), value=-torch.inf)
    blocks = padded.unflatten(-1, (-1, width))  # [..., S, width]
    best = blocks.amax(-1).sort(dim=-1, descending=True, stable=True).indices[..., :k].sort(-1).values  # [..., <= k]
    slots = (best.unsqueeze(-1) * width + torch.arange(width, device=scores.device)).flatten(-2)
    candidates = blocks.gather(-2, best.unsqueeze(-1).expand(*best.shape, width)).flatten(-2)
    ordered, order = candidates.sort(dim=-1, descending=True, stable=True)
    found = slots.gather(-1, order[..., :k]).masked_fill(ordered[..., :k] == -torch.inf, -1)
    missing = k - found.shape[-1]
    return F.pad(ordered[..., :k], (0, missing), value=-torch.inf), F.pad(found, (0, missing), value=-1)


def _block_width(length: int, k: int) -> int:
    """The power of two that balances the number of blocks against the scores of k blocks."""
    return 1 << max(0, (length // k).bit_length() // 2)
