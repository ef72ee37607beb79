"""A layer of memory slots found by product keys (Lample et al. 2019), of which a few are read.

Dimensions: B examples, D numbers of a feature, N slots, H half-keys (N = H^2), C slots chosen.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SlotLayer(nn.Module):
    """Adds to each feature what the best few of N slots hold.

    The query's two halves are compared with H half-keys each; the scores of slot (i, j) are their sum, so that the best
    of N = H^2 slots are found among C^2 (Lample et al. 2019, section 3.1).

    Args:
        size: of a feature (D).
        slots: N, a square number.
        chosen: C.

    Attributes:
        values: [N, D].
        read: int64 [B, C], the slots that the last call read.

    Raises:
        ValueError: the slots are no square number, or fewer than are chosen.
    """

    read: Tensor

    def __init__(self, size: int, slots: int, chosen: int = 8):
        super().__init__()
        half = math.isqrt(slots)
        if half * half != slots:
            raise ValueError(f"a memory by product keys has {slots} slots: expected a square number, such as 1024")
        if not 1 <= chosen <= half:
            raise ValueError(f"{chosen} slots are to be read of {slots}: expected from 1 to {half}")
        self.side, self.chosen, self.width = half, chosen, 32
        self.norm = nn.LayerNorm(size)
        self.query = nn.Linear(size, 2 * self.width)
        self.keys = nn.Parameter(torch.randn(2, half, self.width) / math.sqrt(self.width))
        self.values = nn.Parameter(torch.randn(slots, size) / math.sqrt(size))
        self.read = torch.zeros(0, chosen, dtype=torch.int64)

    def forward(self, features: Tensor) -> Tensor:
        """[B, D] -> [B, D]."""
        normal = self.norm(features)
        queries = self.query(normal).unflatten(1, (2, self.width))  # [B, 2, W]
        scores = torch.einsum("bhw,hkw->bhk", queries, self.keys)
        best, places = scores.topk(self.chosen, -1)  # [B, 2, C]
        pairs = (best[:, 0, :, None] + best[:, 1, None]).flatten(1)  # [B, C C]
        slots = (places[:, 0, :, None] * self.side + places[:, 1, None]).flatten(1)
        top, order = pairs.topk(self.chosen, -1)
        self.read = slots.gather(1, order)
        weights = torch.softmax(top, -1)
        return normal + torch.einsum("bc,bcd->bd", weights, self.values[self.read])
