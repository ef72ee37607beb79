"""What a dictionary answers: values of the nearest keys, weighted.

Legend: R queries, P neighbours, W key size.
"""

from __future__ import annotations

import torch
from torch import Tensor


def squared_distances(queries: Tensor, keys: Tensor) -> Tensor:
    """Squared Euclidean distances, zero where a key is the query to the last bit.

    Args:
        queries: [..., W], h.
        keys: [..., P, W], h_i.

    Returns:
        [..., P]; non-negative.
    """
    return (queries.unsqueeze(-2) - keys).square().sum(-1)


def inverse_distance(squared: Tensor, delta: float) -> Tensor:
    """k(h, h_i) = 1 / (||h - h_i||^2 + delta); Pritzel et al. 2017, the kernel of their experiments.

    Args:
        squared: squared distances of any shape.
        delta: more than 0; bounds the weight of a key that is the query itself.

    Returns:
        Of the same shape; in (0, 1 / delta].
    """
    return (squared + delta).reciprocal()


def equal_or_alike(squared: Tensor, tolerance: float) -> Tensor:
    """The estimate of Blundell et al. 2016: the value kept for the query itself, else the mean of the neighbours.

    Args:
        squared: [..., P], squared distances, ascending.
        tolerance: distance up to which a key counts as the query.

    Returns:
        [..., P]: one for the first neighbour alone where it is the query, else one for all.
    """
    known = squared[..., :1] <= tolerance * tolerance
    first = torch.zeros_like(squared)
    first[..., :1] = 1
    return torch.where(known, first, torch.ones_like(squared))


def weighted_mean(values: Tensor, weights: Tensor, there: Tensor, unknown: tuple[float, float] | None = None) -> Tensor:
    """The output o = sum_i w_i v_i with w_i = k(h, h_i) / sum_j k(h, h_j).

    Args:
        values: [..., P], v_i.
        weights: [..., P], k(h, h_i); non-negative.
        there: bool [..., P], which neighbours there are.
        unknown: value and weight of one neighbour more, which every query has.

    Returns:
        [...]; zero where there are none.
    """
    weights = torch.where(there, weights, torch.zeros_like(weights))
    if unknown is not None:
        return ((weights * values).sum(-1) + unknown[0] * unknown[1]) / (weights.sum(-1) + unknown[1])
    total = weights.sum(-1)
    total = torch.where(there.any(-1), total, torch.ones_like(total))  # an empty dictionary divides nothing by one
    return (weights * values).sum(-1) / total
