"""Recipes of `lukasa train pointers`.

Vinyals et al. 2015 train 512 units with gradient descent, learning rate 1 and batches of 128, on a million sets. These
have fewer units, Adam and batches of 32, which learn more of as many sets and operations on one core;
results/pointers_cpu2_202611.md has what they reach.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lukasa.launch.kinds.kind import Experiments, Group
from lukasa.launch.kinds.pointers.experiment import PointerExperiment
from lukasa.launch.options.typed import option_classes


def _asked(task: str, points: str, size: int, **more: Any) -> PointerExperiment:
    """What all recipes share: Adam with a decay, small batches, and the paper's largest gradient."""
    settings: dict[str, Any] = {
        "task": task,
        "points": points,
        "options": {"size": size},
        "optimizer": "adam",
        "lr": 2e-3,
        "schedule": "cosine",
        "final_lr": 0.01,
        "clip_norm": 2.0,
        "batch_size": 32,
        "steps": 1_000_000,
    }
    return PointerExperiment(**(settings | more))


def hull_5() -> PointerExperiment:
    """A Pointer Network finds the convex hull of 5 points (Vinyals et al. 2015, table 1: 92.0 % exact)."""
    return _asked("convex_hull", "5", 128, steps=1_500_000)


def hull_10() -> PointerExperiment:
    """The convex hull of 10 points (Vinyals et al. 2015, table 1: 87.0 % exact)."""
    return _asked("convex_hull", "10", 128, steps=1_500_000)


def hull_5_20() -> PointerExperiment:
    """The convex hull of 5 to 20 points, to be tested on more."""
    return _asked("convex_hull", "5-20", 128)


def hull_5_50() -> PointerExperiment:
    """The convex hull of 5 to 50 points, as Vinyals et al. 2015 train it (table 1: 69.6 % exact at 50)."""
    return _asked("convex_hull", "5-50", 256)


def hull_10_attention_lstm() -> PointerExperiment:
    """The LSTM with attention, which answers in a dictionary of places, on the hull of 10 points."""
    return _asked("convex_hull", "10", 128, model="attention_lstm")


def hull_10_lstm() -> PointerExperiment:
    """The plain sequence-to-sequence LSTM on the hull of 10 points (Vinyals et al. 2015, table 1: 29.9 % exact)."""
    options = {"size": 128, "attention": False}
    return _asked("convex_hull", "10", 128, model="attention_lstm", options=options)


def hull_5_paper() -> PointerExperiment:
    """The convex hull of 5 points with the paper's settings: 512 units, gradient descent with a learning rate of 1."""
    return _asked("convex_hull", "5", 512, optimizer="sgd", momentum=0.0, lr=1.0, schedule="constant", batch_size=128)


def delaunay_5() -> PointerExperiment:
    """The Delaunay triangulation of 5 points (Vinyals et al. 2015, section 4.3: 80.7 % exact, 93.0 % of triangles)."""
    return _asked("delaunay", "5", 128)


def delaunay_10() -> PointerExperiment:
    """The Delaunay triangulation of 10 points (Vinyals et al. 2015, section 4.3: 22.6 % exact, 81.3 % of triangles)."""
    return _asked("delaunay", "10", 256)


def tsp_5() -> PointerExperiment:
    """The shortest tour of 5 points (Vinyals et al. 2015, table 2: length 2.12, the optimum)."""
    return _asked("tsp", "5", 128, steps=500_000)


def tsp_10() -> PointerExperiment:
    """The shortest tour of 10 points (Vinyals et al. 2015, table 2: length 2.88, optimum 2.87)."""
    return _asked("tsp", "10", 128)


def tsp_20() -> PointerExperiment:
    """The shortest tour of 20 points, learned from insertion and local search."""
    return _asked("tsp", "20", 128)


def tsp_5_20() -> PointerExperiment:
    """The shortest tour of 5 to 20 points, as Vinyals et al. 2015 train it to test it on 25 to 50 (table 2)."""
    return _asked("tsp", "5-20", 128)


POINTER_RECIPES: dict[str, Callable[[], PointerExperiment]] = {
    recipe.__name__: recipe
    for recipe in (
        hull_5,
        hull_10,
        hull_5_20,
        hull_5_50,
        hull_10_attention_lstm,
        hull_10_lstm,
        hull_5_paper,
        delaunay_5,
        delaunay_10,
        tsp_5,
        tsp_10,
        tsp_20,
        tsp_5_20,
    )
}
"""The recipes of `lukasa train pointers`, by name."""

POINTING = Experiments(
    name="pointers",
    experiment=PointerExperiment,
    recipes=POINTER_RECIPES,
    step_key="sets",
    counted="sets of points",
    questions=(("task", "pointing task", "pointing", "convex_hull"), ("model", "model", "pointers", "pointer_network")),
    shown=("task", "points", "model", "steps"),
    may_change=("device",),
    groups={"options": Group("model", option_classes("pointers"))},
    sections={
        "What to train": ("model", "task", "points", "start_from", "steps"),
        "The model": ("options",),
        "Running": ("device", "prefetch", "report_every", "validate_every"),
    },
    examples=(
        ("lukasa train pointers hull_10", "a recipe; lukasa list recipes names them all"),
        ("lukasa train pointers tsp_10 --seeds 3", "from three starts"),
        ("lukasa train pointers --task delaunay --points 5-10 --options.size 256", "without a recipe"),
        ("lukasa train pointers --model attention_lstm --help", "the options of another model"),
    ),
)
"""Pointers at points, as the command line sees them."""
