"""Running scales of what an agent observes and earns, kept in the module so that they travel with its weights.

Legend: B batch (rows), T time, D numbers of one observation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from lukasa.agents.policy.encoders import is_vector_of_reals
from lukasa.ground.spaces import Path, leaves, nested, pick

Measured = tuple[Tensor, Tensor, Tensor]
"""Count, mean and variance."""

FARTHEST = 10.0
"""Standard deviations: observations farther from their mean are seen at this distance."""
LEAST_STD = 1e-4
"""Spread that returns are taken to have at least, so that those that never differ are not blown up."""
RETURNS_REMEMBERED = 10_000
"""Steps: how far back the spread of returns reaches, for they grow while an agent learns."""


class Moments(nn.Module):
    """Mean and variance of all columns seen so far: buffers of D numbers each.

    Args:
        width: D.
        scaled: bool [D], the columns that are scaled by them; all when None.
    """

    count: Tensor
    mean: Tensor
    variance: Tensor
    scaled: Tensor

    def __init__(self, width: int, scaled: np.ndarray | None = None):
        super().__init__()
        mask = torch.ones(width, dtype=torch.bool) if scaled is None else torch.as_tensor(scaled)
        self.register_buffer("scaled", mask, persistent=False)
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))

    def forward(self, columns: Tensor) -> Tensor:
        """Columns [..., D] less their mean, over their standard deviation."""
        # the least variance keeps columns that never change from being blown up, by rounding of large ones too
        least = 1e-8 + (1e-6 * self.mean).square()
        scaled = (columns - self.mean) / (self.variance + least).sqrt()
        return torch.where(self.scaled, scaled.clamp(-FARTHEST, FARTHEST), columns)

    @torch.no_grad()
    def add(self, count: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Count further columns in (Chan et al. 1983); float64, as ``moments`` gives them."""
        before, old = self.count.double(), self.mean.double()
        total = before + count
        step = mean - old
        squares = self.variance.double() * before + variance * count + step**2 * before * count / total
        self.mean.copy_(old + step * count / total)
        self.variance.copy_(squares / total)
        self.count.copy_(total)


class ObservationNormalizer(nn.Module):
    """Real vectors of an observation, centred and scaled by the moments of all seen; the rest as it is.

    One-hot and integer parts and images have scales of their own, and so have numbers that are bounded by 0 and 1 or
    by -1 and 1.

    Args:
        space: the observation space.
        reward: whether the reward of the step before is an input as well.
    """

    def __init__(self, space: Any, reward: bool):
        super().__init__()
        found = [(path, scaled) for path, leaf in leaves(space) if (scaled := _unscaled(leaf)).any()]
        self.space, self.paths = space, [path for path, _ in found]
        self.moments = nn.ModuleList(Moments(len(scaled), scaled) for _, scaled in found)
        self.reward = Moments(1) if reward else None

    def forward(self, observations: Any) -> Any:
        """Observations [B, T, ...], nested as the space is."""
        if not self.paths:
            return observations
        by_path = dict(zip(self.paths, self.moments, strict=True))

        def scaled(path: Path) -> Tensor:
            leaf, moments = pick(observations, path), by_path.get(path)
            return leaf if moments is None else moments(_columns(leaf.float())).view(leaf.shape)

        return nested(self.space, (scaled(path) for path, _ in leaves(self.space)))

    def measure(self, observations: Any, mask: Tensor, rewards: Tensor | None = None) -> list[tuple[Moments, Measured]]:
        """The moments of the steps of a batch that count, of all learners; ``add`` takes them.

        Args:
            observations: [B, T, ...], nested as the space is.
            mask: bool [B, T], the steps that count.
            rewards: of the steps before, [B, T, 1]; needed where they are an input.
        """
        parts: list[Any] = [(one, pick(observations, path)) for one, path in zip(self.moments, self.paths, strict=True)]
        parts += [(self.reward, rewards)] if self.reward else []
        return [(one, moments(_columns(part)[mask])) for one, part in parts]


def add(measured: list[tuple[Moments, Measured]]) -> None:
    """Count what was measured in; a batch with a number that is not finite is left out."""
    for one, found in measured:
        if found[0] and torch.isfinite(found[2]).all():
            one.add(*found)


class ReturnScale(nn.Module):
    """Mean and spread of late of the returns that a value head predicts (PopArt: van Hasselt et al. 2016).

    The head speaks in units of the spread, counted from the mean, so that its loss and its gradient do not depend on
    the scale of the rewards; when mean or spread move, its last layer is changed so that its predictions do not.
    """

    weight: Tensor
    mean: Tensor
    std: Tensor

    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))

    def returns(self, outputs: Tensor) -> Tensor:
        """What the head predicts, in the environment's rewards."""
        return self.mean + self.std * outputs

    def in_units(self, outputs: Tensor) -> Tensor:
        """What the head predicts, in units of the spread: as the loss compares it with returns over ``std``."""
        return self.mean / self.std + outputs

    @torch.no_grad()
    def add(self, returns: Tensor, last_layer: nn.Linear) -> None:
        """Follow the returns of a batch, of all learners; a batch with one that is not finite is left out.

        Args:
            returns: [any].
            last_layer: of the head, which goes on to predict what it did.
        """
        count, mean, variance = moments(returns.reshape(-1, 1))
        if not count or not torch.isfinite(variance).all():
            return
        keep = RETURNS_REMEMBERED / (RETURNS_REMEMBERED + count)
        old_mean, old_std, old_weight = self.mean.double(), self.std.double(), self.weight.double()
        weight = keep * old_weight + (1 - keep)
        share = (1 - keep) / weight  # of this batch; all for the first
        step = mean[0] - old_mean
        new_mean = old_mean + share * step
        new_std = ((1 - share) * (old_std**2 + share * step**2) + share * variance[0]).sqrt().clamp(min=LEAST_STD)
        if old_weight:  # else it has predicted nothing yet
            last_layer.weight.mul_(old_std / new_std)
            last_layer.bias.copy_((old_std * last_layer.bias + old_mean - new_mean) / new_std)
        self.weight.copy_(weight)
        self.mean.copy_(new_mean)
        self.std.copy_(new_std)


@torch.no_grad()
def moments(columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count, mean [D] and variance [D] of columns [any, D], in float64, over all learners together."""
    columns = columns.double()
    sums = torch.cat([columns.new_tensor([len(columns)]), columns.sum(0)])
    _sum_over_learners(sums)
    count, mean = sums[0], sums[1:] / sums[0].clamp(min=1)
    squares = (columns - mean).square().sum(0)
    _sum_over_learners(squares)
    return count, mean, squares / count.clamp(min=1)


def _sum_over_learners(sums: Tensor) -> None:
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        dist.all_reduce(sums)


def _columns(part: Tensor) -> Tensor:
    """[B, T, ...] to [B, T, D]; one number a step may come without an axis of its own."""
    return part.reshape(*part.shape[:2], -1)


def _unscaled(leaf: Any) -> np.ndarray:
    """Which numbers of a part of an observation have no scale that is known, bool [D]."""
    if not is_vector_of_reals(leaf):
        return np.zeros(0, bool)
    return ~((leaf.high == 1) & ((leaf.low == 0) | (leaf.low == -1))).reshape(-1)
