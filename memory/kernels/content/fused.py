"""The fast version: one autograd function with the gradient of README.md.

Legend: B batch, H heads, N slots, W word size.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.addressing import NORM_EPSILON
from lukasa.memory.derivatives import differentiable_gradients, is_differentiated_again, needs_reference
from lukasa.memory.kernels.content import reference


def content_weights(memory: Tensor, keys: Tensor, strengths: Tensor, epsilon: float = NORM_EPSILON) -> Tensor:
    """Where the memory resembles the keys; see ``lukasa.memory.addressing.content_weights``, which it equals.

    Args:
        memory: [B, N, W].
        keys: [B, H, W].
        strengths: [B, H], positive.
        epsilon: added to squared norms.

    Returns:
        [B, H, N]; non-negative, sums to 1.
    """
    if needs_reference():
        return reference.content_weights(memory, keys, strengths, epsilon)
    return _ContentWeights.apply(memory, keys, strengths, epsilon)  # type: ignore[return-value]


def forward(memory: Tensor, keys: Tensor, strengths: Tensor, epsilon: float) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The weights, and the tensors that ``backward`` needs."""
    row_scale = torch.linalg.vecdot(memory, memory).add_(epsilon).rsqrt_().unsqueeze(1)  # [B, 1, N]
    key_scale = torch.linalg.vecdot(keys, keys).add_(epsilon).rsqrt_().unsqueeze(2)  # [B, H, 1]
    scaled_keys = keys * (key_scale * strengths.unsqueeze(2))
    similarity = torch.bmm(scaled_keys, memory.transpose(1, 2)).mul_(row_scale)
    weights = torch.softmax(similarity, -1)
    return weights, (memory, keys, strengths, row_scale, key_scale, scaled_keys, similarity, weights)


def backward(saved: tuple[Tensor, ...], grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients toward memory, keys and strengths."""
    memory, keys, strengths, row_scale, key_scale, scaled_keys, similarity, weights = saved
    to_similarity = torch.linalg.vecdot(grad, weights).unsqueeze(2).sub(grad).mul_(weights).neg_()
    through_rows = (to_similarity * similarity).sum(1, keepdim=True).mul_(row_scale.square())
    to_products = to_similarity.mul_(row_scale)
    to_memory = (memory * through_rows.transpose(1, 2)).baddbmm_(to_products.transpose(1, 2), scaled_keys, beta=-1)
    to_scaled = torch.bmm(to_products, memory)
    along_key = torch.linalg.vecdot(to_scaled, keys).unsqueeze(2).mul_(key_scale)
    scale = strengths.unsqueeze(2) * key_scale
    to_keys = to_scaled.addcmul_(keys, along_key * key_scale, value=-1).mul_(scale)
    return to_memory, to_keys, along_key.squeeze(2)


class _ContentWeights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, memory: Tensor, keys: Tensor, strengths: Tensor, epsilon: float) -> Tensor:
        weights, saved = forward(memory, keys, strengths, epsilon)
        ctx.save_for_backward(*saved)
        ctx.epsilon = epsilon
        return weights

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        saved = ctx.saved_tensors
        if is_differentiated_again():
            equations = functools.partial(reference.content_weights, epsilon=ctx.epsilon)
            return *differentiable_gradients(equations, saved[:3], ctx.needs_input_grad[:3], grad_outputs), None
        return *backward(saved, grad_outputs[0]), None
