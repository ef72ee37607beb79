"""Returns of the steps of a batch, as a scale of returns follows them.

Legend: B batch (rows), T time.
"""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.core.columns import Columns
from torch import Tensor


@torch.no_grad()
def discounted_returns(batch: dict[str, Any], values: Tensor, gamma: float) -> Tensor:
    """Returns of the steps of a batch, [any]: rewards to the end of each row, and the value of its last step there.

    Args:
        batch: with rewards, terminations and loss mask, [B, T].
        values: of the same steps, [B, T].
        gamma: discount of one step.
    """
    mask, over = batch[Columns.LOSS_MASK], batch[Columns.TERMINATEDS].bool()
    following, found = values[:, -1], torch.zeros_like(values)
    for t in reversed(range(values.shape[1])):
        after = torch.where(over[:, t], torch.zeros_like(following), following)
        # padding lies behind a row's end: the value of the last step that counts stands in for what follows
        following = torch.where(mask[:, t], batch[Columns.REWARDS][:, t] + gamma * after, values[:, t - 1])
        found[:, t] = following
    return found[mask]
