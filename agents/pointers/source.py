"""Draws sets of points to learn from; no set comes twice."""

from __future__ import annotations

from torch import Generator

from lukasa.agents.learning import Constant
from lukasa.tasks.pointing import PointingTask, PointSets, sample_points


class PointSource(Constant):
    """Sets of points in the unit square, with what is right about each.

    Args:
        task: what is to be answered.
        least: points of the smallest set.
        most: of the largest.

    Raises:
        ValueError: the task needs more points, or the range is empty.
    """

    def __init__(self, task: PointingTask, least: int, most: int):
        if least < task.least:
            raise ValueError(f"sets of {least} points are too small: {task.title} needs at least {task.least}")
        if most < least:
            raise ValueError(f"sets of {least} to {most} points: expected the smaller number first")
        self.task, self.least, self.most = task, least, most

    def sample(self, chosen: None, rows: int, generator: Generator) -> PointSets:
        """Draw so many sets."""
        return sample_points(self.task, rows, self.least, self.most, generator)
