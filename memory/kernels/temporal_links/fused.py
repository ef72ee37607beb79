"""The fast version: one autograd function with the gradient of README.md, few passes over the [N, N] matrices.

Legend: B batch, R read heads, N slots.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lukasa.memory.derivatives import differentiable_gradients, is_differentiated_again, needs_reference
from lukasa.memory.kernels.temporal_links import reference

ROW_BY_ROW_BYTES = 1 << 20
"""A link matrix of at least this size is worked on alone, so that it stays in the processor's cache between passes."""


def follow_links(
    prev_links: Tensor, prev_precedence: Tensor, write_weights: Tensor, prev_read_weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Update the temporal links and follow them both ways; L_t, f_t and b_t in Graves et al. 2016, Methods.

    Args:
        prev_links: [B, N, N], L_{t-1}; zero diagonal.
        prev_precedence: [B, N], p_{t-1}.
        write_weights: [B, N], w^w_t.
        prev_read_weights: [B, R, N], w^r_{t-1}.

    Returns:
        The links [B, N, N], the forward weighting f = L w and the backward weighting b = Lᵀ w, both [B, R, N].
    """
    if needs_reference():
        return reference.follow_links(prev_links, prev_precedence, write_weights, prev_read_weights)
    return _FollowLinks.apply(prev_links, prev_precedence, write_weights, prev_read_weights)  # type: ignore[return-value]


def forward(
    prev_links: Tensor, precedence: Tensor, write: Tensor, read: Tensor
) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, ...]]:
    """Links, forward and backward weightings, and the tensors that ``backward`` needs."""
    links, ahead, back = torch.empty_like(prev_links), torch.empty_like(read), torch.empty_like(read)
    for rows in _blocks(prev_links):
        block = links[rows]
        _decay(write[rows], out=block).mul_(prev_links[rows])
        block.baddbmm_(write[rows].unsqueeze(2), precedence[rows].unsqueeze(1)).diagonal(0, 1, 2).zero_()
        torch.bmm(read[rows], block.transpose(1, 2), out=ahead[rows])
        torch.bmm(read[rows], block, out=back[rows])
    return (links, ahead, back), (prev_links, precedence, write, read, links)


def backward(
    saved: tuple[Tensor, ...], grad_links: Tensor, grad_ahead: Tensor, grad_back: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients toward the four arguments of ``follow_links``."""
    prev_links, precedence, write, read, links = saved
    outer_left = torch.cat([grad_ahead, read], 1).transpose(1, 2)
    outer_right = torch.cat([read, grad_back], 1)
    to_links, to_read = torch.empty_like(prev_links), torch.empty_like(read)
    to_precedence, to_write = torch.empty_like(precedence), torch.empty_like(write)
    for rows in _blocks(prev_links):
        total = torch.baddbmm(grad_links[rows], outer_left[rows], outer_right[rows])
        total.diagonal(0, 1, 2).zero_()
        scratch = to_links[rows]
        torch.mul(total, prev_links[rows], out=scratch)
        toward = torch.bmm(precedence[rows].unsqueeze(1), total.transpose(1, 2)).squeeze(1)
        torch.sub(toward.sub_(scratch.sum(2)), scratch.sum(1), out=to_write[rows])
        torch.bmm(write[rows].unsqueeze(1), total, out=to_precedence[rows].unsqueeze(1))
        _decay(write[rows], out=scratch).mul_(total)
        along = torch.bmm(grad_ahead[rows], links[rows])
        torch.baddbmm(along, grad_back[rows], links[rows].transpose(1, 2), out=to_read[rows])
    return to_links, to_precedence, to_write, to_read


class _FollowLinks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, prev_links: Tensor, precedence: Tensor, write: Tensor, read: Tensor) -> tuple[Tensor, ...]:
        outputs, saved = forward(prev_links, precedence, write, read)
        ctx.save_for_backward(*saved)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        saved = ctx.saved_tensors
        if is_differentiated_again():
            return differentiable_gradients(reference.follow_links, saved[:4], ctx.needs_input_grad, grad_outputs)
        return backward(saved, *grad_outputs)


def _blocks(links: Tensor) -> list[slice]:
    """The whole batch at once, or one row at a time where a matrix alone fills the cache."""
    batch_size, slots, _ = links.shape
    if links.is_cuda or slots * slots * links.element_size() < ROW_BY_ROW_BYTES:
        return [slice(None)]
    return [slice(row, row + 1) for row in range(batch_size)]


def _decay(write: Tensor, out: Tensor) -> Tensor:
    """1 − w[i] − w[j]."""
    return torch.sub((1 - write).unsqueeze(2), write.unsqueeze(1), out=out)
