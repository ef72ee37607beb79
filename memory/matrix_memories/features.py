"""What is made of keys and queries before they meet, so that no scalar product of two is negative.

Legend: K numbers in a key, N copies.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def elu_features(keys: Tensor) -> Tensor:
    """elu(x) + 1; φ in Katharopoulos et al. 2020, eq. 7.

    Args:
        keys: [..., K].

    Returns:
        [..., K], positive.
    """
    return F.elu(keys) + 1


def dpfp_features(keys: Tensor, copies: int) -> Tensor:
    """Deterministic parameter-free projection; φ in Schlag et al. 2021, section 5.3.

    With r = relu([k; −k]), the parts are r_i r_{i+n} for every i of the 2 K, taken in a circle, and n from 1 to N.

    Args:
        keys: [..., K].
        copies: N, called ν.

    Returns:
        [..., 2 K N], not negative; most numbers are zero.

    Example:
        >>> dpfp_features(torch.tensor([2.0, -3.0]), 1)
        tensor([0., 0., 0., 6.])
    """
    rectified = torch.relu(torch.cat([keys, -keys], -1))
    return torch.cat([rectified * rectified.roll(-shift, -1) for shift in range(1, copies + 1)], -1)


def of_sum_one(features: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Features divided by their sum; Schlag et al. 2021, section 4.2.

    Args:
        features: [..., K], not negative.
        epsilon: added to the sum, which is zero where all features are.
    """
    return features / (features.sum(-1, keepdim=True) + epsilon)
