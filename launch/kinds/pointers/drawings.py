"""Pictures of pointers: the points, the answer drawn over them, and where each step looked."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from lukasa.launch.pictures.figures import BAD, BLACK, GOOD, QUIET, save_figure


@dataclass(frozen=True)
class Shown:
    """A set of points and its answers.

    Attributes:
        points: [N, 2].
        answer: the model's pointers.
        right: what is right.
        exact: whether they say the same.
        scores: what else the answer is worth, written out.
        grouped: pointers that belong together, 3 for triangles; 1 where the whole answer is a closed line.
        attention: [L, N], how much each step looked at each point.
    """

    points: np.ndarray
    answer: Sequence[int]
    right: Sequence[int]
    exact: bool
    scores: str
    grouped: int
    attention: np.ndarray


def draw_answers(shown: Sequence[Shown], path: Path, *, title: str) -> Path:
    """Sets side by side, what is right above and the model's answer below.

    Args:
        shown: at least one.
        path: the picture to write.
        title: who answered.
    """
    size = (2.9 * len(shown) + 0.4, 6.2)
    figure, grid = plt.subplots(2, len(shown), figsize=size, squeeze=False, layout="constrained")
    for column, one in enumerate(shown):
        _draw_set(grid[0][column], one, one.right, QUIET)
        grid[0][column].set_title("target", fontsize=9, color=QUIET)
        colour = GOOD if one.exact else BAD
        _draw_set(grid[1][column], one, one.answer, colour)
        verdict = "right" if one.exact else "not the target"
        grid[1][column].set_title(f"answer: {verdict}{one.scores}", fontsize=9, color=colour)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)
    return path


def _draw_set(axes: Axes, one: Shown, answer: Sequence[int], colour: str) -> None:
    step = one.grouped if one.grouped > 1 else max(1, len(answer))
    for at in range(0, len(answer), step):
        part = list(answer[at : at + step])
        corners = one.points[part + part[:1]]
        if one.grouped > 1:
            axes.fill(*corners.T, color=colour, alpha=0.08)
            axes.plot(*corners.T, color=colour, linestyle="-", linewidth=1)
            continue
        for start, end in itertools.pairwise(corners):
            arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.2, "shrinkA": 2, "shrinkB": 3}
            axes.annotate("", end, start, arrowprops=arrow)
    axes.plot(*one.points.T, linestyle="", marker="o", markersize=3.5, color=BLACK)
    for number, point in enumerate(one.points):
        axes.annotate(f"{number}", point, (3, 3), textcoords="offset points", fontsize=7)
    axes.set_xlim(-0.06, 1.06)
    axes.set_ylim(-0.06, 1.06)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])


def set_as_image(one: Shown, side: float = 2.4) -> np.ndarray:
    """A set with the answer that it has so far, as a picture: uint8 [H, W, 3].

    Args:
        one: the set.
        side: inches.
    """
    figure, axes = plt.subplots(figsize=(side, side), layout="constrained", dpi=100)
    _draw_set(axes, one, one.answer, GOOD if one.exact else BAD)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()  # pyright: ignore[reportAttributeAccessIssue]
    plt.close(figure)
    return pixels


def draw_attention(shown: Sequence[Shown], path: Path, *, title: str) -> Path:
    """For each set the weight that each step gave each point; a ring where it pointed.

    Args:
        shown: at least one.
        path: the picture to write.
        title: who answered.
    """
    steps = max(len(one.answer) for one in shown)
    wide = max(2.4, 0.22 * max(len(one.points) for one in shown) + 0.9)
    size = (wide * len(shown) + 0.8, max(2.6, 0.22 * steps + 1.4))
    figure, grid = plt.subplots(1, len(shown), figsize=size, squeeze=False, layout="constrained")
    scale = ScalarMappable(Normalize(0, 1), "Blues")
    for axes, one in zip(grid[0], shown, strict=True):
        length = len(one.answer)
        axes.imshow(one.attention[:length], cmap=scale.cmap, norm=scale.norm, aspect="auto")
        ring = {"linestyle": "", "marker": "o", "markersize": 7, "markerfacecolor": "none"}
        axes.plot(list(one.answer), range(length), color=GOOD if one.exact else BAD, **ring)
        every = max(1, len(one.points) // 10)
        axes.set_xticks(range(0, len(one.points), every))
        axes.set_yticks(range(0, length, max(1, length // 10)))
        axes.set_xlabel("point")
    grid[0][0].set_ylabel("step")
    figure.colorbar(scale, ax=list(grid[0]), label="attention")
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)
    return path
