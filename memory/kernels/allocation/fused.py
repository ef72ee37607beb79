"""The fast version: one autograd function with the gradient of README.md.

Legend: B batch, R read heads, N slots.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lukasa.memory.derivatives import differentiable_gradients, is_differentiated_again, needs_reference
from lukasa.memory.kernels.allocation import reference


def allocate(
    prev_usage: Tensor, prev_write_weights: Tensor, prev_read_weights: Tensor, free_gates: Tensor
) -> tuple[Tensor, Tensor]:
    """Usage u_t and allocation a_t in Graves et al. 2016, Methods, "Dynamic memory allocation".

    Args:
        prev_usage: [B, N], u_{t-1}, in [0, 1].
        prev_write_weights: [B, N], w^w_{t-1}.
        prev_read_weights: [B, R, N], w^r_{t-1}.
        free_gates: [B, R], f in [0, 1].

    Returns:
        Usage [B, N] in [0, 1], and allocation [B, N], non-negative with a sum of at most 1.
    """
    if needs_reference():
        return reference.allocate(prev_usage, prev_write_weights, prev_read_weights, free_gates)
    return _Allocate.apply(prev_usage, prev_write_weights, prev_read_weights, free_gates)  # type: ignore[return-value]


def forward(
    prev_usage: Tensor, write: Tensor, read: Tensor, gates: Tensor
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, ...]]:
    """Usage and allocation, and the tensors that ``backward`` needs."""
    kept = torch.addcmul(torch.ones_like(gates).unsqueeze(2), gates.unsqueeze(2), read, value=-1)  # 1 − f w
    retention = kept.prod(1)
    used = torch.lerp(prev_usage, torch.ones_like(prev_usage), write)  # u + w − u w
    usage = used * retention
    ascending, free_list = torch.sort(usage, dim=-1, stable=True)
    before = torch.ones_like(ascending)
    torch.cumprod(ascending[:, :-1], -1, out=before[:, 1:])
    allocation = torch.empty_like(usage).scatter_(-1, free_list, torch.addcmul(before, before, ascending, value=-1))
    saved = (prev_usage, write, read, gates, kept, retention, used, ascending, free_list, before)
    return (usage, allocation), saved


def backward(
    saved: tuple[Tensor, ...], grad_usage: Tensor, grad_allocation: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients toward the four arguments of ``allocate``."""
    prev_usage, write, read, gates, kept, retention, used, ascending, free_list, before = saved
    to_sorted = _through_products(grad_allocation.gather(-1, free_list), ascending, before)
    to_usage = grad_usage.scatter_add(-1, free_list, to_sorted)
    to_used = to_usage * retention
    to_kept = _product_of_others(kept).mul_(to_usage.mul_(used).unsqueeze(1)).neg_()
    to_gates = torch.linalg.vecdot(to_kept, read)
    to_read = to_kept.mul_(gates.unsqueeze(2))
    return (
        torch.addcmul(to_used, to_used, write, value=-1),
        torch.addcmul(to_used, to_used, prev_usage, value=-1),
        to_read,
        to_gates,
    )


class _Allocate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, prev_usage: Tensor, write: Tensor, read: Tensor, gates: Tensor) -> tuple[Tensor, Tensor]:
        outputs, saved = forward(prev_usage, write, read, gates)
        ctx.save_for_backward(*saved)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        saved = ctx.saved_tensors
        if is_differentiated_again():
            return differentiable_gradients(reference.allocate, saved[:4], ctx.needs_input_grad, grad_outputs)
        return backward(saved, *grad_outputs)


def _through_products(grad: Tensor, ascending: Tensor, before: Tensor) -> Tensor:
    """The gradient of (1 − u_j) Π_{i<j} u_i toward u, for u in ascending order; exact where some are zero.

    Args:
        grad: [B, N], toward the allocation of each sorted slot.
        ascending: [B, N], u, sorted.
        before: [B, N], Π_{i<j} u_i.
    """
    gain = torch.addcmul(grad, grad, ascending, value=-1)
    # The products that lack factor k ≥ 1 are those with it, divided by it; if u_k is zero so is u_0, and with it
    # every product that counts: the sum is then exactly zero, and the clamp keeps it from 0/0.
    later = (gain * before).flip(-1)
    through = torch.zeros_like(ascending)
    torch.cumsum(later[:, :-1], -1, out=through[:, 1:])
    through = through.flip(-1).div_(ascending.clamp_min(torch.finfo(ascending.dtype).tiny))
    # Factor 0 may be the only zero: its products are formed without it.
    if ascending.shape[-1] > 1:
        without_first = torch.ones_like(ascending[:, 1:])
        torch.cumprod(ascending[:, 1:-1], -1, out=without_first[:, 1:])
        through[:, 0] = torch.linalg.vecdot(gain[:, 1:], without_first)
    return through.addcmul_(before, grad, value=-1)


def _product_of_others(factors: Tensor) -> Tensor:
    """For each of R factors the product of the others: [B, R, N] to [B, R, N]."""
    own = torch.eye(factors.shape[1], dtype=torch.bool, device=factors.device).unsqueeze(-1)
    return factors.unsqueeze(1).masked_fill(own, 1).prod(2)
