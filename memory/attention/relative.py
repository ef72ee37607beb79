"""Attention to places that are known by how far back they lie (Dai et al. 2019, section 3.3).

Legend: B batch, T steps that attend, J places that can be attended to, S distances, C size of a state, H heads,
E head size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lukasa.memory.core import HALVES, whole_precision

BASE = 10_000.0
"""Longest wavelength of an encoding over 2 pi, in steps (Vaswani et al. 2017, section 3.5)."""


def sinusoids(distances: int, size: int) -> Tensor:
    """The encoding R of every distance from 0 on, sines and cosines by turns: float64 [S, C]."""
    places = torch.arange(distances, dtype=torch.float64).unsqueeze(1)
    pairs = torch.arange(size, dtype=torch.float64) // 2
    angles = places * BASE ** (-2 * pairs / size)
    return torch.where(torch.arange(size) % 2 == 0, angles.sin(), angles.cos())


class RelativeAttention(nn.Module):
    """Multi-head attention with relative positional encodings.

    The score of a place is (W_q x + u) · W_kE m + (W_q x + v) · W_kR R, over the root of E: by what is there, and by
    how far back it is.

    Args:
        size: C.
        heads: H.
        head_size: E.
        distances: S; what is attended to is 0 to S - 1 back.
    """

    encodings: Tensor

    def __init__(self, size: int, heads: int, head_size: int, distances: int):
        super().__init__()
        self.heads, self.head_size, self.distances = heads, head_size, distances
        self.queries, self.keys, self.values, self.places = (
            nn.Linear(size, heads * head_size, bias=False) for _ in range(4)
        )
        self.content_bias = nn.Parameter(0.02 * torch.randn(heads, head_size))  # u
        self.place_bias = nn.Parameter(0.02 * torch.randn(heads, head_size))  # v
        self.out = nn.Linear(heads * head_size, size, bias=False)
        self.register_buffer("encodings", sinusoids(distances, size).to(self.out.weight.dtype), persistent=False)

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        # Rounded once, whatever dtypes the weights have gone through.
        self.encodings = sinusoids(self.distances, self.out.out_features).to(self.out.weight)
        return self

    def forward(self, new: Tensor, held: Tensor, visible: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
        """What new steps read of what is held.

        Args:
            new: [B, T, C].
            held: [B, J, C].
            visible: bool [B, T, J], at least one place of each step.
            distance: int64 [B or 1, T, J], in [0, S).

        Returns:
            The reads [B, T, C] and the weights [B, H, T, J].
        """
        with whole_precision(new.device):
            queries = self.queries(new).unflatten(2, (self.heads, self.head_size)).transpose(1, 2)
            by_content, by_place = queries + self.content_bias[:, None], queries + self.place_bias[:, None]
            few = new.shape[1] * self.heads < held.shape[2]
            scores = self._scores(by_content, self.keys, held.unsqueeze(1), few)
            of_places = self._scores(by_place, self.places, self.encodings, few)
            index = distance.unsqueeze(1).expand(-1, self.heads, -1, -1).expand_as(scores)
            scores = (scores + of_places.gather(3, index)) / math.sqrt(self.head_size)
            weights = softmax(scores.masked_fill(~visible.unsqueeze(1), -math.inf))
            if few:
                read = (weights @ held.unsqueeze(1)) @ self._by_head(self.values).transpose(1, 2)
            else:
                read = weights @ self._split(self.values(held))
            return self.out(read.transpose(1, 2).flatten(2)), weights

    def content(self, new: Tensor, held: Tensor) -> Tensor:
        """What steps [B, T, C] would read of [B, J, C] by content alone, before heads are put together: [B, H, T, E].

        No gradient reaches the weights: the attention of the reconstruction loss (Rae et al. 2020, algorithm 2).
        """
        with whole_precision(new.device):
            queries, keys, values = (
                self._split(inputs @ layer.weight.detach().T)
                for inputs, layer in ((new, self.queries), (held, self.keys), (held, self.values))
            )
            return softmax(queries @ keys.transpose(2, 3) / math.sqrt(self.head_size)) @ values

    def _scores(self, queries: Tensor, layer: nn.Linear, sought: Tensor, few: bool) -> Tensor:
        """Queries [B, H, T, E] with what a layer makes of [..., J, C]: [B, H, T, J].

        q · (W h) is (q W) · h: where few steps attend to many places, nothing has to be made of those.
        """
        if few:
            return (queries @ self._by_head(layer)) @ sought.transpose(-2, -1)
        made = layer(sought).unflatten(-1, (self.heads, self.head_size))
        if made.dim() == 3:  # of places, the same in all rows
            return queries @ made.permute(1, 2, 0)
        return queries @ made.squeeze(1).permute(0, 2, 3, 1)

    def _by_head(self, layer: nn.Linear) -> Tensor:
        return layer.weight.unflatten(0, (self.heads, self.head_size))  # [H, E, C]

    def _split(self, made: Tensor) -> Tensor:
        return made.unflatten(2, (self.heads, self.head_size)).transpose(1, 2)  # [B, H, J, E]


def softmax(scores: Tensor) -> Tensor:
    """Over the last dimension, in float32 where scores are halves."""
    dtype = torch.float32 if scores.dtype in HALVES else None
    return torch.softmax(scores, -1, dtype=dtype).to(scores.dtype)
