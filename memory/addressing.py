"""Addressing: the equations of the Neural Turing Machine and the Differentiable Neural Computer, as pure functions.

Legend: B batch, H heads of one kind, R read heads, N slots, W word size, S shifts.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lukasa.memory.ranking import slot_ranks

NORM_EPSILON = 1e-6


def content_weights(memory: Tensor, keys: Tensor, strengths: Tensor, epsilon: float = NORM_EPSILON) -> Tensor:
    """Where the memory resembles the keys; C(M, k, β) in Graves et al. 2016, Methods, "Content-based addressing".

    The same function is w^c in Graves et al. 2014, section 3.3.1.

    Args:
        memory: [B, N, W], M.
        keys: [B, H, W], k.
        strengths: [B, H], β; positive.
        epsilon: added to squared norms: a zero row or key has similarity 0 instead of 0/0, and the gradient into
            a nearly empty row stays below 1/sqrt(epsilon).

    Returns:
        [B, H, N]; non-negative, sums to 1.

    Raises:
        ValueError: keys and memory differ in word size.
    """
    if keys.shape[-1] != memory.shape[-1]:
        raise ValueError(
            f"keys {list(keys.shape)} and memory {list(memory.shape)} differ in word size "
            f"({keys.shape[-1]}, {memory.shape[-1]})"
        )
    row_scale = (memory.square().sum(-1) + epsilon).rsqrt()  # [B, N]
    key_scale = (keys.square().sum(-1) + epsilon).rsqrt() * strengths  # [B, H]
    similarity = torch.bmm(keys * key_scale.unsqueeze(-1), memory.transpose(1, 2)) * row_scale.unsqueeze(1)
    return torch.softmax(similarity, -1)


def read(memory: Tensor, read_weights: Tensor) -> Tensor:
    """What the heads read; r in Graves et al. 2014, eq. 2, and 2016, Methods.

    Args:
        memory: [B, N, W].
        read_weights: [B, R, N].

    Returns:
        [B, R, W].
    """
    return torch.bmm(read_weights, memory)


def interpolate(prev_weights: Tensor, content: Tensor, gates: Tensor) -> Tensor:
    """Blend the content weighting with the one of the step before; w^g in Graves et al. 2014, eq. 7.

    Args:
        prev_weights: [B, H, N], w_{t-1}.
        content: [B, H, N], w^c.
        gates: [B, H], g in [0, 1]; 1 takes the content weighting alone.

    Returns:
        [B, H, N]; sums to 1 where both arguments do.
    """
    return torch.lerp(prev_weights, content, gates.unsqueeze(-1))


def shift(weights: Tensor, shift_weights: Tensor) -> Tensor:
    """Rotate a weighting by a distribution over shifts; w̃ in Graves et al. 2014, eq. 8 (circular convolution).

    Args:
        weights: [B, H, N], w^g.
        shift_weights: [B, H, S], s, S odd: the weights of the shifts -(S-1)/2 … (S-1)/2; a shift of +1 moves weight
            from slot i to slot i + 1.

    Returns:
        [B, H, N]; the same sum as ``weights`` where ``shift_weights`` sums to 1.

    Raises:
        ValueError: S is even or larger than N.
    """
    slots, shifts = weights.shape[-1], shift_weights.shape[-1]
    if shifts % 2 == 0 or shifts > slots:
        raise ValueError(f"{shifts} shifts for {slots} slots: expected an odd number that is at most the slots")
    reach = shifts // 2
    parts = [
        torch.roll(weights, offset, -1) * shift_weights[..., offset + reach, None]
        for offset in range(-reach, reach + 1)
    ]
    return torch.stack(parts).sum(0) if shifts > 1 else parts[0]


def sharpen(weights: Tensor, sharpness: Tensor) -> Tensor:
    """Concentrate a weighting; w in Graves et al. 2014, eq. 9: a power, then normalised.

    The weights are divided by their largest first, which cancels in the ratio and keeps the sum from underflowing.

    Args:
        weights: [B, H, N], w̃; non-negative.
        sharpness: [B, H], γ; at least 1.

    Returns:
        [B, H, N]; sums to 1; zeros where the weighting is all zero.
    """
    largest = weights.detach().amax(-1, keepdim=True)
    empty = largest == 0  # divided by 1, to keep an all-zero weighting from 0/0
    powers = (weights / largest.masked_fill(empty, 1)).pow(sharpness.unsqueeze(-1))
    return powers / powers.sum(-1, keepdim=True).masked_fill(empty, 1)


def erase_and_add(memory: Tensor, write_weights: Tensor, erase: Tensor, add: Tensor) -> Tensor:
    """Write to the memory; M_t in Graves et al. 2014, eq. 3 and 4, and 2016, Methods.

    With several heads the erasures multiply and the additions add, so the order of heads does not matter. With one
    head M∘(1 − w eᵀ) + w aᵀ is computed as M + w∘(a − M∘e), in two passes.

    Args:
        memory: [B, N, W], M_{t-1}.
        write_weights: [B, H, N], w^w.
        erase: [B, H, W], e in [0, 1].
        add: [B, H, W], a (2014) or v (2016).

    Returns:
        [B, N, W], M_t.
    """
    if write_weights.shape[1] == 1:
        return torch.addcmul(memory, write_weights.transpose(1, 2), torch.addcmul(add, memory, erase, value=-1))
    kept = memory
    # Head by head: what torch.compile makes of .prod(1) has a wrong gradient, and outside of it it waits for a GPU.
    for weights, erased in zip(write_weights.unsqueeze(3).unbind(1), erase.unsqueeze(2).unbind(1), strict=True):
        kept = torch.addcmul(kept, kept * weights, erased, value=-1)
    return torch.baddbmm(kept, write_weights.transpose(1, 2), add)


def usage(prev_usage: Tensor, prev_write_weights: Tensor, prev_read_weights: Tensor, free_gates: Tensor) -> Tensor:
    """How much each slot is in use; u_t in Graves et al. 2016, Methods, "Dynamic memory allocation".

    Args:
        prev_usage: [B, N], u_{t-1}, in [0, 1].
        prev_write_weights: [B, N], w^w_{t-1}.
        prev_read_weights: [B, R, N], w^r_{t-1}.
        free_gates: [B, R], f in [0, 1]; 1 frees what the head read at the step before.

    Returns:
        [B, N], in [0, 1]: (u + w − u∘w)∘ψ with the retention ψ = Π_i (1 − f^i w^{r,i}).
    """
    used = torch.lerp(prev_usage, torch.ones_like(prev_usage), prev_write_weights)
    for kept in (1 - free_gates.unsqueeze(-1) * prev_read_weights).unbind(1):
        used = used * kept
    return used


def allocation(usage: Tensor) -> Tensor:
    """Where to write next: the least used slots first; a_t in Graves et al. 2016, eq. 1 of Methods.

    a[φ_j] = (1 − u[φ_j]) Π_{i<j} u[φ_i] over the free list φ, the slots sorted by usage; ties by lowest slot.

    Args:
        usage: [B, N], u, in [0, 1].

    Returns:
        [B, N]; non-negative, sums to at most 1.
    """
    if torch.compiler.is_exporting():
        ranks = slot_ranks(usage)
        earlier = ranks.unsqueeze(1) < ranks.unsqueeze(2)  # [B, N, N]
        return (1 - usage) * torch.where(earlier, usage.unsqueeze(1), 1).prod(2)
    sorted_usage, free_list = torch.sort(usage, dim=-1, stable=True)
    before = torch.cumprod(torch.nn.functional.pad(sorted_usage, (1, 0), value=1.0), -1)[:, :-1]
    return torch.zeros_like(usage).scatter(-1, free_list, (1 - sorted_usage) * before)


def write_weights(content: Tensor, allocation: Tensor, allocation_gate: Tensor, write_gate: Tensor) -> Tensor:
    """Where the write head writes; w^w_t in Graves et al. 2016, Methods: g_w (g_a a + (1 − g_a) c).

    Args:
        content: [B, N], c; sums to 1.
        allocation: [B, N], a; sums to at most 1.
        allocation_gate: [B, 1], g_a in [0, 1].
        write_gate: [B, 1], g_w in [0, 1].

    Returns:
        [B, N]; non-negative, sums to at most 1.
    """
    return write_gate * torch.lerp(content, allocation, allocation_gate)


def precedence(prev_precedence: Tensor, write_weights: Tensor) -> Tensor:
    """How recently each slot was written; p_t in Graves et al. 2016, Methods, "Temporal memory linkage".

    Args:
        prev_precedence: [B, N], p_{t-1}; non-negative, sums to at most 1.
        write_weights: [B, N], w_t of the write head; non-negative, sums to at most 1.

    Returns:
        [B, N], p_t; non-negative, sums to at most 1.
    """
    return (1 - write_weights.sum(-1, keepdim=True)) * prev_precedence + write_weights


def temporal_links(prev_links: Tensor, prev_precedence: Tensor, write_weights: Tensor) -> Tensor:
    """Which slot was written after which; L_t in Graves et al. 2016, Methods, "Temporal memory linkage".

    L_t[i, j] = (1 − w[i] − w[j]) L_{t-1}[i, j] + w[i] p_{t-1}[j], with L[i, i] = 0.

    Args:
        prev_links: [B, N, N], L_{t-1}; zero diagonal, rows and columns sum to at most 1.
        prev_precedence: [B, N], p_{t-1}.
        write_weights: [B, N], w_t.

    Returns:
        [B, N, N]: [i, j] is the degree to which slot i was written right after slot j.
    """
    written_to, written_from = write_weights.unsqueeze(2), write_weights.unsqueeze(1)
    links = (1 - written_to - written_from) * prev_links + written_to * prev_precedence.unsqueeze(1)
    diagonal = torch.eye(links.shape[-1], dtype=torch.bool, device=links.device)
    return links.masked_fill(diagonal, 0)


def forward_weights(links: Tensor, prev_read_weights: Tensor) -> Tensor:
    """The slots written after those read; f_t = L_t w^r_{t-1} in Graves et al. 2016, Methods.

    Args:
        links: [B, N, N], L_t.
        prev_read_weights: [B, R, N].

    Returns:
        [B, R, N]; non-negative, sums to at most 1.
    """
    return torch.bmm(prev_read_weights, links.transpose(1, 2))


def backward_weights(links: Tensor, prev_read_weights: Tensor) -> Tensor:
    """The slots written before those read; b_t = L_tᵀ w^r_{t-1} in Graves et al. 2016, Methods.

    Args:
        links: [B, N, N], L_t.
        prev_read_weights: [B, R, N].

    Returns:
        [B, R, N]; non-negative, sums to at most 1.
    """
    return torch.bmm(prev_read_weights, links)


def read_weights(backward: Tensor, content: Tensor, forward: Tensor, read_modes: Tensor) -> Tensor:
    """Where the read heads read; w^r_t = π[1] b + π[2] c + π[3] f in Graves et al. 2016, Methods.

    Args:
        backward: [B, R, N], b.
        content: [B, R, N], c.
        forward: [B, R, N], f.
        read_modes: [B, R, 3], π; non-negative, sums to 1.

    Returns:
        [B, R, N]; non-negative, sums to at most 1.
    """
    back, by_content, ahead = read_modes.unsqueeze(-1).unbind(2)
    return back * backward + by_content * content + ahead * forward


def oneplus(x: Tensor) -> Tensor:
    """Map the reals to [1, ∞); oneplus in Graves et al. 2016, Methods: 1 + log(1 + eˣ)."""
    return 1 + torch.nn.functional.softplus(x)
