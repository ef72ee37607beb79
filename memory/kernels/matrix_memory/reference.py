"""Memories that are a matrix, step by step in plain operations: what the compiled loops have to equal.

Legend: B batch, T time, H heads, K key size, V value size, C channels, W taps.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

SMALL = 1e-6
"""Added to the square of a length: bounds the gradient into vectors near zero."""
SMALL_MEAN = 1e-5
"""Added to a mean square, likewise."""


def _reset(starts: Tensor | None, time: int, *state: Tensor) -> tuple[Tensor, ...]:
    """The state [B, ...] with zeros in the rows that begin anew at a step."""
    if starts is None:
        return state
    begins = starts[:, time]
    return tuple(part.masked_fill(begins.view(-1, *(1,) * (part.dim() - 1)), 0) for part in state)


def _steps(*tensors: Tensor) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """Each step [B, ...] of tensors [B, T, ...], with its number."""
    return enumerate(zip(*(tensor.unbind(1) for tensor in tensors), strict=True))


def _read(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrices [B, H, K, V] and vectors [B, H, K] to [B, H, V]."""
    return (vector.unsqueeze(-2) @ matrix).squeeze(-2)


def rank_one(
    starts: Tensor | None,
    keys: Tensor,
    queries: Tensor,
    values: Tensor,
    decay: Tensor,
    strength: Tensor,
    state: Tensor,
    delta: bool,
) -> tuple[Tensor, Tensor]:
    """A matrix that decays and is written by outer products: S_t = a S_{t-1} + k uᵀ, read as S_tᵀ q.

    With the delta rule u = b (v − a S_{t-1}ᵀ k), else u = b v.

    Args:
        starts: bool [B, T], where the matrix begins as zeros; None where it never does.
        keys: [B, T, H, K].
        queries: [B, T, H, K].
        values: [B, T, H, V].
        decay: [B, T, H], a.
        strength: [B, T, H], b.
        state: [B, H, K, V].
        delta: whether what the memory holds under the key is taken away first.

    Returns:
        Reads [B, T, H, V] and the last matrices.
    """
    reads = []
    for time, (key, query, value, a, b) in _steps(keys, queries, values, decay, strength):
        (state,) = _reset(starts, time, state)
        kept = a[..., None, None] * state
        new = value - _read(kept, key) if delta else value
        state = kept + key.unsqueeze(-1) * (b.unsqueeze(-1) * new).unsqueeze(-2)
        reads.append(_read(state, query))
    return torch.stack(reads, 1), state


def stabilise(
    starts: Tensor | None, log_forget: Tensor, log_input: Tensor, largest: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gates of an mLSTM, divided by the largest they came to so far.

    m_t = max(log f + m_{t-1}, log i), f' = exp(log f + m_{t-1} − m_t), i' = exp(log i − m_t).

    Args:
        starts: bool [B, T], where m begins as zero; None where it never does.
        log_forget: [B, T, H].
        log_input: [B, T, H].
        largest: [B, H], m before the first step.

    Returns:
        f', i' and m, each [B, T, H].
    """
    found = []
    for time, (forget, enter) in _steps(log_forget, log_input):
        (largest,) = _reset(starts, time, largest)
        kept = forget + largest
        largest = torch.where(enter > kept, enter, kept)
        found.append((torch.exp(kept - largest), torch.exp(enter - largest), largest))
    forgets, enters, all_largest = (torch.stack(parts, 1) for parts in zip(*found, strict=True))
    return forgets, enters, all_largest


def trace(starts: Tensor | None, vectors: Tensor, decay: Tensor, strength: Tensor, state: Tensor) -> tuple[Tensor]:
    """A sum that decays: n_t = a n_{t-1} + b k.

    Args:
        starts: bool [B, T], where it begins as zeros; None where it never does.
        vectors: [B, T, H, K].
        decay: [B, T, H], a.
        strength: [B, T, H], b.
        state: [B, H, K].

    Returns:
        n after every step, [B, T, H, K].
    """
    sums = []
    for time, (vector, a, b) in _steps(vectors, decay, strength):
        (state,) = _reset(starts, time, state)
        state = a.unsqueeze(-1) * state + b.unsqueeze(-1) * vector
        sums.append(state)
    return (torch.stack(sums, 1),)


def hadamard(
    starts: Tensor | None,
    keys: Tensor,
    queries: Tensor,
    values: Tensor,
    theta: Tensor,
    calibration: Tensor,
    state: Tensor,
) -> tuple[Tensor, Tensor]:
    """A matrix that is calibrated entry by entry: M_t = M_{t-1} ∘ (1 + tanh(v_c θᵀ)) + k vᵀ, read as M_tᵀ q.

    Args:
        starts: bool [B, T], where the matrix begins as zeros; None where it never does.
        keys: [B, T, H, K].
        queries: [B, T, H, K].
        values: [B, T, H, V].
        theta: [B, T, H, V].
        calibration: [B, T, H, K], v_c.
        state: [B, H, K, V].

    Returns:
        Reads [B, T, H, V] and the last matrices.
    """
    reads = []
    for time, (key, query, value, row, column) in _steps(keys, queries, values, theta, calibration):
        (state,) = _reset(starts, time, state)
        bend = torch.tanh(column.unsqueeze(-1) * row.unsqueeze(-2))
        state = state * (1 + bend) + key.unsqueeze(-1) * value.unsqueeze(-2)
        reads.append(_read(state, query))
    return torch.stack(reads, 1), state


def convolution(
    starts: Tensor | None, inputs: Tensor, window: Tensor, weight: Tensor, widths: tuple[int, ...]
) -> tuple[Tensor, ...]:
    """A causal convolution of every channel with itself, and SiLU.

    Args:
        starts: bool [B, T], before which a step does not look; None where nothing is reset.
        inputs: [B, T, C].
        window: [B, W - 1, C], the inputs before; the newest is last.
        weight: [W, C]; the newest tap is last.
        widths: channels of each part that the results are cut into.

    Returns:
        [B, T, c] for each of the widths.
    """
    taps, steps = len(weight), inputs.shape[1]
    seen, sums = torch.cat([window, inputs], 1), inputs * weight[-1]
    begun = None
    for back in range(1, taps):
        earlier = seen[:, taps - 1 - back : taps - 1 - back + steps]
        if starts is not None:
            this = F.pad(starts, (back - 1, 0))[:, :steps]  # whether the step that was back - 1 ago began anew
            begun = this if begun is None else begun | this
            earlier = earlier.masked_fill(begun.unsqueeze(-1), 0)
        sums = sums + earlier * weight[taps - 1 - back]
    return F.silu(sums).split(widths, -1)


def of_length(_: Tensor | None, vectors: Tensor, mean: bool) -> tuple[Tensor]:
    """Vectors divided by their length, or by the root of their mean square.

    Args:
        _: not used: where an episode begins does not matter.
        vectors: [..., K].
        mean: whether the mean square becomes 1, and not the length.

    Returns:
        [..., K].
    """
    squares = vectors.square()
    total = squares.mean(-1, keepdim=True) if mean else squares.sum(-1, keepdim=True)
    return (vectors * torch.rsqrt(total + (SMALL_MEAN if mean else SMALL)),)


def gated(_: Tensor | None, vectors: Tensor, gates: Tensor) -> tuple[Tensor]:
    """Vectors divided by the root of their mean square, times SiLU of their gates.

    Args:
        _: not used.
        vectors: [..., K].
        gates: [..., K].

    Returns:
        [..., K].
    """
    return (of_length(None, vectors, mean=True)[0] * F.silu(gates),)
