"""The fast version: one autograd function for all that SAM does to its memory in a step.

Legend: B batch, H heads, G = B H of all rows, W word size, C slots that a head reads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa.memory.addressing import NORM_EPSILON
from lukasa.memory.derivatives import refuse_second_derivatives
from lukasa.memory.heads import widths
from lukasa.memory.kernels.sparse_access import native
from lukasa.memory.kernels.sparse_access.interface import Access
from lukasa.memory.sparse import SparseMemory
from lukasa.memory.sparse.operations import Tape
from lukasa.memory.sparse.row_store import RowStore


def access(memory: SparseMemory, interface: Tensor, read_slots: Tensor, read_weights: Tensor) -> Access[SparseMemory]:
    """Write, search and read; one step of the memory in Rae et al. 2016, section 3.

    Args:
        memory: M_{t-1}.
        interface: [B, 2 H W + 3 H], what the controller emits: keys, words, strengths, gates α and γ, not yet squashed.
        read_slots: int64 [B, H, C] of step t - 1, -1 for none.
        read_weights: [B, H, C], w^R_{t-1}.

    Returns:
        The memory after it and what the heads did.
    """
    store, tape, token = memory.opened()
    if torch.is_grad_enabled() and any(one.requires_grad for one in (token, interface, read_weights)):
        token, *results = _Access.apply(token, interface, read_weights, read_slots, store, tape)  # type: ignore[misc]
        return Access(memory.after(token), *results)
    results, _ = forward(store, interface, read_slots, read_weights)
    return Access(memory.after(), *results)


class Saved(NamedTuple):
    """What backward needs of a step beside its arguments and results."""

    gates: Tensor  # [B, 2 H], α and γ
    unit_keys: Tensor  # [G, W]
    key_scale: Tensor  # [G, 1], one over the length of a key
    row_scale: Tensor  # [G, C], one over the length of a row
    rows: Tensor  # [G, C, W], what was read
    cosines: Tensor  # [G, C]


def forward(
    store: RowStore, interface: Tensor, read_slots: Tensor, read_weights: Tensor
) -> tuple[tuple[Tensor, ...], Saved]:
    """One step on the store itself: what follows ``memory`` in ``Access``, and what backward needs."""
    served = native.served(store, interface)
    if served is not None:
        done = native.forward(*served, interface, read_slots, read_weights)
        if done is not None:
            return done[0], Saved(*done[1])
    return forward_in_pytorch(store, interface, read_slots, read_weights)


def forward_in_pytorch(
    store: RowStore, interface: Tensor, read_slots: Tensor, read_weights: Tensor
) -> tuple[tuple[Tensor, ...], Saved]:
    """As ``forward``, on any store and device."""
    batch, heads, reads = read_slots.shape
    word_size = store.layout.word_size
    keys, words, strengths, gates = torch.split_with_sizes(interface, widths(heads, word_size), 1)
    gates = torch.sigmoid(gates)
    write_gates, interpolation_gates = gates.view(batch, 2, heads, 1).unbind(1)  # [B, H, 1]
    to_read = write_gates * interpolation_gates
    write_weights = torch.cat([to_read * read_weights, write_gates - to_read], 2)
    write_slots = torch.cat([read_slots, store.least_recent(heads).unsqueeze(2)], 2)
    added = write_weights.unsqueeze(3) * words.reshape(batch, heads, 1, word_size)  # [B, H, C + 1, W]
    store.write(write_slots.view(batch, -1), ~erased(write_slots), added.view(batch, -1, word_size))

    slots = store.search(keys.reshape(batch, heads, word_size), reads)
    rows = store.gather(slots.view(batch, -1)).view(-1, reads, word_size)
    keys = keys.reshape(-1, word_size)
    row_scale = rows.square().sum(-1).add_(NORM_EPSILON).rsqrt_()
    key_scale = keys.square().sum(-1, keepdim=True).add_(NORM_EPSILON).rsqrt_()
    unit_keys = keys * key_scale
    cosines = torch.bmm(rows, unit_keys.unsqueeze(2)).squeeze(2).mul_(row_scale)
    similarity = (cosines * F.softplus(strengths).reshape(-1, 1)).view(slots.shape)
    missing = slots < 0
    # Finite, so that a head that finds nothing at all reads zeros and not 0/0.
    weights = similarity.masked_fill_(missing, torch.finfo(similarity.dtype).min).softmax(-1).masked_fill_(missing, 0)
    read = torch.bmm(weights.view(-1, 1, reads), rows).view(batch, heads, word_size)
    accessed = torch.cat([write_weights, weights], 2).view(batch, -1)
    store.access(torch.cat([write_slots, slots], 2).view(batch, -1), accessed)
    saved = Saved(gates, unit_keys, key_scale, row_scale, rows, cosines)
    return (slots, weights, read, write_slots, write_weights), saved


def erased(write_slots: Tensor) -> Tensor:
    """Which of the slots written, [B, H, C + 1], lose what they held, bool [B, H (C + 1)]: each head's oldest."""
    mask = torch.zeros_like(write_slots, dtype=torch.bool)
    mask.select(2, -1).fill_(True)
    return mask.flatten(1)


class _Access(torch.autograd.Function):
    """Like ``Gather`` and ``Update`` an operation on the tape: it has two places there, the write and the read."""

    @staticmethod
    def forward(
        ctx: Any,
        token: Tensor,
        interface: Tensor,
        read_weights: Tensor,
        read_slots: Tensor,
        store: RowStore,
        tape: Tape,
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        ctx.native = native.served(store, interface) is not None
        results, saved = forward(store, interface, read_slots, read_weights)
        slots, weights, _, write_slots, write_weights = results
        ctx.tape, ctx.write = tape, tape.append(write_slots.flatten(1))
        ctx.read = tape.append(slots.flatten(1))
        ctx.save_for_backward(interface, read_weights, write_weights, weights, *saved)
        ctx.mark_non_differentiable(slots, write_slots, write_weights)
        return torch.empty_like(token), *results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        refuse_second_derivatives()
        later, _, to_weights, to_reads, *_ = gradients
        if later is None and to_weights is None and to_reads is None:  # no gradient at all, which is not yet a pass
            return (None,) * 6
        saved = ctx.saved_tensors  # unpacked once: under activation checkpointing a second time is a mistake
        if later is None:
            rows: Any = saved[8]
            ctx.tape.begin_pass(rows, rows.shape[2])
        token = ctx.tape.mark() if ctx.needs_input_grad[0] else None
        way = backward_natively if ctx.native else backward_in_pytorch
        return token, *way(ctx, saved, to_weights, to_reads), None, None, None


def backward_natively(
    ctx: Any, saved: tuple[Tensor, ...], to_weights: Tensor | None, to_reads: Tensor | None
) -> tuple[Tensor, Tensor]:
    """As ``backward_in_pytorch``, in one call."""
    return native.backward(ctx.tape, (ctx.write, ctx.read), saved, to_weights, to_reads)


def backward_in_pytorch(
    ctx: Any, tensors: tuple[Tensor, ...], to_weights: Tensor | None, to_reads: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Gradients of the interface and of the earlier read weights; the memory's go to the tape."""
    interface, read_weights, write_weights, weights, *kept = tensors
    saved = Saved(*kept)
    batch, heads, reads = weights.shape
    word_size = saved.rows.shape[2]
    _, words, strengths, _ = torch.split_with_sizes(interface, widths(heads, word_size), 1)
    weights = weights.view(-1, reads)

    to_reads = saved.rows.new_zeros(batch, heads, word_size) if to_reads is None else to_reads
    to_reads = to_reads.reshape(-1, 1, word_size)
    through_reads = torch.bmm(to_reads, saved.rows.mT).squeeze(1)
    to_weights = through_reads if to_weights is None else through_reads.add_(to_weights.reshape(-1, reads))
    to_keys, to_strengths, to_rows = content_backward(saved, weights, F.softplus(strengths), to_weights)
    ctx.tape.add(ctx.read, to_rows.addcmul_(weights.unsqueeze(2), to_reads).view(batch, -1, word_size))

    to_added = ctx.tape.take(ctx.write).view(-1, reads + 1, word_size)
    ctx.tape.clear(ctx.write, erased(write_weights))
    to_words = torch.bmm(write_weights.view(-1, 1, reads + 1), to_added)
    to_written = torch.bmm(to_added, words.reshape(-1, word_size, 1)).view(batch, heads, reads + 1)
    to_read_weights, to_gates = write_weighting_backward(saved.gates, read_weights, to_written)
    to_strengths = to_strengths.view(batch, -1) * torch.sigmoid(strengths)
    to_interface = (to_keys.view(batch, -1), to_words.view(batch, -1), to_strengths, to_gates)
    return torch.cat(to_interface, 1), to_read_weights


def content_backward(
    saved: Saved, weights: Tensor, strengths: Tensor, to_weights: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """From gradients of the read weights [G, C] those of keys [G, W], strengths [G] and rows [G, C, W]."""
    # Where no slot was found the weight is zero, and so is all that follows from it.
    to_similarity = weights * (to_weights - torch.linalg.vecdot(weights, to_weights).unsqueeze(1))
    to_strengths = torch.linalg.vecdot(to_similarity, saved.cosines)
    strengths = strengths.reshape(-1, 1)
    to_cosines = to_similarity * strengths
    to_dots = to_cosines * saved.row_scale
    along_rows = to_dots * saved.row_scale * saved.cosines
    to_rows = (to_dots.unsqueeze(2) * saved.unit_keys.unsqueeze(1)).addcmul_(
        along_rows.unsqueeze(2), saved.rows, value=-1
    )
    to_unit_keys = torch.bmm(to_dots.unsqueeze(1), saved.rows).squeeze(1)
    along_keys = strengths * to_strengths.unsqueeze(1)
    to_keys = to_unit_keys.addcmul_(along_keys, saved.unit_keys, value=-1).mul_(saved.key_scale)
    return to_keys, to_strengths, to_rows


def write_weighting_backward(gates: Tensor, read_weights: Tensor, to_written: Tensor) -> tuple[Tensor, Tensor]:
    """From gradients of the write weights [B, H, C + 1] those of the earlier read weights and of the raw gates."""
    reads = read_weights.shape[2]
    write_gates, interpolation_gates = gates.chunk(2, 1)
    to_previous, to_oldest = to_written[..., :reads], to_written[..., reads]
    to_read = torch.linalg.vecdot(to_previous, read_weights).sub_(to_oldest)
    to_gates = torch.cat([torch.addcmul(to_oldest, interpolation_gates, to_read), write_gates * to_read], 1)
    to_read_weights = to_previous * (write_gates * interpolation_gates).unsqueeze(2)
    return to_read_weights, to_gates.mul_(gates).mul_(1 - gates)
