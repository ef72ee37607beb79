"""Batches of sequences, and what every sampler of them offers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Batch(NamedTuple):
    """Sequences side by side, the shorter ones padded with zeros at the end.

    B rows, T steps of the longest row, D columns of the input, S symbols in one target.
    """

    inputs: Tensor  # [B, T, D], float
    targets: Tensor  # [B, T, S], float bits or numbers, or int64 classes; zero where nothing is asked
    mask: Tensor  # [B, T], bool: steps that are scored
    lengths: Tensor  # [B], int64: steps of each row before its padding

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(*(tensor.to(device) for tensor in self))
