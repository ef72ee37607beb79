"""Sets of random points, with what is right about each.

Dimensions: B sets, N points.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from lukasa.tasks.pointing.batch import PointSets
from lukasa.tasks.pointing.geometry import Array
from lukasa.tasks.pointing.pointing_tasks import PointingTask


def sample_points(task: PointingTask, rows: int, least: int, most: int, generator: Generator) -> PointSets:
    """Sets of points drawn uniformly from the unit square, each of a size drawn from a range.

    Args:
        task: what is to be answered.
        rows: sets (B).
        least: points of the smallest set.
        most: of the largest.
        generator: decides, alone, what is drawn.
    """
    sizes = torch.randint(least, most + 1, (rows,), generator=generator)
    return point_sets(task, torch.rand(rows, most, 2, generator=generator), sizes)


def point_sets(task: PointingTask, points: Tensor, sizes: Tensor) -> PointSets:
    """Sets of points with what is right about each.

    Args:
        task: what is to be answered.
        points: [B, N, 2]; what is after the points of a set is made 0.
        sizes: int64 [B].

    Raises:
        ValueError: a set is too small, or has no such answer.
    """
    points = points * (torch.arange(points.shape[1]) < sizes[:, None])[..., None]
    exact = points.double().numpy()
    found: list[Sequence[int]] = [()] * len(points)
    for size in sizes.unique().tolist():  # sets of one size are solved together
        places = (sizes == size).nonzero().squeeze(1).tolist()
        for place, answer in zip(places, task.answers(exact[places, :size]), strict=True):
            found[place] = answer.tolist()
    lengths = torch.tensor([len(one) for one in found], dtype=torch.int64)
    answers = np.full((len(found), max(map(len, found), default=0)), -1, np.int64)
    for place, one in enumerate(found):
        answers[place, : len(one)] = one
    return PointSets(points, sizes, torch.from_numpy(answers), lengths)


def padded(sets: Sequence[Array]) -> tuple[Tensor, Tensor]:
    """Sets of different sizes, each [n, 2], as float32 [B, N, 2] with 0 after them, and their sizes."""
    sizes = torch.tensor([len(one) for one in sets])
    points = torch.zeros(len(sets), int(sizes.max()), 2)
    for row, one in zip(points, sets, strict=True):
        row[: len(one)] = torch.as_tensor(one, dtype=torch.float32)
    return points, sizes
