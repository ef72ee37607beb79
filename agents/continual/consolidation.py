"""Many slots into few: what a memory of N entries says, said by K of them.

Dimensions: N entries, K entries that are left, D numbers of an entry.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Generator, Tensor

ROUNDS = 50
"""Steps of k-means at most; it stops when nothing moves any more."""


class Consolidated(NamedTuple):
    """What is left of a memory.

    Attributes:
        entries: [K, D].
        classes: int64 [K].
        counts: [K], entries that each stands for; not whole numbers where they are shared softly.
    """

    entries: Tensor
    classes: Tensor
    counts: Tensor


def kmeans(points: Tensor, count: int, generator: Generator, softness: float = 0.0) -> tuple[Tensor, Tensor]:
    """Centres of points: k-means, or its soft form, in which each point belongs to every centre a little.

    The first centres are drawn as in k-means++ (Arthur & Vassilvitskii 2007). Softly a point belongs to a centre by the
    softmax of minus the squared distance over ``softness`` (MacKay 2003, chapter 20, with beta = 1 / softness).

    Args:
        points: [N, D].
        count: K; at most N are given.
        generator: draws the first centres.
        softness: in squared distance; 0 for k-means itself.

    Returns:
        Centres [K, D] and how many points each has [K].

    Raises:
        ValueError: there is no point, one is not finite, ``count`` is not positive, or ``softness`` is negative.

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
        >>> centres, counts = kmeans(points, 2, Generator().manual_seed(0))
        >>> sorted(centres.flatten().tolist()), counts.tolist()
        ([0.5, 10.5], [2.0, 2.0])
    """
    if points.dim() != 2 or not len(points):
        raise ValueError(f"points are {list(points.shape)}: expected [N, D] with at least one")
    points = points if points.is_floating_point() else points.float()
    if not bool(points.isfinite().all()):
        raise ValueError("points have numbers that are not finite: leave these points out")
    if count < 1 or softness < 0:
        raise ValueError(f"count is {count} and softness {softness}: expected at least 1, and at least 0")
    centres = _first_centres(points, min(count, len(points)), generator)
    shares = _shares(points, centres, softness)
    for _ in range(ROUNDS):
        counts = shares.sum(0)
        moved = torch.where(counts[:, None] > 0, shares.mT @ points / counts.clamp_min(1e-12)[:, None], centres)
        still = torch.allclose(moved, centres, rtol=0, atol=1e-7)
        centres = moved
        shares = _shares(points, centres, softness)
        if still:
            break
    return centres, shares.sum(0)


def consolidate(
    entries: Tensor, classes: Tensor, count: int, generator: Generator, softness: float = 0.0
) -> Consolidated:
    """Distil a memory of N entries with classes into at most ``count`` entries of each class.

    Args:
        entries: [N, D].
        classes: int64 [N].
        count: entries that are left of each class, at most.
        generator: draws the first centres.
        softness: as in ``kmeans``.

    Raises:
        ValueError: as ``kmeans``, or the classes do not fit.
    """
    if classes.shape != entries.shape[:1]:
        raise ValueError(f"entries {list(entries.shape)} have classes {list(classes.shape)}: expected one for each")
    if not len(entries):
        raise ValueError("a memory of no entries cannot be distilled: add some first")
    parts = []
    for one in classes.unique().tolist():
        centres, counts = kmeans(entries[classes == one], count, generator, softness)
        some = counts > 0  # equal entries need one centre, and the others stand for nothing
        parts.append((centres[some], torch.full((int(some.sum()),), one), counts[some]))
    return Consolidated(*map(torch.cat, zip(*parts, strict=True)))


def _shares(points: Tensor, centres: Tensor, softness: float) -> Tensor:
    """How much each point belongs to each centre, [N, K]; each row sums to 1."""
    distances = torch.cdist(points, centres).square()
    if softness:
        return torch.softmax(-distances / softness, 1)
    return torch.nn.functional.one_hot(distances.argmin(1), len(centres)).to(points)


def _first_centres(points: Tensor, count: int, generator: Generator) -> Tensor:
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    nearest = (points - points[chosen[0]]).square().sum(1)
    while len(chosen) < count:
        weights = nearest if bool(nearest.sum() > 0) else torch.ones_like(nearest)
        chosen.append(int(torch.multinomial(weights, 1, generator=generator)))
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(1))
    return points[chosen].clone()
