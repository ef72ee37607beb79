"""Pictures of episodes: which class is taken for which, and the examples that were named wrongly.

Dimensions: N classes, K support examples of each, M queries, H and W height and width of a picture.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Rectangle

from lukasa.launch.pictures.figures import save_figure

MOST_MISTAKES = 10
"""Wrongly named examples of a class that the sheet shows."""


class Named(NamedTuple):
    """One episode and what a learner made of it; examples [H, W], [3, H, W], or of any shape."""

    support: np.ndarray  # [N, K, ...]
    queries: np.ndarray  # [M, ...]
    targets: np.ndarray  # [M], the right class's place along N
    answers: np.ndarray  # [M]
    ink: bool = True  # whether 1 is all ink, and not light


def draw_confusion(named: Named, path: Path, *, title: str) -> Path:
    """How often each class was named as each, the class's first support picture at both axes.

    Args:
        named: the episode.
        path: the picture to write.
        title: whose answers.
    """
    ways, (support, _) = len(named.support), pictures(named)
    counts = np.zeros((ways, ways), dtype=int)
    np.add.at(counts, (named.targets, named.answers), 1)
    side = max(5.0, 0.42 * ways + 1.6)
    figure, axes = plt.subplots(figsize=(side, side), layout="constrained")
    axes.imshow(counts, cmap="Blues", vmin=0)
    for row, column in zip(*counts.nonzero(), strict=True):
        colour = "white" if counts[row, column] > counts.max() / 2 else "black"
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=8, color=colour)
    for place in range(ways):
        _thumbnail(axes, support[place, 0], (place, -0.95))
        _thumbnail(axes, support[place, 0], (-0.95, place))
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel("examples of a class (row) that were named as a class (column)")
    axes.set_title(title, pad=32, fontsize=10)
    save_figure(figure, path)
    return path


def draw_wrong(named: Named, path: Path, *, title: str) -> Path:
    """A row for each class: its support pictures, then the queries that were named wrongly, each with the answer.

    Args:
        named: the episode.
        path: the picture to write.
        title: whose answers.
    """
    (ways, shots), (support, queries) = named.support.shape[:2], pictures(named)
    wrong = [np.flatnonzero((named.targets == place) & (named.answers != place)) for place in range(ways)]
    shown = min(MOST_MISTAKES, max(map(len, wrong)))
    columns = shots + 0.5 + shown
    size = (max(6.0, 0.66 * columns + 1), 0.76 * ways + 0.8)
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    for place in range(ways):
        axes.text(-0.25, place, f"{place + 1}", ha="right", va="center")
        for shot in range(shots):
            _picture(axes, support[place, shot], (0.5 + shot, place), "0.7")
    for place, missed in enumerate(wrong):
        for column, query in enumerate(missed[:shown]):
            x = 1 + shots + column
            _picture(axes, queries[query], (x, place), "C3")
            answer = f"as {named.answers[query] + 1}"
            axes.text(x, place - 0.4, answer, ha="center", va="bottom", fontsize=7, color="C3")
        if len(missed) > shown:
            axes.text(columns + 0.1, place, f"+ {len(missed) - shown}", va="center", fontsize=9)
    axes.set(xlim=(-0.6, columns + 0.6), ylim=(ways - 0.4, -0.75), aspect="equal")
    axes.axis("off")
    axes.set_title(f"{title}\nsupport, and what was named as another class", fontsize=10)
    save_figure(figure, path)
    return path


def pictures(named: Named) -> tuple[np.ndarray, np.ndarray]:
    """Support and queries as pictures, grey or in colour, from 0 to 1 for light.

    Numbers beyond 0 to 1 are brought there by the smallest and largest of the episode. What is no picture becomes one:
    its numbers row by row, in a square.

    Returns:
        [N, K, H, W] and [M, H, W], or with [H, W, 3].
    """
    shape = named.queries.shape[1:]
    low = min(float(named.support.min()), float(named.queries.min()))
    high = max(float(named.support.max()), float(named.queries.max()))
    shown = []
    for examples in (named.support, named.queries):
        before = examples.shape[: examples.ndim - len(shape)]
        if low < 0 or high > 1:
            examples = (examples - low) / max(high - low, 1e-12)  # all alike: no division by 0
        if len(shape) == 3 and shape[0] == 3:
            shown.append(np.moveaxis(examples, -3, -1))
            continue
        if len(shape) != 2 and not (len(shape) == 3 and shape[0] == 1):
            flat = examples.reshape(*before, -1)
            side = math.ceil(math.sqrt(flat.shape[-1]))
            padding = [(0, 0)] * len(before) + [(0, side * side - flat.shape[-1])]
            examples = np.pad(flat, padding).reshape(*before, side, side)
        grey = examples.reshape(*before, *examples.shape[-2:])
        shown.append(1 - grey if named.ink else grey)
    return shown[0], shown[1]


def _picture(axes: Axes, picture: np.ndarray, middle: tuple[float, float], colour: str) -> None:
    """A picture with a frame, a little less than 1 wide and high."""
    (x, y), half = middle, 0.39
    axes.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=(x - half, x + half, y + half, y - half))
    axes.add_patch(Rectangle((x - half, y - half), 2 * half, 2 * half, fill=False, edgecolor=colour, linewidth=0.8))


def _thumbnail(axes: Axes, picture: np.ndarray, place: tuple[float, float]) -> None:
    """A small picture at a place in the data's coordinates, on or off the axes."""
    image = OffsetImage(picture, zoom=20 / picture.shape[0], cmap="gray")
    image.image.set_clim(0, 1)
    axes.add_artist(AnnotationBbox(image, place, frameon=False, annotation_clip=False, pad=0))
