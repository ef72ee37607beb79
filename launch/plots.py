"""Pictures: learning curves, and what a memory does during an episode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

mpl.use("Agg")  # files only: works without a display

DOTS_PER_INCH = 150
MOST_FEATURE_LABELS = 8


@dataclass(frozen=True)
class Curve:
    """One line of a learning picture.

    Attributes:
        label: what the legend says.
        steps: environment steps.
        scores: mean score there.
        spread: standard deviation over episodes, empty where it is not known.
    """

    label: str
    steps: Sequence[float]
    scores: Sequence[float]
    spread: Sequence[float] = ()


def draw_learning(
    curves: Sequence[Curve], path: Path, *, title: str, unit: str, chance: float | None, best: float | None
) -> None:
    """Score against environment steps, one line a run, with the levels of chance and of a perfect memory.

    Args:
        curves: at least one.
        path: the PNG to write.
        title: what was learned.
        unit: what the score is.
        chance: the score of a guess, None when it is not known.
        best: the best score there is, None when it is not known.
    """
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for curve in curves:
        (line,) = axes.plot(curve.steps, curve.scores, label=curve.label, linewidth=1.8)
        if len(curves) == 1 and len(curve.spread):
            low, high = np.subtract(curve.scores, curve.spread), np.add(curve.scores, curve.spread)
            label = "± 1 standard deviation of episodes"
            axes.fill_between(curve.steps, low, high, color=line.get_color(), alpha=0.15, linewidth=0, label=label)
    for level, name in ((best, "best"), (chance, "chance")):
        if level is not None:
            axes.axhline(level, color="0.35", linewidth=1, linestyle="--" if name == "best" else ":")
            axes.annotate(
                f" {name} {level:g}",
                (1, level),
                xycoords=("axes fraction", "data"),
                va="center",
                color="0.35",
                fontsize=9,
            )
    axes.set(title=title, xlabel="environment steps", ylabel=f"mean {unit}")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1000:,.0f}k" if value else "0"))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    _save(figure, path)


def draw_episode(
    observations: np.ndarray, actions: np.ndarray, weights: Mapping[str, np.ndarray], path: Path, *, title: str
) -> None:
    """Observation and action above the memory's weights, over the time of one episode.

    Args:
        observations: [T, ...], whole numbers for a discrete space.
        actions: [T, ...].
        weights: named weights [T, heads, slots], or [T, units] of a core that has no slots.
        path: the PNG to write.
        title: which episode this is.
    """
    steps = len(actions)
    images = [(label, image) for name, values in weights.items() for label, image in _images(name, values)]
    heights = [_row_height(observations), _row_height(actions), *[2.0] * len(images)]
    size = (min(16.0, max(7.0, 0.16 * steps + 2)), sum(heights) * 0.9 + 1.2)
    figure, grid = plt.subplots(
        len(heights), 1, figsize=size, height_ratios=heights, sharex=True, layout="constrained", squeeze=False
    )
    rows = list(grid[:, 0])
    _draw_row(rows[0], observations, "observation")
    _draw_row(rows[1], actions, "action")
    slots = [values.ndim == 3 for values in weights.values() for _ in _images("", values)]
    largest = max((float(image.max()) for _, image in images), default=1.0)
    for axes, (label, image), is_weight in zip(rows[2:], images, slots, strict=True):
        limits: dict[str, Any] = {"vmin": 0, "vmax": largest, "cmap": "viridis"} if is_weight else {"cmap": "coolwarm"}
        drawn = axes.imshow(image.T, aspect="auto", interpolation="nearest", origin="lower", **limits)
        axes.set_ylabel(label + ("\nslot" if is_weight else "\nunit"))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        figure.colorbar(drawn, ax=axes, pad=0.01, label="weight" if is_weight else "value")
    for axes in rows[:-1]:
        axes.tick_params(bottom=False)
    rows[-1].set_xlabel("step")
    rows[-1].xaxis.set_major_locator(MaxNLocator(12, integer=True))
    rows[0].set_title(title)
    _save(figure, path)


def _images(name: str, values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Each head's image [T, N] with its label."""
    if values.ndim == 2:
        return [(name, values)]
    heads = values.shape[1]
    return [(name if heads == 1 else f"{name} {head + 1}", values[:, head]) for head in range(heads)]


def _row_height(values: np.ndarray) -> float:
    features = int(np.prod(values.shape[1:]))
    return 0.5 if features == 1 else min(2.5, 0.6 + 0.1 * features)


def _draw_row(axes: Axes, values: np.ndarray, label: str) -> None:
    """What the agent saw or did: numbers in coloured cells where they are few, an image of its features else."""
    image = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    is_category = np.issubdtype(values.dtype, np.integer) and image.shape[1] == 1
    axes.imshow(image.T, aspect="auto", interpolation="nearest", cmap="Set3" if is_category else "cividis")
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    if image.shape[1] == 1 or image.shape[1] > MOST_FEATURE_LABELS:
        axes.set_yticks([])
    else:
        axes.set_yticks(range(image.shape[1]))
    if is_category and len(values) <= 110:
        for step, value in enumerate(values.ravel()):
            axes.text(step, 0, f"{value}", ha="center", va="center", fontsize=6.5)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    plt.close(figure)
