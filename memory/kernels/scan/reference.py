"""The recurrence in plain operations, one step after another.

Legend: B batch, T time, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor


def advance(a: Tensor, b: Tensor, state: Tensor) -> Tensor:
    """One step: a ∘ h + b, all of shape [..., C]."""
    return a * state + b


def complex_advance(a: Tensor, b: Tensor, state: Tensor) -> Tensor:
    """One step of complex numbers [..., 2 C], whose real parts come first and whose imaginary parts follow."""
    (a_real, a_imaginary), (real, imaginary) = a.chunk(2, -1), state.chunk(2, -1)
    turned = [a_real * real - a_imaginary * imaginary, a_real * imaginary + a_imaginary * real]
    return torch.cat(turned, -1) + b


def by_steps(
    paired: bool, starts: Tensor | None, a: Tensor, b: Tensor, first: Tensor, fresh: Tensor
) -> tuple[Tensor, Tensor]:
    """All states [B, T, C] and the last one [B, C].

    Args:
        paired: whether channels are pairs that hold complex numbers.
        starts: bool [B, T], where the state is replaced before the step; None where it never is.
        a: [B, T, C], or [C] where it is the same in every row and at every step.
        b: [B, T, C].
        first: [B, C], the state before the first step.
        fresh: [B, C], the state with which a row begins where it is reset.
    """
    step = complex_advance if paired else advance
    state, states = first, []
    factors = [a] * b.shape[1] if a.dim() == 1 else a.unbind(1)
    for time, (factor, added) in enumerate(zip(factors, b.unbind(1), strict=True)):
        if starts is not None:
            state = torch.where(starts[:, time, None], fresh, state)
        state = step(factor, added, state)
        states.append(state)
    return torch.stack(states, 1), state
