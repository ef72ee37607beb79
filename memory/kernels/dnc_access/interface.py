"""What goes into an access and what comes out of it.

Legend: B batch, R read heads, N slots, W word size.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Interface(NamedTuple):
    """The interface vector ξ_t (Graves et al. 2016, Methods), split and squashed."""

    read_keys: Tensor  # [B, R, W]
    read_strengths: Tensor  # [B, R], at least 1
    write_key: Tensor  # [B, 1, W]
    write_strength: Tensor  # [B, 1], at least 1
    erase: Tensor  # [B, 1, W], in [0, 1]
    add: Tensor  # [B, 1, W], the write vector v
    free_gates: Tensor  # [B, R], in [0, 1]
    allocation_gate: Tensor  # [B, 1], in [0, 1]
    write_gate: Tensor  # [B, 1], in [0, 1]
    read_modes: Tensor  # [B, R, 3], sums to 1: backward, content, forward


class Access(NamedTuple):
    """The memory and its book-keeping after a step."""

    memory: Tensor  # [B, N, W]
    usage: Tensor  # [B, N]
    links: Tensor  # [B, N, N]
    precedence: Tensor  # [B, N]
    read_weights: Tensor  # [B, R, N]
    write_weights: Tensor  # [B, N]
    reads: Tensor  # [B, R, W]
    allocation: Tensor  # [B, N]; to look at, no gradient flows out of it
