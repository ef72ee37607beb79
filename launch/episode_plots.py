"""What a memory does during an episode."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from launch.figures import save_figure

MOST_FEATURE_LABELS = 8


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
        path: the picture to write.
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
