"""Reinforce for cores that choose: what a choice was worth is judged by the loss of the sequence it was made in.

Dimensions: B rows, T steps.
"""

from __future__ import annotations

import torch
from torch import Tensor


def reinforce_loss(log_probabilities: Tensor, losses: Tensor, inside: Tensor) -> Tensor:
    """What gives, differentiated, an estimate of the expected loss's gradient by way of the choices (Williams 1992).

    The baseline of a row is the mean loss of the others, which keeps the estimate unbiased; advantages are divided by
    their spread where that is above 1 (Gulcehre et al. 2018, section 4.1, where the baseline is a running mean).

    Args:
        log_probabilities: [B, T], ln of how probable what was chosen at a step was.
        losses: [B].
        inside: bool [B, T], the steps that count.

    Returns:
        A scalar whose value means nothing: only its gradient does.

    Raises:
        ValueError: there is one row alone, which leaves no baseline.
    """
    rows = len(losses)
    if rows < 2:
        raise ValueError(
            "a core that draws where it reads or writes is judged by the other rows of its batch, and there is one row "
            "alone: take a batch size of at least 2 for each worker"
        )
    losses = losses.detach()
    advantages = (losses - losses.mean()) * (rows / (rows - 1))
    advantages = advantages / advantages.std().clamp(min=1)
    return (advantages * torch.where(inside, log_probabilities, 0).sum(1)).mean()
