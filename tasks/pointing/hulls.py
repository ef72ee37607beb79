"""Convex hulls of whole batches.

Dimensions: B sets, N points.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull as QuickHull
from scipy.spatial import QhullError

from lukasa.tasks.pointing.geometry import Array

Hull = NDArray[np.int64]

TOGETHER = 16
"""Points up to which all sets of a batch are solved at once, by the definition: it takes N^3 steps for each."""


def convex_hulls(points: Array) -> list[Hull]:
    """The corners of the hull of each set, counter-clockwise, from the one of the lowest number on.

    Args:
        points: float64 [B, N, 2], N at least 3.

    Raises:
        ValueError: all points of a set lie on one line.
    """
    if points.shape[1] > TOGETHER:
        return [quick_hull(one) for one in points]
    after, clear = _successors(points)
    corners = (after >= 0).sum(1)
    first = (after >= 0).argmax(1)
    rows, ring = np.arange(len(points)), [first]
    for _ in range(points.shape[1]):
        ring.append(np.maximum(after[rows, ring[-1]], 0))
    walks = np.stack(ring, 1)  # [B, N + 1], round and round
    closed = clear & (corners >= 3) & (walks[rows, corners] == first)
    return [
        walk[:count].copy() if good else quick_hull(one)
        for walk, count, good, one in zip(walks, corners, closed, points, strict=True)
    ]


def quick_hull(points: Array) -> Hull:
    """The hull of one set [N, 2], by SciPy's Quickhull.

    Raises:
        ValueError: all points lie on one line.
    """
    try:
        corners = QuickHull(points).vertices.astype(np.int64)  # counter-clockwise in the plane
    except QhullError:
        raise ValueError("all points lie on one line, and have no hull: move one of them off it") from None
    return np.roll(corners, -int(corners.argmin()))


def _successors(points: Array) -> tuple[Hull, NDArray[np.bool_]]:
    """The corner after each corner [B, N], -1 for other points; and whether no three points on the hull are in line.

    From i to j is an edge where every other point is to the left of it.
    """
    x, y = np.moveaxis(points[:, None, :] - points[:, :, None], -1, 0)  # from i to j, [B, N, N]
    left = x[..., None] * y[:, :, None] - y[..., None] * x[:, :, None] > 0  # [B, i, j, k]
    edges = left.sum(3) == points.shape[1] - 2
    leaving = edges.sum(2)
    return np.where(leaving > 0, edges.argmax(2), -1), (leaving <= 1).all(1)
