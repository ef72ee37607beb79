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

from launch.learning import Subject

mpl.use("Agg")  # files only: works without a display

DOTS_PER_INCH = 150
MOST_FEATURE_LABELS = 8


@dataclass(frozen=True)
class Curve:
    """One line of a learning picture.

    Attributes:
        label: what the legend says.
        steps: environment steps or sequences.
        scores: mean score there.
        spread: standard deviation over episodes, empty where it is not known.
        levels: a curriculum's lesson or level there, empty where there is none.
        validation: steps and score of each validation, empty where there is none.
    """

    label: str
    steps: Sequence[float]
    scores: Sequence[float]
    spread: Sequence[float] = ()
    levels: Sequence[float] = ()
    validation: Sequence[tuple[float, float]] = ()


def draw_learning(curves: Sequence[Curve], path: Path, subject: Subject) -> None:
    """Score against steps, one line a run, with the levels of chance, of a perfect memory and of the paper.

    Args:
        curves: at least one; a single one comes with its spread and its curriculum's level.
        path: the PNG to write.
        subject: what was learned.
    """
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for curve in curves:
        (drawn,) = axes.plot(curve.steps, curve.scores, label=curve.label, linewidth=1.8)
        if curve.validation:
            steps, scores = zip(*curve.validation, strict=True)
            style = {"marker": "o", "markersize": 3.5, "linestyle": "--", "color": drawn.get_color()}
            axes.plot(steps, scores, label=f"{curve.label}, validation", **style)
    if len(curves) == 1:
        _draw_spread(axes, curves[0])
        _draw_levels(axes, curves[0])
    known = {"best": subject.best, "chance": subject.chance, "paper": subject.published}
    for (name, level), line in zip(known.items(), ("--", ":", "-."), strict=True):
        if level is not None:
            axes.axhline(level, color="0.35", linewidth=1, linestyle=line)
            side, align = (0.01, "bottom") if name == "paper" else (1, "center")
            place = {"xycoords": ("axes fraction", "data"), "va": align, "color": "0.35", "fontsize": 9}
            axes.annotate(f" {name} {level:g}", (side, level), **place)
    axes.set(title=subject.name, xlabel=subject.counted, ylabel=f"mean {subject.unit}")
    axes.xaxis.set_major_formatter(FuncFormatter(_counted))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    save_figure(figure, path)


def _counted(steps: float, _: int) -> str:
    """Steps at an axis, such as 500 and 20k."""
    return f"{steps / 1000:,.3g}k" if steps >= 1000 else f"{steps:g}"


def _draw_spread(axes: Axes, curve: Curve) -> None:
    if len(curve.spread):
        low, high = np.subtract(curve.scores, curve.spread), np.add(curve.scores, curve.spread)
        label = "± 1 standard deviation of episodes"
        axes.fill_between(curve.steps, low, high, color="C0", alpha=0.15, linewidth=0, label=label)


def _draw_levels(axes: Axes, curve: Curve) -> None:
    if len(set(curve.levels)) > 1:
        beside = axes.twinx()
        beside.step(curve.steps, curve.levels, color="0.6", linewidth=1.2, where="post")
        beside.set_ylabel("level of the curriculum", color="0.5")
        beside.spines["top"].set_visible(False)


def draw_episode(
    shown: Mapping[str, np.ndarray],
    weights: Mapping[str, np.ndarray],
    path: Path,
    *,
    title: str,
    pictures: np.ndarray | None = None,
) -> None:
    """What went in and came out above the memory's weights, over the time of one episode or sequence.

    Args:
        shown: named rows [T, ...], whole numbers where they are categories.
        weights: named weights [T, heads, slots], or [T, units] of a core that has no slots.
        path: the PNG to write.
        title: which episode this is.
        pictures: [T, height, width] that went in, from 0 to 1 for all ink, to be drawn above everything.
    """
    steps = len(next(iter(shown.values())))
    images = [(label, image, values) for name, values in weights.items() for label, image in _images(name, values)]
    strips = [] if pictures is None else [pictures]
    width = min(16.0, max(7.0, (0.3 if strips else 0.16) * steps + 2))
    # So high that pictures are about square beside the labels and the colour bars.
    heights = [*[1.4 * (width - 2) / steps] * len(strips), *map(_row_height, shown.values()), *[2.0] * len(images)]
    size = (width, sum(heights) * 0.9 + 1.2)
    figure, grid = plt.subplots(
        len(heights), 1, figsize=size, height_ratios=heights, sharex=True, layout="constrained", squeeze=False
    )
    rows = list(grid[:, 0])
    for axes, strip in zip(rows, strips, strict=False):
        _draw_pictures(axes, strip)
    largest = max((int(values.max()) for values in shown.values() if _is_category(values)), default=0)
    for axes, (label, values) in zip(rows[len(strips) :], shown.items(), strict=False):
        _draw_row(axes, values, label, largest)
    for axes, (label, image, values) in zip(rows[len(strips) + len(shown) :], images, strict=True):
        has_slots = values.ndim == 3
        limits: dict[str, Any] = {"vmin": 0, "vmax": float(values.max()), "cmap": "viridis"}
        drawn = axes.imshow(
            image.T,
            aspect="auto",
            interpolation="nearest",
            origin="lower",
            **limits if has_slots else {"cmap": "coolwarm"},
        )
        axes.set_ylabel(label + ("\nslot" if has_slots else "\nunit"))
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        figure.colorbar(drawn, ax=axes, pad=0.01)
    for axes in rows[:-1]:
        axes.tick_params(bottom=False)
    rows[-1].set_xlabel("step")
    rows[-1].xaxis.set_major_locator(MaxNLocator(12, integer=True))
    rows[0].set_title(title)
    save_figure(figure, path)


def _images(name: str, values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Each head's image [T, N] with its label."""
    if values.ndim == 2:
        return [(name, values)]
    heads = values.shape[1]
    return [(name if heads == 1 else f"{name} {head + 1}", values[:, head]) for head in range(heads)]


def _row_height(values: np.ndarray) -> float:
    features = int(np.prod(values.shape[1:]))
    return 0.5 if features == 1 else min(2.5, 0.6 + 0.1 * features)


def _draw_pictures(axes: Axes, pictures: np.ndarray) -> None:
    """Each picture [T, height, width] above its step."""
    steps, height, width = pictures.shape
    strip = pictures.transpose(1, 0, 2).reshape(height, steps * width)
    axes.imshow(1 - strip, cmap="gray", vmin=0, vmax=1, aspect="auto", extent=(-0.5, steps - 0.5, 0, 1))
    axes.vlines(np.arange(1, steps) - 0.5, 0, 1, color="0.8", linewidth=0.5)
    axes.set_ylabel("picture", rotation=0, ha="right", va="center")
    axes.set_yticks([])


def _is_category(values: np.ndarray) -> bool:
    return np.issubdtype(values.dtype, np.integer) and values.size == len(values)


def _draw_row(axes: Axes, values: np.ndarray, label: str, largest: int) -> None:
    """What the agent saw or did: numbers in coloured cells where they are few, an image of its features else."""
    image = np.asarray(values, dtype=np.float64).reshape(len(values), -1)
    is_category = _is_category(values)
    # A category has one colour in all rows.
    colours: dict[str, Any] = {"cmap": "Set3", "vmin": 0, "vmax": largest} if is_category else {"cmap": "cividis"}
    axes.imshow(image.T, aspect="auto", interpolation="nearest", **colours)
    axes.set_ylabel(label, rotation=0, ha="right", va="center")
    if image.shape[1] == 1 or image.shape[1] > MOST_FEATURE_LABELS:
        axes.set_yticks([])
    else:
        axes.set_yticks(range(image.shape[1]))
    if is_category and len(values) <= 110:
        for step, value in enumerate(values.ravel()):
            axes.text(step, 0, f"{value}", ha="center", va="center", fontsize=6.5)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG and forget it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    plt.close(figure)
