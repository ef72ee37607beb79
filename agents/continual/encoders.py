"""Encoders of pictures in stages, so that a column may look at another's from stage to stage.

Dimensions: n pictures, S side of one in pixels, C channels, U units.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from torch import Tensor, nn

from lukasa.agents.few_shot import Encoder


class StagedEncoder(Encoder):
    """An encoder whose work is a row of stages.

    Attributes:
        stages: each takes what the one before gives.
        widths: channels or units that each stage gives.
        flat: whether stages give units, and not pictures of channels.
    """

    def __init__(self, shape: Sequence[int], size: int, stages: Sequence[nn.Module], widths: Sequence[int], flat: bool):
        super().__init__(shape, size)
        self.stages, self.widths, self.flat = nn.ModuleList(stages), tuple(widths), flat

    def begin(self, pictures: Tensor) -> Tensor:
        """What the first stage takes: [n, S, S] -> [n, 1, S, S], or all pixels in a row."""
        return pictures.flatten(1) if self.flat else pictures.unsqueeze(1)

    def forward(self, examples: Tensor) -> Tensor:
        """Embed pictures: [n, S, S] -> [n, D]."""
        given = self.begin(examples)
        for stage in self.stages:
            given = stage(given)
        return given.flatten(1)


class PerceptronEncoder(StagedEncoder):
    """Layers of rectified units over the pixels, as for permuted MNIST in Kirkpatrick et al. 2017.

    Args:
        shape: of a picture, (S, S).
        units: of each layer (U).
        layers: how many.
    """

    def __init__(self, shape: Sequence[int], units: int = 256, layers: int = 2):
        widths = [math.prod(shape)] + [units] * layers
        stages = [nn.Sequential(nn.Linear(before, after), nn.ReLU()) for before, after in itertools.pairwise(widths)]
        super().__init__(shape, units, stages, widths[1:], flat=True)


class SmallConvEncoder(StagedEncoder):
    """Blocks of 3×3 convolution, group norm, ReLU and 2×2 max-pooling.

    Group norm keeps no statistics of the examples, which would be a second thing to be forgotten.

    Args:
        shape: of a picture, (S, S), at least 2^blocks pixels a side.
        channels: of each convolution (C).
        blocks: how many.

    Raises:
        ValueError: the pictures are too small.
    """

    def __init__(self, shape: Sequence[int], channels: int = 32, blocks: int = 3):
        if len(shape) != 2 or min(shape) < 2**blocks:
            raise ValueError(
                f"{blocks} blocks of encoder 'conv' need pictures of at least {2**blocks}×{2**blocks} pixels, and "
                f"these are {list(shape)}: enlarge them, or take fewer blocks"
            )
        groups = math.gcd(channels, 4)
        stages = [
            nn.Sequential(
                nn.Conv2d(before, channels, 3, padding=1, bias=False),
                nn.GroupNorm(groups, channels),
                nn.ReLU(),
                nn.MaxPool2d(2),
            )
            for before in [1] + [channels] * (blocks - 1)
        ]
        size = channels * math.prod(side // 2**blocks for side in shape)
        super().__init__(shape, size, stages, [channels] * blocks, flat=False)
