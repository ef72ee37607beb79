"""Areas, lengths and crossings of polygons, whose corners are the rows of an array.

Dimensions: C corners, N points, B sets.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def signed_area(corners: Array) -> float:
    """Area of a polygon [C, 2] that does not cross itself, positive where it turns counter-clockwise.

    Example:
        >>> signed_area(np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]))
        0.5
    """
    x, y = corners.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def on_one_line(points: Array, within: float = 1e-12) -> NDArray[np.bool_]:
    """Whether all points of a set lie on one line, or are one.

    Args:
        points: [..., N, 2], N at least 1.
        within: how far off the line a point may lie, as a share of the set's extent: decimal numbers are rounded.

    Returns:
        Bool [...].

    Example:
        >>> bool(on_one_line(np.array([[0.1, 0.3], [0.2, 0.6], [0.3, 0.9]])))
        True
    """
    x, y = np.moveaxis(points - points[..., :1, :], -1, 0)  # from the first point, [..., N]
    lengths = x * x + y * y
    far = lengths.argmax(-1)[..., None]
    along_x, along_y = (np.take_along_axis(one, far, -1) for one in (x, y))
    return np.abs(x * along_y - y * along_x).max(-1) <= within * lengths.max(-1)


def tour_length(corners: Array) -> float:
    """Length of the closed tour through these corners [C, 2], in the order of the rows."""
    return float(np.linalg.norm(corners - np.roll(corners, -1, 0), axis=1).sum())


def distances(points: Array) -> Array:
    """Between all pairs, [..., N, N] of [..., N, 2]."""
    return np.linalg.norm(points[..., :, None, :] - points[..., None, :, :], axis=-1)


def is_simple(corners: Array) -> bool:
    """Whether a polygon [C, 2] has three corners or more, not all in line, none twice, and no sides that cross.

    Example:
        >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        >>> is_simple(square), is_simple(square[[0, 2, 1, 3]])
        (True, False)
    """
    count = len(corners)
    if count < 3 or len(np.unique(corners, axis=0)) < count or on_one_line(corners):
        return False
    starts, ends = corners, np.roll(corners, -1, 0)
    for one in range(count):
        for other in range(one + 2, count):
            if (one, other) != (0, count - 1) and _cross(starts[one], ends[one], starts[other], ends[other]):
                return False
    return True


def _cross(a: Array, b: Array, c: Array, d: Array) -> bool:
    """Whether the segments ab and cd have a point in common."""
    turns = [_turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)]
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    on = ((turns[0], a, b, c), (turns[1], a, b, d), (turns[2], c, d, a), (turns[3], c, d, b))
    return any(turn == 0 and _between(start, end, point) for turn, start, end, point in on)


def _turn(a: Array, b: Array, c: Array) -> float:
    """Positive where a, b, c turn to the left."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def _between(start: Array, end: Array, point: Array) -> bool:
    return bool(np.all(np.minimum(start, end) <= point) and np.all(point <= np.maximum(start, end)))


def incenter(corners: Array) -> Array:
    """The centre of the circle inside a triangle: its corners [..., 3, 2] weighted by the opposite sides, [..., 2]."""
    sides = np.linalg.norm(np.roll(corners, -1, -2) - np.roll(corners, -2, -2), axis=-1)
    return (sides[..., None] * corners).sum(-2) / sides.sum(-1)[..., None]
