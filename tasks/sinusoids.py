"""Few-shot regression: sinusoids of which a few points are known (Finn et al. 2017, section 5.1).

Dimensions: B rows, T steps, C sinusoids, E points of each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from lukasa.ground.settings import check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.spec import Field, Spec

AMPLITUDES, PHASES, REACH = (0.1, 5.0), (0.0, math.pi), 5.0
"""Ranges that amplitude and phase are drawn from, and how far x goes either way."""


def sinusoids(count: int, points: int, generator: Generator) -> Tensor:
    """Points of sinusoids y = a sin(x + b), each sinusoid a class and each point an instance.

    Args:
        count: how many sinusoids.
        points: of each.
        generator: draws amplitude, phase and x, uniformly.

    Returns:
        [C, E, 2], x and y.
    """
    amplitude = torch.empty(count, 1).uniform_(*AMPLITUDES, generator=generator)
    phase = torch.empty(count, 1).uniform_(*PHASES, generator=generator)
    x = torch.empty(count, points).uniform_(-REACH, REACH, generator=generator)
    return torch.stack([x, amplitude * torch.sin(x + phase)], -1)


@dataclass(frozen=True, kw_only=True)
class SinusoidStream:
    """Predict the next point of a sinusoid from the points before, each shown one step late.

    One sample along time::

        step      0     1     2     3
        x         -1.2  4.0   0.3   2.2
        y before  0.0   -1.9  -0.1  1.5
        target    -1.9  -0.1  1.5   1.5

    Chance: 60.1 squared error, for one who knows how sinusoids are drawn and learns nothing of the one at hand.
    Best: 3.0 squared error, which is the first step alone: nobody does better, and none has to be far off.
    Paper: Finn et al. 2017.

    Attributes:
        points: of a sequence.
    """

    points: int = 20

    def __post_init__(self) -> None:
        check_whole("sinusoids", "points", self.points, 1)

    @property
    def spec(self) -> Spec:
        """A place x and the y before in; y out."""
        low, high = AMPLITUDES
        square = (high**3 - low**3) / (3 * (high - low)) / 2  # E[y²]: a half of E[a²], whatever x is
        # E[y | x] is the mean amplitude times 2/π cos x; its square, averaged over x, is what chance can explain.
        explained = ((low + high) / math.pi) ** 2 * (1 / 2 + math.sin(2 * REACH) / (4 * REACH))
        return Spec(
            inputs=(Field("x", "scalar"), Field("y", "scalar")),
            target=Field("y", "scalar"),
            unit="squared error",
            chance=(square - explained) * self.points,
            best=square - explained,
            paper="Finn et al. 2017",
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        x, y = sinusoids(batch_size, self.points, generator).unsqueeze(-1).unbind(2)  # each [B, T, 1]
        before = F.pad(y, (0, 0, 1, 0))[:, :-1]
        lengths = torch.full((batch_size,), self.points)
        return Batch(torch.cat([x, before], -1), y, torch.ones(batch_size, self.points, dtype=torch.bool), lengths)
