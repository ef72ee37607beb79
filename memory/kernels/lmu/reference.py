"""The recurrence of a Legendre Memory Unit in plain operations, one step after another.

Legend: B batch, T time, H hidden units (0 where nothing nonlinear is carried), M memories, d order of the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Given(NamedTuple):
    """What a sequence is made from: tensors, or whether their gradients are asked for."""

    encoded: Any  # [B, T, M], e_x · x of every step
    driven: Any  # [B, T, H], W_x x of every step
    hidden_encoder: Any  # [M, H], e_h
    memory_encoder: Any  # [M, M d], e_m; [0, M d] where H is 0
    hidden_kernel: Any  # [H, H], W_h
    memory_kernel: Any  # [H, M d], W_m
    hidden: Any  # [B, H], before the first step
    memory: Any  # [B, M d], before the first step


def advance(given: Given, transition: Tensor, entry: Tensor, encoded: Tensor, driven: Tensor) -> tuple[Tensor, Tensor]:
    """One step: u = e_x · x + e_h · h + e_m · m, m = Ā m + B̄ u, h = tanh(W_x x + W_h h + W_m m).

    Args:
        given: the weights, and in ``hidden`` and ``memory`` the state before the step.
        transition: [d, d], Ā.
        entry: [d], B̄.
        encoded: [B, M], e_x · x.
        driven: [B, H], W_x x.

    Returns:
        Hidden vectors [B, H] and memories [B, M d].
    """
    told = encoded
    if driven.shape[1]:
        told = told + given.hidden @ given.hidden_encoder.t() + given.memory @ given.memory_encoder.t()
    memories = given.memory.unflatten(1, (-1, len(entry)))
    memory = (memories @ transition.t() + told.unsqueeze(2) * entry).flatten(1)
    hidden = driven
    if driven.shape[1]:
        hidden = torch.tanh(driven + given.hidden @ given.hidden_kernel.t() + memory @ given.memory_kernel.t())
    return hidden, memory


def by_steps(
    starts: Tensor | None, transition: Tensor, entry: Tensor, tensors: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Hidden vectors [B, T, H] and memories [B, T, M d] after every step; zeros are what a reset row begins with."""
    given, hiddens, memories = Given(*tensors), [], []
    for time in range(given.encoded.shape[1]):
        if starts is not None:
            begins = starts[:, time, None]
            given = given._replace(
                hidden=given.hidden.masked_fill(begins, 0), memory=given.memory.masked_fill(begins, 0)
            )
        hidden, memory = advance(given, transition, entry, given.encoded[:, time], given.driven[:, time])
        given = given._replace(hidden=hidden, memory=memory)
        hiddens.append(hidden)
        memories.append(memory)
    return torch.stack(hiddens, 1), torch.stack(memories, 1)
