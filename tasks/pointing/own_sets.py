"""Sets of points that a user brings: what is refused, in one sentence each.

Dimensions: N points.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lukasa.tasks.pointing.geometry import Array, on_one_line

SHARPEST = 1e-6
"""Share of a set's extent that models, which see it in float32, tell apart."""


def check_set(points: Array, least: int, places: Sequence[str], remedy: str) -> None:
    """Refuse a set that a model cannot answer, or that has no answer.

    Args:
        points: float64 [N, 2].
        least: points that a set has at least; from 3 on they must not all lie on one line.
        places: what each point is called.
        remedy: what to do about points outside the unit square.

    Raises:
        ValueError: there are too few points, one is not finite, lies outside the unit square or comes twice, or all lie
            on one line.
    """
    if len(points) < least:
        last = places[-1] if places else "it"
        raise ValueError(f"{last}: ends a set of {len(points)} points: expected at least {least}")
    for place, (x, y) in zip(places, points, strict=True):
        if not np.isfinite([x, y]).all():
            raise ValueError(f"{place}: ({x:g}, {y:g}) is no point: expected finite numbers")
    for place, (x, y) in zip(places, points, strict=True):
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError(f"{place}: ({x:g}, {y:g}) is outside the unit square, from which models learn: {remedy}")
    seen: dict[tuple[float, ...], str] = {}
    for place, point in zip(places, points.astype(np.float32).tolist(), strict=True):
        first = seen.setdefault(tuple(point), place)
        if first != place:
            raise ValueError(f"{place}: is the same point as {first}: leave one of them out")
    if least >= 3 and on_one_line(points, SHARPEST):
        raise ValueError(f"{places[-1]}: ends a set whose points all lie on one line: move one of them off it")
