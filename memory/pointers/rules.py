"""What an answer of pointers may be, step by step: the masks of decoding.

Legend: B batch, N points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

END = 0
"""The choice that ends an answer; point j, counted from 0, is choice j + 1."""


@dataclass(frozen=True)
class Rules:
    """What an answer may be.

    Attributes:
        distinct: whether a point may be pointed at only once.
        everything: whether every point has to be in the answer, which is then a permutation.
        first: whether it begins with the first point.
        least: pointers that it has at least.
        multiple: what their number is a multiple of, as 3 where they are triangles.
    """

    distinct: bool = False
    everything: bool = False
    first: bool = False
    least: int = 0
    multiple: int = 1

    def allowed(self, sizes: Tensor, used: Tensor, count: int, limits: Tensor) -> Tensor:
        """Which choices the next step has, after ``count`` pointers; there is always one.

        Args:
            sizes: int64 [B], points of each set.
            used: bool [B, N], points that were pointed at.
            count: pointers so far, of those that have not ended.
            limits: int64 [B], pointers after which an answer has to end.

        Returns:
            bool [B, 1 + N], the end before the points.
        """
        batch, most = used.shape
        there = torch.arange(most, device=used.device) < sizes[:, None]
        points = there & (count < limits)[:, None]
        if self.distinct or self.everything:
            points = points & ~used
        if self.first and count == 0:
            points = points & (torch.arange(most, device=used.device) == 0)
        may_end = torch.full((batch,), count >= self.least and count % self.multiple == 0, device=used.device)
        if self.everything:
            may_end = used.sum(1) >= sizes
        return torch.cat([(may_end | ~points.any(1))[:, None], points], 1)
