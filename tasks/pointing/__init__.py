"""Sets of points, and what is to be answered with pointers at them: hulls, triangulations and tours."""

from lukasa.tasks.pointing.batch import PointSets
from lukasa.tasks.pointing.drawing_points import padded, point_sets, sample_points
from lukasa.tasks.pointing.point_files import fitted, read_points
from lukasa.tasks.pointing.pointing_tasks import (
    POINTING,
    ConvexHull,
    Delaunay,
    PointingTask,
    Tour,
    make_pointing_task,
)
from lukasa.tasks.pointing.tours import held_karp, searched_tours, shortest_tours

__all__ = [
    "POINTING",
    "ConvexHull",
    "Delaunay",
    "PointSets",
    "PointingTask",
    "Tour",
    "fitted",
    "held_karp",
    "make_pointing_task",
    "padded",
    "point_sets",
    "read_points",
    "sample_points",
    "searched_tours",
    "shortest_tours",
]
