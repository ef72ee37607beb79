"""What the controllers of SAM and DAM tell their heads (Rae et al. 2016, section 3).

Legend: B batch, H heads, W word size.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Heads(NamedTuple):
    """What the controller tells the heads."""

    keys: Tensor  # [B, H, W], q
    words: Tensor  # [B, H, W], a
    strengths: Tensor  # [B, H], β, positive
    write_gates: Tensor  # [B, H], α in [0, 1]
    interpolation_gates: Tensor  # [B, H], γ in [0, 1]; 1 writes to what was read


def widths(heads: int, word_size: int) -> list[int]:
    """How much of the interface vector is keys, words, strengths and both kinds of gates."""
    return [heads * word_size, heads * word_size, heads, 2 * heads]


def parse(interface: Tensor, heads: int, word_size: int) -> Heads:
    """Split and squash what the controller emits, [B, sum of widths]."""
    keys, words, strengths, gates = torch.split_with_sizes(interface, widths(heads, word_size), 1)
    write_gates, interpolation_gates = torch.sigmoid(gates).chunk(2, 1)
    return Heads(
        keys=keys.unflatten(1, (heads, -1)),
        words=words.unflatten(1, (heads, -1)),
        strengths=F.softplus(strengths),
        write_gates=write_gates,
        interpolation_gates=interpolation_gates,
    )


def gates(heads: Any) -> dict[str, Tensor]:
    """What ``memory.record`` shows of the interface: α, γ and β, each [B, H]."""
    return {name: getattr(heads, name) for name in ("write_gates", "interpolation_gates", "strengths")}
