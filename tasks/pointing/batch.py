"""What one batch of sets of points is.

Dimensions: B sets, N points, L pointers of an answer.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class PointSets(NamedTuple):
    """Sets of points of the plane, and what is to be answered about each; points are counted from 0."""

    points: Tensor  # [B, N, 2], 0 after those of a set
    sizes: Tensor  # int64 [B], how many of the N are there
    answers: Tensor  # int64 [B, L], -1 after the answer
    lengths: Tensor  # int64 [B], pointers of each answer

    def rows(self, start: int, stop: int) -> PointSets:
        """Some of the sets."""
        return PointSets(*(tensor[start:stop] for tensor in self))

    def to(self, device: str | torch.device) -> PointSets:
        """On another device."""
        return PointSets(*(tensor.to(device) for tensor in self))
