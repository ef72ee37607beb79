"""Attention as loops over rows, steps, heads and places, in float64, written from the papers.

Legend: T time, C size of a state, H heads, E head size.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lukasa.memory.attention.relative import RelativeAttention


def encoding(distance: int, size: int) -> Tensor:
    """R of Vaswani et al. 2017, section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) = cos(...): [C]."""
    numbers = []
    for place in range(size):
        angle = distance / 10000 ** ((place - place % 2) / size)
        numbers.append(math.cos(angle) if place % 2 else math.sin(angle))
    return torch.tensor(numbers, dtype=torch.float64)


def attention(part: RelativeAttention, query: Tensor, places: list[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
    """Dai et al. 2019, section 3.3: what one step [C] reads of places, each [C] and how far back it is.

    Returns:
        The read [C] and the weights [H, places].
    """
    size, heads, weights = part.head_size, [], []
    for head in range(part.heads):
        rows = slice(head * size, (head + 1) * size)
        w_q, w_ke, w_kr, w_v = (layer.weight[rows] for layer in (part.queries, part.keys, part.places, part.values))
        u, v = part.content_bias[head], part.place_bias[head]
        scores = []
        for held, distance in places:
            a = (w_q @ query) @ (w_ke @ held)
            b = (w_q @ query) @ (w_kr @ encoding(distance, len(query)))
            c = u @ (w_ke @ held)
            d = v @ (w_kr @ encoding(distance, len(query)))
            scores.append(((a + b + c + d) / math.sqrt(size)).exp())
        total = sum(scores, torch.zeros(()))
        weights.append(torch.stack(scores) / total)
        read = torch.zeros(size, dtype=torch.float64)
        for score, (held, _) in zip(scores, places, strict=True):
            read = read + score / total * (w_v @ held)
        heads.append(read)
    return part.out.weight @ torch.cat(heads), torch.stack(weights)


def layer_norm(part: torch.nn.LayerNorm, numbers: Tensor) -> Tensor:
    """Ba et al. 2016: [C] to [C]."""
    mean = numbers.sum() / len(numbers)
    variance = ((numbers - mean) ** 2).sum() / len(numbers)
    return part.weight * (numbers - mean) / (variance + part.eps).sqrt() + part.bias


def linear(part: torch.nn.Linear, numbers: Tensor) -> Tensor:
    """W x + b of one vector."""
    return part.weight @ numbers + part.bias
