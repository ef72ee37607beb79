"""The three tasks of Vinyals et al. 2015: what is right, and what an answer is worth.

Dimensions: B sets, N points, L pointers of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay as QuickDelaunay
from scipy.spatial import QhullError

from lukasa.ground.registry import Registry
from lukasa.tasks.pointing.geometry import Array, incenter, is_simple, on_one_line, signed_area, tour_length
from lukasa.tasks.pointing.hulls import convex_hulls
from lukasa.tasks.pointing.tours import shortest_tours

Answer = NDArray[np.int64]


class PointingTask(Protocol):
    """What is to be answered about a set of points with pointers at them.

    Attributes:
        title: what results call it.
        distinct: whether a point is pointed at only once.
        everything: whether an answer is a permutation of all points.
        first: whether it begins with the first point.
        least: pointers that an answer has at least, and points that a set has.
        multiple: what their number is a multiple of.
        parts: what each answer is scored on beside being exact, as ``scores`` names it, with its unit.
    """

    title: str
    distinct: bool
    everything: bool
    first: bool
    least: int
    multiple: int
    parts: ClassVar[dict[str, str]]

    def answers(self, points: Array) -> list[Answer]:
        """What is right for sets of equally many points, float64 [B, N, 2].

        Raises:
            ValueError: a set is too small, or has no such answer.
        """
        ...

    def longest(self, size: int) -> int:
        """The most pointers of an answer about so many points."""
        ...

    def is_right(self, answer: Sequence[int], right: Sequence[int]) -> bool:
        """Whether two answers say the same."""
        ...

    def scores(self, points: Array, answer: Sequence[int], right: Sequence[int]) -> dict[str, float | None]:
        """What an answer about points [N, 2] is worth, by the names of ``parts``; None where it is no answer."""
        ...


NEEDED = (*PointingTask.__annotations__, "answers", "longest", "is_right", "scores")


class ConvexHull:
    """The corners of the convex hull, counter-clockwise, from the one of the lowest number on (section 3.1)."""

    title = "convex hull"
    distinct, everything, first, least, multiple = True, False, False, 3, 1
    parts: ClassVar[dict[str, str]] = {"area": "area %"}

    def answers(self, points: Array) -> list[Answer]:
        """By the definition where they are few points, by SciPy's Quickhull where they are many.

        Raises:
            ValueError: there are fewer than three points, one is not finite, or all lie on one line.
        """
        _check(points, self.least, "a hull", "hull")
        return list(convex_hulls(points))

    def longest(self, size: int) -> int:
        """All points may be corners."""
        return size

    def is_right(self, answer: Sequence[int], right: Sequence[int]) -> bool:
        """Whether they are the same polygon, wherever it begins and whichever way it turns, as the paper counts."""
        return _same_ring(answer, right)

    def scores(self, points: Array, answer: Sequence[int], right: Sequence[int]) -> dict[str, float | None]:
        """Share of the hull's area that the polygon covers; None where it crosses itself.

        A simple polygon with corners among the points lies within their hull, so that its area is what it covers.
        """
        corners = points[list(answer)]
        if not is_simple(corners):
            return {"area": None}
        return {"area": 100 * abs(signed_area(corners)) / signed_area(points[list(right)])}


class Delaunay:
    """The triangles of the Delaunay triangulation, three pointers each, in increasing order (section 3.2).

    The triangles are in lexicographic order of the centres of the circles inside them.
    """

    title = "Delaunay triangulation"
    distinct, everything, first, least, multiple = False, False, False, 3, 3
    parts: ClassVar[dict[str, str]] = {"triangles": "triangles %"}

    def answers(self, points: Array) -> list[Answer]:
        """By SciPy's Delaunay.

        Raises:
            ValueError: there are fewer than three points, one is not finite, or all lie on one line.
        """
        _check(points, self.least, "a triangulation", "triangles")
        return [self._answer(one) for one in points]

    def _answer(self, points: Array) -> Answer:
        try:
            triangles = np.sort(QuickDelaunay(points).simplices.astype(np.int64), 1)
        except QhullError:
            raise ValueError("all points lie on one line, and have no triangles: move one of them off it") from None
        x, y = incenter(points[triangles]).T
        return triangles[np.lexsort((y, x))].ravel()

    def longest(self, size: int) -> int:
        """Three corners on the hull leave 2 N - 5 triangles, the most there can be."""
        return 3 * max(1, 2 * size - 5)

    def is_right(self, answer: Sequence[int], right: Sequence[int]) -> bool:
        """Whether they are the same triangles, in any order, each once."""
        return len(answer) == len(right) and _triangles(answer) == _triangles(right)

    def scores(self, points: Array, answer: Sequence[int], right: Sequence[int]) -> dict[str, float | None]:
        """Share of the right triangles that are in the answer."""
        wanted = _triangles(right)
        return {"triangles": 100 * len(_triangles(answer) & wanted) / len(wanted)}


class Tour:
    """The shortest closed tour through all points, from the first on (section 3.3), counter-clockwise.

    Exact up to 12 points; beyond, the best that farthest insertion, 2-opt and Or-opt find.
    """

    title = "travelling salesman"
    distinct, everything, first, least, multiple = True, True, True, 3, 1
    parts: ClassVar[dict[str, str]] = {"length": "length", "known": "shortest", "gap": "longer by %"}

    def answers(self, points: Array) -> list[Answer]:
        """As ``shortest_tours``.

        Raises:
            ValueError: there are fewer than three points, or one is not finite.
        """
        _check(points, self.least, "a tour")
        return list(shortest_tours(points))

    def longest(self, size: int) -> int:
        """A tour has all points."""
        return size

    def is_right(self, answer: Sequence[int], right: Sequence[int]) -> bool:
        """Whether they are the same tour, in either direction."""
        return _same_ring(answer, right)

    def scores(self, points: Array, answer: Sequence[int], right: Sequence[int]) -> dict[str, float | None]:
        """Its length beside that of the shortest tour known; None where it does not visit every point once."""
        known = tour_length(points[list(right)])
        if sorted(answer) != list(range(len(points))):
            return {"length": None, "known": known, "gap": None}
        length = tour_length(points[list(answer)])
        return {"length": length, "known": known, "gap": 100 * (length / known - 1)}


def _check(points: Array, least: int, what: str, part: str = "") -> None:
    """Refuse sets [B, N, 2] that have no such answer; with ``part``, what sets on one line have none of."""
    if points.shape[1] < least:
        raise ValueError(f"{what} needs at least {least} points, got {points.shape[1]}")
    if not np.isfinite(points).all():
        raise ValueError(f"{what} needs finite numbers, and a point has one that is not")
    if part and on_one_line(points).any():
        raise ValueError(f"all points lie on one line, and have no {part}: move one of them off it")


def _same_ring(answer: Sequence[int], right: Sequence[int]) -> bool:
    one, other = list(answer), list(right)
    if len(one) != len(other) or not one or one[0] not in other:
        return False
    start = other.index(one[0])
    ring = other[start:] + other[:start]
    return one in (ring, ring[:1] + ring[:0:-1])


def _triangles(answer: Sequence[int]) -> set[frozenset[int]]:
    return {frozenset(answer[at : at + 3]) for at in range(0, len(answer) - 2, 3)}


def _own(path: str, found: Any) -> type[PointingTask]:
    if not (isinstance(found, type) and all(hasattr(found, name) for name in NEEDED)):
        raise ValueError("expected a class with what lukasa.tasks.pointing.PointingTask describes")
    return found


POINTING: Registry[type[PointingTask]] = Registry(
    "pointing task", {"convex_hull": ConvexHull, "delaunay": Delaunay, "tsp": Tour}, _own
)
"""Every pointing task by the name that ``make_pointing_task`` and the command line know."""


def make_pointing_task(name: str) -> PointingTask:
    """A pointing task by name.

    Args:
        name: a key of ``POINTING``, or "package.module:Class" of one of your own.

    Raises:
        UnknownNameError: there is none.

    Example:
        >>> square = np.array([[[0.1, 0.1], [0.9, 0.1], [0.5, 0.4], [0.9, 0.9], [0.1, 0.9]]])
        >>> make_pointing_task("convex_hull").answers(square)[0].tolist()
        [0, 1, 3, 4]
    """
    return POINTING.find(name)()
