"""Sets of points out of a user's file, CSV or NPZ.

Dimensions: B sets, N points.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from lukasa.tasks.data import DataError
from lukasa.tasks.pointing.geometry import Array
from lukasa.tasks.pointing.own_sets import check_set


def read_points(path: Path, least: int, *, fit: bool = False) -> list[Array]:
    """The sets of points in a file.

    A CSV file has a point "x,y" a line, and an empty line between sets; a first line of words is a heading. An NPZ file
    has an array ``points``, [N, 2] or [B, N, 2].

    Args:
        path: ends in .csv or .npz.
        least: points that a set has at least.
        fit: move and scale each set into the unit square, by the same factor in both directions, rather than refuse it.

    Returns:
        Each set, float64 [N, 2].

    Raises:
        DataError: the file is not there, cut short, or has no sets of points that can be used; says where.
    """
    readers = {".csv": _read_csv, ".npz": _read_npz}
    if path.suffix.lower() not in readers:
        raise DataError(f"{path}: expected a file of points, .csv or .npz")
    try:
        sets = readers[path.suffix.lower()](path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not sets:
        raise DataError(f"{path}: has no points: expected a point x,y on each line")
    return [_checked(one, places, least, fit) for places, one in sets]


def fitted(points: Array) -> Array:
    """A set moved and scaled into the unit square, in the middle of its shorter side: angles stay as they are.

    Example:
        >>> fitted(np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 5.0]])).tolist()
        [[0.0, 0.25], [1.0, 0.25], [1.0, 0.75]]
    """
    low, span = points.min(0), np.ptp(points, axis=0)
    side = float(span.max())
    if not side:
        return points - low
    return (points - low + (side - span) / 2) / side


def _read_csv(path: Path) -> list[tuple[list[str], Array]]:
    """Each set with what its points are called in messages."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path}: is no text: expected a point x,y on each line") from None
    sets: list[tuple[list[str], list[list[float]]]] = [([], [])]
    for number, line in enumerate(lines, 1):
        if not line.strip():
            sets.append(([], []))
            continue
        cells = [cell.strip() for cell in line.split(",")]
        if number == 1 and not any(_is_number(cell) for cell in cells):
            continue
        if len(cells) != 2 or not all(map(_is_number, cells)):
            raise DataError(f"{path}, line {number}: {line.strip()!r} is no point: expected two numbers, x,y")
        sets[-1][0].append(f"{path}, line {number}")
        sets[-1][1].append([float(cell) for cell in cells])
    return [(places, np.array(points)) for places, points in sets if points]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_npz(path: Path) -> list[tuple[list[str], Array]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if "points" not in file:
                there = ", ".join(file.files) or "nothing"
                raise DataError(f"{path}: has no array 'points': it has {there}")
            points = file["points"]
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise DataError(f"{path}: is cut short or no NPZ file ({error}): write it again with numpy.savez") from error
    if points.dtype.kind not in "fiu" or points.ndim not in (2, 3) or points.shape[-1] != 2:
        raise DataError(
            f"{path}: its array 'points' is {points.dtype} {list(points.shape)}: expected numbers [N, 2] or [B, N, 2]"
        )
    sets = points.astype(np.float64).reshape(-1, *points.shape[-2:])
    return [([f"{path}, set {row}, point {at}" for at in range(len(one))], one) for row, one in enumerate(sets)]


def _checked(points: Array, places: list[str], least: int, fit: bool) -> Array:
    """A set that can be answered.

    Raises:
        DataError: it cannot.
    """
    if fit and np.isfinite(points).all() and len(points):
        points = fitted(points)
    try:
        check_set(points, least, places, "add --fit to move and scale each set into it")
    except ValueError as error:
        raise DataError(str(error)) from None
    return points
