"""Convolutions of images, layer by layer as RLlib builds them for images of the same size.

Legend: B batch, T time, E width of one embedding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

LARGEST_MAP = 1 << 16
"""Numbers that convolutions leave of an image: a longer one is halved once more."""

Filter = tuple[int, int, int]
"""Channels that come out, side of the kernel, stride."""

BY_SIDE: dict[int, tuple[Filter, ...]] = {
    96: ((16, 8, 4), (32, 4, 2), (256, 11, 2)),
    84: ((16, 8, 4), (32, 4, 2), (256, 11, 1)),
    64: ((16, 4, 2), (32, 4, 2), (64, 4, 2), (128, 4, 2)),
    42: ((16, 4, 2), (32, 4, 2), (256, 11, 1)),
    10: ((16, 5, 2), (32, 5, 2)),
}
"""RLlib's filters for the images that it has some for, by their side."""


class ImageEncoder(nn.Module):
    """Convolutions for this size of image, then one layer: [B, T, height, width, channels] to [B, T, E]."""

    def __init__(self, shape: tuple[int, ...], size: int):
        super().__init__()
        filters = filters_for(shape)
        self.convolutions = Convolutions(shape, filters)
        self.layer = nn.Sequential(nn.Linear(self.convolutions.output_size, size), nn.Tanh())

    def forward(self, images: Tensor) -> Tensor:
        """Scaled images [B, T, height, width, channels] to [B, T, E]."""
        return self.layer(self.convolutions(images.flatten(0, 1))).unflatten(0, images.shape[:2])


class Convolutions(nn.Module):
    """Images [any, height, width, channels] to [any, output_size], flattened with the channels last.

    Its weights have the names of RLlib's encoder, so that checkpoints from before still load.
    """

    def __init__(self, shape: tuple[int, ...], filters: Sequence[Filter]):
        super().__init__()
        (height, width, channels), layers = shape, []
        for out_channels, kernel, stride in filters:
            (top, bottom), height = _padding(height, kernel, stride)
            (left, right), width = _padding(width, kernel, stride)
            layers += [
                nn.ZeroPad2d((left, right, top, bottom)),
                nn.Conv2d(channels, out_channels, kernel, stride),
                nn.ReLU(),
            ]
            channels = out_channels
        self.output_size = height * width * channels
        self.net = nn.Sequential(_Stack(layers), nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        """[any, height, width, channels] to [any, output_size]."""
        return self.net(images)


class _Stack(nn.Module):
    """Layers for images whose channels come last."""

    def __init__(self, layers: list[nn.Module]):
        super().__init__()
        self.cnn = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        return self.cnn(images.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def filters_for(shape: tuple[int, ...]) -> Sequence[Filter]:
    """RLlib's filters for an image [height, width, channels]; of a size that it has none for, it is halved."""
    for side, filters in BY_SIDE.items():
        if list(shape[:2]) == [side, side] or list(shape[1:]) == [side, side]:
            return filters
    (short, long), found = sorted(shape[:2]), []
    while short > 5 or short * long * 64 > LARGEST_MAP:
        found.append((16 * 2 ** min(len(found), 2), 4, 2))
        short, long = -(-short // 2), -(-long // 2)
    return found


def _padding(side: int, kernel: int, stride: int) -> tuple[tuple[int, int], int]:
    """Zeros before and after, so that the result has as many numbers as there are strides; and how many these are."""
    after = math.ceil(side / stride)
    zeros = (after - 1) * stride + kernel - side
    return (zeros // 2, zeros - zeros // 2), after
