"""Encoders of single examples, one choice for all learners of episodes.

Dimensions: n examples, C channels, D numbers of an embedding; B episodes, N classes, K support examples of each, M
queries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EncoderName: TypeAlias = Literal["conv4", "linear", "identity"]

BLOCKS = 4
"""Convolutions of "conv4"; each halves a picture's sides."""


class Encoder(nn.Module):
    """What turns examples [n, *shape] into embeddings [n, D].

    Attributes:
        shape: of one example.
        size: numbers of an embedding, D.
    """

    def __init__(self, shape: Sequence[int], size: int):
        super().__init__()
        self.shape, self.size = tuple(shape), size

    def forward(self, examples: Tensor) -> Tensor:
        """Embed each example: [n, *shape] -> [n, D]."""
        raise NotImplementedError


class ConvEncoder(Encoder):
    """Four blocks of 3×3 convolution, batch norm, ReLU and 2×2 max-pooling (Vinyals et al. 2016, section 4.1.1).

    Args:
        shape: of a picture, (H, W) or (channels, H, W), at least 16 × 16.
        channels: of each convolution; 64 in Vinyals et al. 2016 and Snell et al. 2017.
        running_statistics: batch norm keeps running statistics and uses them in evaluation; without them it uses those
            of the batch it sees, always.

    Raises:
        ValueError: the shape is not that of a picture, or too small.

    Example:
        >>> encoder = ConvEncoder((28, 28))
        >>> encoder.size, encoder(torch.zeros(3, 28, 28)).shape
        (64, torch.Size([3, 64]))
    """

    def __init__(self, shape: Sequence[int], channels: int = 64, *, running_statistics: bool = True):
        if len(shape) not in (2, 3) or min(shape[-2:]) < 2**BLOCKS:
            raise ValueError(
                f"encoder 'conv4' has examples of shape {list(shape)}, expected pictures of at least "
                f"{2**BLOCKS}×{2**BLOCKS} pixels: enlarge them, or take encoder 'linear'"
            )
        height, width = (side // 2**BLOCKS for side in shape[-2:])
        super().__init__(shape, channels * height * width)
        before = [shape[0] if len(shape) == 3 else 1] + [channels] * (BLOCKS - 1)
        self.blocks = nn.Sequential(*(_block(inside, channels, running_statistics) for inside in before))
        # The convolutions follow the layout of their weights: channels last is faster on a CPU, backward included.
        nn.utils.convert_conv2d_weight_memory_format(self.blocks, torch.channels_last)

    def forward(self, examples: Tensor) -> Tensor:
        """Embed pictures: [n, *shape] -> [n, D]."""
        if len(self.shape) == 2:
            examples = examples.unsqueeze(1)
        return self.blocks(examples).flatten(1)


def _block(inside: int, channels: int, running_statistics: bool) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, channels, 3, padding=1),
        nn.BatchNorm2d(channels) if running_statistics else BatchStatistics(channels),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )


class BatchStatistics(nn.Module):
    """Batch norm by the statistics of the very batch, always.

    Under ``torch.func.vmap`` the second derivatives of ``nn.BatchNorm2d`` are wrong, by a part in a thousand of a
    gradient (PyTorch 2.13); those of the layer norm that this is made of are right.

    Args:
        channels: C.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Every channel over the whole batch to mean 0 and variance 1, then scaled: [n, C, H, W] to the same."""
        channels = features.transpose(0, 1)
        flat = channels.flatten(1)
        normal = F.layer_norm(flat, flat.shape[1:])
        scaled = torch.addcmul(self.bias[:, None], normal, self.weight[:, None])
        return scaled.view(channels.shape).transpose(0, 1)


class LinearEncoder(Encoder):
    """One matrix; for examples that are no pictures."""

    def __init__(self, shape: Sequence[int], size: int = 64):
        super().__init__(shape, size)
        self.matrix = nn.Linear(math.prod(shape), size)

    def forward(self, examples: Tensor) -> Tensor:
        """Embed examples: [n, *shape] -> [n, D]."""
        return self.matrix(examples.flatten(1))


class IdentityEncoder(Encoder):
    """The example itself, pixel by pixel."""

    def __init__(self, shape: Sequence[int]):
        super().__init__(shape, math.prod(shape))

    def forward(self, examples: Tensor) -> Tensor:
        """Flatten examples: [n, *shape] -> [n, D]."""
        return examples.flatten(1)


def make_encoder(name: EncoderName, shape: Sequence[int], channels: int = 64) -> Encoder:
    """An encoder by name.

    Args:
        name: "conv4"; "linear", with ``channels`` numbers out; or "identity".
        shape: of one example.
        channels: of "conv4" and "linear".

    Raises:
        ValueError: there is no such encoder, or it does not take examples of that shape.
    """
    if name == "conv4":
        return ConvEncoder(shape, channels)
    if name == "linear":
        return LinearEncoder(shape, channels)
    if name == "identity":
        return IdentityEncoder(shape)
    raise ValueError(f"unknown encoder {name!r}: choose one of 'conv4', 'linear', 'identity'")


def check_episodes(shape: tuple[int, ...], support: Tensor, queries: Tensor) -> None:
    """Refuse episodes of another form than support [B, N, K, *shape] and queries [B, M, *shape].

    Raises:
        ValueError: the message gives both sides.
    """
    fits = support.dim() == 3 + len(shape) and queries.dim() == 2 + len(shape) and len(support) == len(queries)
    if not fits or support.shape[3:] != shape or queries.shape[2:] != shape:
        one = ", ".join(map(str, shape))
        raise ValueError(
            f"support {list(support.shape)} and queries {list(queries.shape)} are no episodes: "
            f"expected [B, N, K, {one}] and [B, M, {one}]"
        )


def embed(encoder: Encoder, support: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
    """Embed whole episodes in one call, so that in training all of them share the statistics of batch norm.

    Args:
        encoder: of single examples.
        support: [B, N, K, *shape].
        queries: [B, M, *shape].

    Returns:
        [B, N, K, D] and [B, M, D].

    Raises:
        ValueError: the examples are of another shape.
    """
    check_episodes(encoder.shape, support, queries)
    flat = torch.cat([support.flatten(0, 2), queries.flatten(0, 1)])
    known, asked = encoder(flat).split([support.shape[:3].numel(), queries.shape[:2].numel()])
    return known.unflatten(0, support.shape[:3]), asked.unflatten(0, queries.shape[:2])
