"""What action values are learned from: returns of n steps, on a squashed scale where asked.

Legend: B batch (rows), M steps of a row.
"""

from __future__ import annotations

import torch
from torch import Tensor

RESCALING_SLOPE = 1e-3
"""Epsilon of h in Kapturowski et al. 2019: keeps its inverse Lipschitz."""


def rescaled(values: Tensor) -> Tensor:
    """Large values made small, h in Kapturowski et al. 2019 (and Pohlen et al. 2018).

    Example:
        >>> rescaled(torch.tensor([-3.0, 0.0, 3.0]))
        tensor([-1.0030,  0.0000,  1.0030])
    """
    return values.sign() * ((values.abs() + 1).sqrt() - 1) + RESCALING_SLOPE * values


def unscaled(values: Tensor) -> Tensor:
    """The inverse of ``rescaled``.

    Example:
        >>> unscaled(torch.tensor([-1.003, 0.0, 1.003])).round(decimals=4)
        tensor([-3.,  0.,  3.])
    """
    slope = RESCALING_SLOPE
    # in float64: at small values the root of a number close to 1 loses half of the digits of float32
    size = values.abs().double()
    root = (1 + 4 * slope * (size + 1 + slope)).sqrt()
    return (values.sign().double() * (((root - 1) / (2 * slope)).square() - 1)).to(values.dtype)


def n_step_targets(
    rewards: Tensor, values: Tensor, last: Tensor, terminated: Tensor, *, steps: int, gamma: float
) -> Tensor:
    """Discounted rewards of up to n steps, and what the observation after them is worth.

    Where a row ends earlier, its last observation stands in for the one after n steps; after the end of an episode
    nothing is earned.

    Args:
        rewards: [B, M], earned by the action of each step.
        values: [B, M], of the observation of each step.
        last: int64 [B], index of the last observation of each row, whose action is not in it; at least 1.
        terminated: bool [B], whether that observation ended its episode; a time limit does not count.
        steps: n, at least 1.
        gamma: discount of one step.

    Returns:
        [B, M]; nothing meaningful from ``last`` on.
    """
    length = rewards.shape[1]
    time = torch.arange(length, device=rewards.device)
    ahead = torch.minimum(time + steps, last[:, None]).clamp(max=length - 1)  # [B, M]
    worth = torch.where(terminated[:, None] & (ahead == last[:, None]), 0.0, values.gather(1, ahead))
    earned = torch.where(time < last[:, None], rewards, 0.0)
    targets = torch.full_like(worth, gamma) ** (ahead - time).clamp(min=0) * worth
    for step in range(min(steps, length)):
        targets[:, : length - step] += gamma**step * earned[:, step:]
    return targets
