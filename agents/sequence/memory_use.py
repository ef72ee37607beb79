"""An auxiliary loss that encourages a core to use its memory.

Dimensions: B rows, T steps, H heads, N slots.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lukasa.memory import Recording

TINY = 1e-12
"""Keeps the logarithm of a weight of zero finite; what is multiplied by it is zero there."""


def slot_information(weights: Tensor, inside: Tensor) -> Tensor:
    """How much the slot tells about the step: the mutual information I(step; slot) of a weighting.

    It is 0 when every step has the same weighting, as that of a core which ignores its memory has, and ln(min(T, N))
    when each step has a slot of its own.

    Args:
        weights: [B, T, H, N], non-negative.
        inside: bool [B, T], the steps that count.

    Returns:
        [B, H], nats; 0 where all weights are 0.
    """
    joint = weights * inside[:, :, None, None]
    joint = joint / joint.sum((1, 3), keepdim=True).clamp(min=TINY)
    independent = joint.sum(3, keepdim=True) * joint.sum(1, keepdim=True)
    return (joint * (joint.clamp(min=TINY).log() - independent.clamp(min=TINY).log())).sum((1, 3))


def memory_use_loss(recording: Recording, inside: Tensor) -> Tensor:
    """Minus the information between steps and slots, mean over rows and over all read and write heads.

    Args:
        recording: of a core that ran with gradients.
        inside: bool [B, T], the steps that count.

    Returns:
        A scalar, nats; at most 0.

    Raises:
        ValueError: the core has no slots.
    """
    recorded = recording.stacked()
    weightings = [recorded[name] for name in ("read", "write") if name in recorded]
    if not weightings:
        raise ValueError("this core has no slots whose use could be encouraged: take one with a memory, such as ntm")
    return -slot_information(torch.cat(weightings, 2), inside).mean()
