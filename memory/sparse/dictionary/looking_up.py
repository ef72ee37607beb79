"""The neighbours of queries as autograd sees them: backward hands their gradients to the dictionary they are of.

Legend: D dictionaries, R queries, P neighbours, W key size, M entries.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class LookedUp(NamedTuple):
    """Neighbours.

    Attributes:
        slots: int64 [D, R, P], -1 where there are fewer.
        keys: [D, R, P, W].
        values: [D, R, P].
        squared: squared distances [D, R, P], ascending; infinite where there are fewer.
        version: of the dictionary then.
    """

    slots: Tensor
    keys: Tensor
    values: Tensor
    squared: Tensor
    version: int


class Gradient(NamedTuple):
    """What one backward pass left for some neighbours; shapes as in ``LookedUp``."""

    slots: Tensor
    keys: Tensor
    values: Tensor
    version: int


class Looked(torch.autograd.Function):
    """Keys and values of neighbours; their gradients go to a list, not into the graph."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, gradients: list[Gradient], found: LookedUp) -> tuple[Tensor, Tensor]:
        """The keys and values; the anchor has backward called where nothing else asks for it."""
        ctx.gradients, ctx.slots, ctx.version = gradients, found.slots, found.version
        return found.keys.clone(), found.values.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore
        """Keep them."""
        keys, values = grad_outputs
        ctx.gradients.append(Gradient(ctx.slots, keys, values, ctx.version))
        return torch.zeros(()), None, None


def summed(gradients: list[Gradient], born: Tensor, key_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients by entry, of those that are still the entries they were.

    Args:
        gradients: of any number of backward passes.
        born: int64 [D * N], the version that appended what a slot holds.
        key_size: W.

    Returns:
        Places int64 [M], ascending, gradients of their keys [M, W] and values [M].
    """
    places, keys, values = [torch.empty(0, dtype=torch.int64)], [], []
    for one in gradients:
        slots = len(born) // len(one.slots)
        begins = (torch.arange(len(one.slots)) * slots).view(-1, 1, 1)
        flat = (one.slots + begins).flatten()
        there = (one.slots >= 0).flatten()
        there[there.clone()] = born[flat[there]] <= one.version
        places.append(flat[there])
        keys.append(one.keys.flatten(0, 2)[there])
        values.append(one.values.flatten()[there])
    ids, inverse = torch.cat(places).unique(return_inverse=True)
    if not len(ids):
        return ids, torch.zeros(0, key_size), torch.zeros(0)
    keys, values = torch.cat(keys), torch.cat(values)
    sums = keys.new_zeros(len(ids), key_size).index_add_(0, inverse, keys)
    return ids, sums, values.new_zeros(len(ids)).index_add_(0, inverse, values)
