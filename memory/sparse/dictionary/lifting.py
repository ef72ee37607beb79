"""Keys with two more numbers, so that an index of cosines finds the nearest by Euclidean distance.

With |h| at most M, the word [h, -|h|^2 / 2M, r] has the squared length 5/4 M^2, whatever h, for the right r; and its
product with [q, M, 0] is q h - |h|^2 / 2 = (|q|^2 - |q - h|^2) / 2, so that the largest cosine means the smallest
distance.

Legend: W key size.
"""

from __future__ import annotations

import torch
from torch import Tensor

MORE = 2
"""Numbers that a word has beyond its key."""


def lifted_keys(keys: Tensor, reach: float) -> Tensor:
    """Words [..., W + 2] for keys [..., W] whose length is at most ``reach``, M; the key comes first, as it is."""
    squared = keys.square().sum(-1, keepdim=True)
    half = squared / (2 * reach)
    # rounding may take the longest key a little below zero
    rest = (1.25 * reach * reach - squared - half.square()).clamp_min(0).sqrt()
    return torch.cat([keys, -half, rest], -1)


def lifted_queries(queries: Tensor, reach: float) -> Tensor:
    """What finds the words of the keys nearest to queries [..., W]: [..., W + 2]."""
    return torch.cat([queries, torch.full_like(queries[..., :1], reach), torch.zeros_like(queries[..., :1])], -1)
