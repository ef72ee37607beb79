"""What Vinyals et al. 2015 report: tables 1 and 2, and section 4.3."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lukasa.launch.kinds.pointers.experiment import PointerExperiment

PAPER = "Vinyals et al. 2015"

PUBLISHED: dict[tuple[str, str, str], dict[int, dict[str, float]]] = {
    ("convex_hull", "pointer_network", "5-50"): {
        5: {"exact": 92.0, "area": 99.6},
        10: {"exact": 87.0, "area": 99.8},
        50: {"exact": 69.6, "area": 99.9},
        100: {"exact": 50.3, "area": 99.9},
        200: {"exact": 22.1, "area": 99.9},
        500: {"exact": 1.3, "area": 99.2},
    },
    ("convex_hull", "pointer_network", "50"): {50: {"exact": 72.6, "area": 99.9}},
    ("convex_hull", "attention_lstm", "50"): {50: {"exact": 38.9, "area": 99.7}},
    ("convex_hull", "lstm", "50"): {50: {"exact": 1.9}},
    ("convex_hull", "lstm", "5"): {5: {"exact": 87.7, "area": 99.6}},
    ("convex_hull", "lstm", "10"): {10: {"exact": 29.9}},
    ("delaunay", "pointer_network", "5"): {5: {"exact": 80.7, "triangles": 93.0}},
    ("delaunay", "pointer_network", "10"): {10: {"exact": 22.6, "triangles": 81.3}},
    ("delaunay", "pointer_network", "50"): {50: {"exact": 0.0, "triangles": 52.8}},
    ("tsp", "pointer_network", "5"): {5: {"length": 2.12, "known": 2.12}},
    ("tsp", "pointer_network", "10"): {10: {"length": 2.88, "known": 2.87}},
    ("tsp", "pointer_network", "5-20"): {
        5: {"length": 2.12, "known": 2.12},
        10: {"length": 2.87, "known": 2.87},
        20: {"length": 3.88, "known": 3.83},
        25: {"length": 4.30},
        30: {"length": 4.72},
        40: {"length": 5.91},
        50: {"length": 7.66},
    },
}
"""By task, model and points of training, then by points of the test."""

OF_ONE_SIZE = {"convex_hull": "5-50", "tsp": "5-20"}
"""The training whose results a model of one size is shown beside, where the paper has none of that size alone."""


def published(task: str, model: str, points: str, size: int) -> tuple[dict[str, float], str]:
    """What the paper reports of a model tested on sets of a size, and the points of its training; nothing else.

    Example:
        >>> published("convex_hull", "pointer_network", "10", 10)
        ({'exact': 87.0, 'area': 99.8}, '5-50')
    """
    for trained in (points, OF_ONE_SIZE.get(task, "")):
        found = PUBLISHED.get((task, model, trained), {}).get(size)
        if found:
            return found, trained
    return {}, ""


def model_name(experiment: PointerExperiment) -> str:
    """What the paper's tables call a model: without attention it is the plain LSTM."""
    plain = experiment.model == "attention_lstm" and not experiment.options.get("attention", True)
    return "lstm" if plain else experiment.model


def published_exact(experiment: PointerExperiment) -> float | None:
    """Percent of exact answers that the paper reports for the run's own size; None where it does not."""
    if not experiment.points.isdecimal():
        return None
    size = int(experiment.points)
    return published(experiment.task, model_name(experiment), experiment.points, size)[0].get("exact")
