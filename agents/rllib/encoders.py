"""Observations of any supported space to one vector a step.

Legend: B batch, T time, E width of one embedding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
from ray.rllib.core.columns import Columns
from ray.rllib.core.models.base import ENCODER_OUT
from ray.rllib.core.models.configs import CNNEncoderConfig
from ray.rllib.models.utils import get_filter_config
from torch import Tensor, nn

SMALLEST_IMAGE = 10
"""Pixels: a grid with a shorter side than this (such as MiniGrid's 7 x 7 view) is flattened rather than convolved."""

Path = tuple[str | int, ...]


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

    def __init__(self, space: gym.Space, size: int):
        super().__init__()
        leaves = list(_leaves(space, ()))
        self.vector_leaves = [(path, leaf) for path, leaf in leaves if not _is_image(leaf)]
        self.image_leaves = [(path, leaf) for path, leaf in leaves if _is_image(leaf)]
        width = sum(_vector_width(leaf, space) for _, leaf in self.vector_leaves)
        self.vectors = nn.Sequential(nn.Linear(width, size), nn.Tanh()) if width else None
        self.images = nn.ModuleList(ImageEncoder(leaf.shape or (), size) for _, leaf in self.image_leaves)
        self.output_size = size * (len(self.images) + (self.vectors is not None))
        if not self.output_size:
            raise ValueError(f"observation space {space} holds nothing to observe")

    def forward(self, observations: Any) -> Tensor:
        """Observations [B, T, ...] to [B, T, output_size]."""
        parts = []
        if self.vectors is not None:
            vectors = [_to_vector(leaf, _pick(observations, path)) for path, leaf in self.vector_leaves]
            parts.append(self.vectors(torch.cat(vectors, -1)))
        for (path, leaf), encoder in zip(self.image_leaves, self.images, strict=True):
            parts.append(encoder(_scaled(leaf, _pick(observations, path))))
        return torch.cat(parts, -1)


class ImageEncoder(nn.Module):
    """RLlib's convolutions for this size of image, then one layer: [B, T, height, width, channels] to [B, T, E]."""

    def __init__(self, shape: tuple[int, ...], size: int):
        super().__init__()
        config = CNNEncoderConfig(input_dims=list(shape), cnn_filter_specifiers=_filters(shape), flatten_at_end=True)
        width = math.prod(config.output_dims or ())
        self.convolutions = config.build(framework="torch")
        self.layer = nn.Sequential(nn.Linear(width, size), nn.Tanh())

    def forward(self, images: Tensor) -> Tensor:
        """Scaled images [B, T, height, width, channels] to [B, T, E]."""
        maps = self.convolutions({Columns.OBS: images.flatten(0, 1)})[ENCODER_OUT]
        return self.layer(maps).unflatten(0, images.shape[:2])


def _filters(shape: tuple[int, ...]) -> list[list[Any]]:
    try:
        return get_filter_config(shape)
    except ValueError:  # RLlib has settings for a handful of sizes; halve any other until little is left
        sides, filters = min(shape[:2]), []
        while sides > 5:
            filters.append([16 * 2 ** min(len(filters), 2), 4, 2])
            sides = -(-sides // 2)
        return filters


def _leaves(space: gym.Space, path: Path) -> Iterator[tuple[Path, gym.Space]]:
    if isinstance(space, gym.spaces.Dict):
        for name, part in space.items():
            yield from _leaves(part, (*path, name))
    elif isinstance(space, gym.spaces.Tuple):
        for index, part in enumerate(space):
            yield from _leaves(part, (*path, index))
    else:
        yield path, space


def _pick(observations: Any, path: Path) -> Tensor:
    for key in path:
        observations = observations[key]
    return observations


def _is_image(space: gym.Space) -> bool:
    if not (isinstance(space, gym.spaces.Box) and len(space.shape) == 3):
        return False
    height, width, channels = space.shape
    if channels > min(height, width):
        raise ValueError(
            f"observation {space} looks like an image with its channels first: "
            "move the channels last (height, width, channels) or flatten it in a wrapper"
        )
    return min(height, width) >= SMALLEST_IMAGE


def _vector_width(leaf: gym.Space, whole: gym.Space) -> int:
    if isinstance(leaf, gym.spaces.Discrete):
        return int(leaf.n)
    if isinstance(leaf, gym.spaces.MultiDiscrete) and leaf.nvec.ndim == 1:
        return int(leaf.nvec.sum())
    if isinstance(leaf, gym.spaces.Box | gym.spaces.MultiBinary):
        return int(np.prod(leaf.shape))
    part = "" if leaf is whole else f"part {leaf} of "
    raise ValueError(
        f"{part}observation space {whole} is not supported: use Box, Discrete, MultiDiscrete (one axis), "
        "MultiBinary, or a Dict or Tuple of these; a wrapper can drop or convert the rest"
    )


def _to_vector(space: gym.Space, values: Tensor) -> Tensor:
    """[B, T, ...] to [B, T, width]."""
    if isinstance(space, gym.spaces.Discrete):
        return _one_hot(values - int(space.start), int(space.n))
    if isinstance(space, gym.spaces.MultiDiscrete):
        columns = (values - torch.as_tensor(space.start, device=values.device)).unbind(-1)
        return torch.cat([_one_hot(column, int(n)) for column, n in zip(columns, space.nvec, strict=True)], -1)
    return _scaled(space, values).flatten(2)


def _one_hot(values: Tensor, count: int) -> Tensor:
    # padded steps hold zeros, which lie below a space that starts at one
    return F.one_hot(values.long().clamp(min=0), count).float()


def _scaled(space: gym.Space, values: Tensor) -> Tensor:
    """Integers with known bounds to [0, 1]; everything else as it is."""
    values = values.float()
    if isinstance(space, gym.spaces.Box) and np.issubdtype(space.dtype, np.integer) and space.is_bounded():
        low, high = (torch.as_tensor(bound, device=values.device).float() for bound in (space.low, space.high))
        return (values - low) / (high - low).clamp(min=1)
    return values
