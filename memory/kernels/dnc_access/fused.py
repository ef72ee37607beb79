"""The fast version: one autograd function that runs the kernels of content, allocation and links by hand.

Legend: B batch, R read heads, N slots, W word size.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.addressing import NORM_EPSILON
from lukasa.memory.derivatives import differentiable_gradients, is_differentiated_again, needs_reference
from lukasa.memory.kernels.allocation import fused as allocation_kernel
from lukasa.memory.kernels.content import fused as content_kernel
from lukasa.memory.kernels.dnc_access import reference
from lukasa.memory.kernels.dnc_access.interface import Access, Interface
from lukasa.memory.kernels.temporal_links import fused as links_kernel


def access(
    memory: Tensor,
    usage: Tensor,
    links: Tensor,
    precedence: Tensor,
    read_weights: Tensor,
    write_weights: Tensor,
    interface: Interface,
) -> Access:
    """Allocate, write, link and read; one step of the memory in Graves et al. 2016, Methods.

    Args:
        memory: [B, N, W], M_{t-1}.
        usage: [B, N], u_{t-1}.
        links: [B, N, N], L_{t-1}.
        precedence: [B, N], p_{t-1}.
        read_weights: [B, R, N], w^r_{t-1}.
        write_weights: [B, N], w^w_{t-1}.
        interface: ξ_t.

    Returns:
        The same of step t, the read vectors, and the allocation weighting.
    """
    if needs_reference():
        return reference.access(memory, usage, links, precedence, read_weights, write_weights, interface)
    return Access(*_Access.apply(memory, usage, links, precedence, read_weights, write_weights, *interface))  # type: ignore[misc]


class _Access(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> tuple[Tensor, ...]:
        memory, usage, links, precedence, read_weights, write_weights = arguments[:6]
        on = Interface(*arguments[6:])
        (usage, allocation), allocation_saved = allocation_kernel.forward(
            usage, write_weights, read_weights, on.free_gates
        )
        content, write_saved = content_kernel.forward(memory, on.write_key, on.write_strength, NORM_EPSILON)
        content = content.squeeze(1)
        blend = torch.lerp(content, allocation, on.allocation_gate)
        write_weights = on.write_gate * blend
        change = torch.addcmul(on.add, memory, on.erase, value=-1)  # a − M∘e
        written = torch.addcmul(memory, write_weights.unsqueeze(2), change)

        (links, ahead, back), links_saved = links_kernel.forward(links, precedence, write_weights, read_weights)
        rest = 1 - write_weights.sum(-1, keepdim=True)
        next_precedence = torch.addcmul(write_weights, rest, precedence)
        found, read_saved = content_kernel.forward(written, on.read_keys, on.read_strengths, NORM_EPSILON)
        modes = on.read_modes.unsqueeze(-1).unbind(2)
        read_weights = (modes[0] * back).addcmul_(modes[1], found).addcmul_(modes[2], ahead)
        reads = torch.bmm(read_weights, written)

        own = (content, blend, change, rest, ahead, back, read_weights, allocation)
        own += (precedence, on.erase, on.allocation_gate, on.write_gate, on.read_modes, on.add)
        parts = (own, allocation_saved, write_saved, links_saved, read_saved)
        ctx.sizes = [len(part) for part in parts]
        ctx.save_for_backward(*itertools.chain(*parts))
        ctx.mark_non_differentiable(allocation)
        return written, usage, links, next_precedence, read_weights, write_weights, reads, allocation

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        to_written, to_usage, to_links, to_next_precedence, to_read, to_write, to_reads, _ = grad_outputs
        tensors = iter(ctx.saved_tensors)
        own, allocation_saved, write_saved, links_saved, read_saved = (
            tuple(itertools.islice(tensors, size)) for size in ctx.sizes
        )
        content, blend, change, rest, ahead, back, read_weights, allocation = own[:8]
        precedence, erase, allocation_gate, write_gate, read_modes, add = own[8:]
        memory, written, write_weights, found = write_saved[0], read_saved[0], links_saved[2], read_saved[-1]
        if is_differentiated_again():
            usage, prev_write, prev_read, free_gates = allocation_saved[:4]
            keys = (*read_saved[1:3], *write_saved[1:3])
            interface = (*keys, erase, add, free_gates, allocation_gate, write_gate, read_modes)
            arguments = (memory, usage, links_saved[0], precedence, prev_read, prev_write, *interface)
            return differentiable_gradients(_equations, arguments, ctx.needs_input_grad, grad_outputs[:7])

        to_read = torch.baddbmm(to_read, to_reads, written.transpose(1, 2))
        to_modes = torch.stack([torch.linalg.vecdot(to_read, part) for part in (back, found, ahead)], -1)
        to_back, to_found, to_ahead = (to_read.unsqueeze(2) * read_modes.unsqueeze(-1)).unbind(2)
        through_content, to_read_keys, to_read_strengths = content_kernel.backward(read_saved, to_found)
        to_written = torch.baddbmm(to_written, read_weights.transpose(1, 2), to_reads).add_(through_content)

        to_links, to_precedence, through_links, to_prev_read = links_kernel.backward(
            links_saved, to_links, to_ahead, to_back
        )
        to_precedence = to_precedence.addcmul_(rest, to_next_precedence)
        lost = torch.linalg.vecdot(to_next_precedence, precedence).unsqueeze(1)
        to_write = (to_write + through_links).add_(to_next_precedence).sub_(lost)
        to_write = to_write.add_(torch.linalg.vecdot(to_written, change))

        to_change = to_written * write_weights.unsqueeze(2)
        to_erase = torch.linalg.vecdot(to_change, memory, dim=1).neg_().unsqueeze(1)
        to_add = to_change.sum(1, keepdim=True)
        to_memory = to_written.addcmul_(to_change, erase, value=-1)

        to_write_gate = torch.linalg.vecdot(to_write, blend).unsqueeze(1)
        to_blend = to_write.mul_(write_gate)
        to_allocation_gate = torch.linalg.vecdot(to_blend, allocation - content).unsqueeze(1)
        to_allocation = to_blend * allocation_gate
        through_content, to_write_key, to_write_strength = content_kernel.backward(
            write_saved, to_blend.sub_(to_allocation).unsqueeze(1)
        )
        to_usage, to_prev_write, through_usage, to_free_gates = allocation_kernel.backward(
            allocation_saved, to_usage, to_allocation
        )
        to_state = (to_memory.add_(through_content), to_usage, to_links, to_precedence)
        to_interface = Interface(
            to_read_keys,
            to_read_strengths,
            to_write_key,
            to_write_strength,
            to_erase,
            to_add,
            to_free_gates,
            to_allocation_gate,
            to_write_gate,
            to_modes,
        )
        return *to_state, to_prev_read.add_(through_usage), to_prev_write, *to_interface


def _equations(*arguments: Any) -> Access:
    memory, usage, links, precedence, read_weights, write_weights, *interface = arguments
    return reference.access(memory, usage, links, precedence, read_weights, write_weights, Interface(*interface))
