"""Observations of any supported space to one vector a step.

Legend: B batch, T time, E width of one embedding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lukasa.agents.policy.convolutions import ImageEncoder
from lukasa.ground.spaces import kind, leaves, named, pick

SMALLEST_IMAGE = 10
"""Pixels: a grid with a shorter side than this (such as MiniGrid's 7 x 7 view) is flattened rather than convolved."""
LARGEST_VECTOR = 1_000_000
"""Numbers of one observation that go through one layer: more would not fit into a network of reasonable size."""


class Encoder(nn.Module):
    """Observations [B, T, ...], nested as the space is, to [B, T, output_size].

    All vectors of the observation (one-hot where discrete) go through one layer together, each image through
    convolutions of its own; the results are concatenated.

    Args:
        space: the observation space.
        size: E, width of each of these results.

    Raises:
        ValueError: the space, or a part of it, is not supported.
    """

    def __init__(self, space: Any, size: int):
        super().__init__()
        parts = list(leaves(space))
        widths = [_vector_width(leaf, space) for _, leaf in parts]
        self.vector_leaves = [(path, leaf) for path, leaf in parts if not is_image(leaf)]
        self.image_leaves = [(path, leaf) for path, leaf in parts if is_image(leaf)]
        width = sum(wide for wide, (_, leaf) in zip(widths, parts, strict=True) if not is_image(leaf))
        if width > LARGEST_VECTOR:
            raise ValueError(
                f"observation space {named(space)} is too large: as one vector it has {width:,} numbers, and at most "
                f"{LARGEST_VECTOR:,} are supported; a wrapper can show less of it"
            )
        self.vectors = nn.Sequential(nn.Linear(width, size), nn.Tanh()) if width else None
        self.images = nn.ModuleList(ImageEncoder(image_shape(leaf), size) for _, leaf in self.image_leaves)
        self.output_size = size * (len(self.images) + (self.vectors is not None))
        if not self.output_size:
            raise ValueError(f"observation space {named(space)} holds nothing to observe: use one that does")

    def forward(self, observations: Any) -> Tensor:
        """Observations [B, T, ...] to [B, T, output_size]."""
        parts = []
        if self.vectors is not None:
            vectors = [_to_vector(leaf, pick(observations, path)) for path, leaf in self.vector_leaves]
            parts.append(self.vectors(torch.cat(vectors, -1)))
        for (path, leaf), encoder in zip(self.image_leaves, self.images, strict=True):
            parts.append(encoder(_channels_last(leaf, _scaled(leaf, pick(observations, path)))))
        return torch.cat(parts, -1)


def flat_width(space: Any) -> int:
    """How many numbers ``flat`` makes of one observation.

    Raises:
        ValueError: the space, or a part of it, is not supported.
    """
    return sum(_vector_width(leaf, space) for _, leaf in leaves(space))


def flat(space: Any, observations: Any) -> Tensor:
    """Observations [B, T, ...], nested as the space is, as one vector a step, images included: [B, T, width]."""
    return torch.cat([_to_vector(leaf, pick(observations, path)) for path, leaf in leaves(space)], -1)


def is_image(space: Any) -> bool:
    """Whether an observation goes through convolutions: a box of three axes, two of them sides of an image."""
    return (
        kind(space) == "Box"
        and len(space.shape) == 3
        and min(space.shape) > 0
        and min(image_shape(space)[:2]) >= SMALLEST_IMAGE
    )


def image_shape(space: Any) -> tuple[int, int, int]:
    """Height, width and channels of a box of three axes."""
    first, second, third = space.shape
    return (second, third, first) if _has_channels_first(space) else (first, second, third)


def _has_channels_first(space: Any) -> bool:
    """The channels are the first axis where that is the shortest, and otherwise the last."""
    first, second, third = space.shape
    return first < min(second, third)


def _channels_last(space: Any, images: Tensor) -> Tensor:
    """[B, T, channels, height, width] or [B, T, height, width, channels] to the latter."""
    return images.movedim(2, -1) if _has_channels_first(space) else images


def is_vector_of_reals(space: Any) -> bool:
    """Whether a part of an observation is flattened as real numbers, rather than one-hot or convolved."""
    return kind(space) == "Box" and np.issubdtype(space.dtype, np.floating) and not is_image(space)


def _vector_width(leaf: Any, whole: Any) -> int:
    if kind(leaf) == "Discrete":
        return int(leaf.n)
    if kind(leaf) == "MultiDiscrete":
        return int(leaf.nvec.sum())
    part = "" if leaf is whole else f"part {named(leaf)} of "
    if kind(leaf) in ("Box", "MultiBinary"):
        dtype = np.dtype(leaf.dtype)
        if dtype.kind not in "biuf" or dtype.itemsize > 8:
            raise ValueError(
                f"{part}observation space {named(whole)} has the dtype {dtype}, which PyTorch does not know: "
                "use float32, or integers"
            )
        return math.prod(leaf.shape)
    raise ValueError(
        f"{part}observation space {named(whole)} is not supported: use Box, Discrete, MultiDiscrete, MultiBinary, "
        "or a Dict or Tuple of these; a wrapper can drop or convert the rest"
    )


def _to_vector(space: Any, values: Tensor) -> Tensor:
    """[B, T, ...] to [B, T, width]."""
    if kind(space) == "Discrete":
        return _one_hot(values - int(space.start), int(space.n))
    if kind(space) == "MultiDiscrete":
        counted = values.flatten(2).long() - torch.as_tensor(space.start.ravel(), device=values.device).long()
        columns = zip(counted.unbind(-1), space.nvec.flat, strict=True)
        return torch.cat([_one_hot(column, int(n)) for column, n in columns], -1)
    return _scaled(space, values).reshape(*values.shape[:2], -1)


def _one_hot(values: Tensor, count: int) -> Tensor:
    # padded steps hold zeros, which may lie outside of a space that does not start at zero
    return F.one_hot(values.long().clamp(0, count - 1), count).float()


def _scaled(space: Any, values: Tensor) -> Tensor:
    """Integers with known bounds to [0, 1]; everything else as it is."""
    values = values.float()
    if kind(space) == "Box" and np.issubdtype(space.dtype, np.integer) and space.is_bounded():
        bounds = (np.asarray(bound, np.float32) for bound in (space.low, space.high))
        low, high = (torch.as_tensor(bound, device=values.device) for bound in bounds)
        return (values - low) / (high - low).clamp(min=1)
    return values
