"""The fast version: one autograd function with the gradient of README.md.

Legend: B batch, H heads, N slots, W word size, S shifts.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lukasa.memory.addressing import NORM_EPSILON
from lukasa.memory.derivatives import differentiable_gradients, is_differentiated_again, needs_reference
from lukasa.memory.kernels.content import fused as content_kernel
from lukasa.memory.kernels.ntm_address import reference


def address(
    memory: Tensor,
    prev_weights: Tensor,
    keys: Tensor,
    strengths: Tensor,
    gates: Tensor,
    shifts: Tensor,
    sharpness: Tensor,
) -> Tensor:
    """Where the heads point; Graves et al. 2014, section 3.3 and Figure 2.

    Args:
        memory: [B, N, W].
        prev_weights: [B, H, N], w_{t-1}; sums to 1.
        keys: [B, H, W], k.
        strengths: [B, H], β, positive.
        gates: [B, H], g in [0, 1].
        shifts: [B, H, S], s, S odd and at most N; sums to 1.
        sharpness: [B, H], γ, at least 1.

    Returns:
        [B, H, N], w_t; non-negative, sums to 1.
    """
    if needs_reference():
        return reference.address(memory, prev_weights, keys, strengths, gates, shifts, sharpness)
    return _Address.apply(memory, prev_weights, keys, strengths, gates, shifts, sharpness)  # type: ignore[return-value]


class _Address(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> Tensor:
        memory, prev_weights, keys, strengths, gates, shifts, sharpness = arguments
        content, content_saved = content_kernel.forward(memory, keys, strengths, NORM_EPSILON)
        blended = torch.lerp(prev_weights, content, gates.unsqueeze(2))
        rotations = _rotations(blended, shifts.shape[2])
        shifted = _weigh(rotations, shifts)

        largest = shifted.amax(-1, keepdim=True)
        empty = largest == 0  # divided by 1, to keep an all-zero weighting from 0/0
        largest.masked_fill_(empty, 1)
        relative = shifted.div_(largest)
        slope = relative.pow((sharpness - 1).unsqueeze(2))  # x^(γ−1), which the gradient needs as well
        powers = slope * relative
        total = powers.sum(-1, keepdim=True).masked_fill_(empty, 1)
        weights = powers.div_(total)
        own = (prev_weights, gates, blended, shifts, sharpness, largest, relative, slope, total, weights)
        ctx.save_for_backward(*own, *content_saved)
        return weights

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (to_weights,) = grad_outputs
        saved = ctx.saved_tensors  # read once: under activation checkpointing a second time is an error
        prev_weights, gates, blended, shifts, sharpness, largest, relative, slope, total, weights = saved[:10]
        content_saved = saved[10:]
        if is_differentiated_again():
            memory, keys, strengths = content_saved[:3]
            arguments = (memory, prev_weights, keys, strengths, gates, shifts, sharpness)
            return differentiable_gradients(reference.address, arguments, ctx.needs_input_grad, grad_outputs)
        to_powers = to_weights - torch.linalg.vecdot(to_weights, weights).unsqueeze(2)
        to_sharpness = torch.linalg.vecdot(to_powers, torch.xlogy(weights, relative))
        to_shifted = to_powers.mul_(slope).mul_(sharpness.unsqueeze(2) / (total * largest))

        reach = shifts.shape[2]
        rotations = _rotations(blended, reach)
        to_shifts = torch.stack([torch.linalg.vecdot(to_shifted, rotated) for rotated in rotations], 2)
        to_blended = _weigh(_rotations(to_shifted, reach), shifts.flip(2))

        content = content_saved[-1]
        to_gates = torch.linalg.vecdot(to_blended, content - prev_weights)
        to_content = to_blended * gates.unsqueeze(2)
        to_memory, to_keys, to_strengths = content_kernel.backward(content_saved, to_content)
        return to_memory, to_blended.sub_(to_content), to_keys, to_strengths, to_gates, to_shifts, to_sharpness


def _rotations(weights: Tensor, shifts: int) -> list[Tensor]:
    """Views of a weighting moved by -(S-1)/2 … (S-1)/2 slots around the circle, S tensors [B, H, N]."""
    slots, reach = weights.shape[2], shifts // 2
    if reach == 0:
        return [weights]
    around = torch.cat([weights[..., slots - reach :], weights, weights[..., :reach]], 2)
    return [around[..., start : start + slots] for start in range(2 * reach, -1, -1)]


def _weigh(rotations: list[Tensor], shifts: Tensor) -> Tensor:
    first, *others = shifts.unsqueeze(3).unbind(2)
    total = rotations[0] * first
    for rotated, weight in zip(rotations[1:], others, strict=True):
        total.addcmul_(rotated, weight)
    return total
