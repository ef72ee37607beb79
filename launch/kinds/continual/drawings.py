"""Pictures of a stream: the matrix of tasks and times, and each task's accuracy over time.

Dimensions: T tasks. R[i, j] is the accuracy on task j after task i was learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from lukasa.launch.pictures.figures import save_figure

WRITTEN = 15
"""Tasks up to which each number of the matrix is written out."""


def draw_matrix(matrix: Sequence[Sequence[float]], names: Sequence[str], path: Path, *, title: str) -> Path:
    """The accuracy on each task after each task, darker for higher; what lies above the steps is not learned yet.

    Args:
        matrix: R, percents; a row for each task that is over.
        names: of the tasks.
        path: the picture to write.
        title: what was learned how.
    """
    table = np.asarray(matrix)
    done, tasks = table.shape
    side = max(4.0, 0.55 * tasks)
    figure, axes = plt.subplots(figsize=(side + 3, 0.55 * done + 2.5), layout="constrained")
    picture = axes.imshow(table, vmin=0, vmax=100, cmap="cividis", aspect="auto")
    axes.set_xticks(range(tasks), [_short(name) for name in names], rotation=45, ha="right")
    axes.set_yticks(range(done), [f"after {number + 1}" for number in range(done)])
    axes.set_xlabel("accuracy % on task")
    axes.set_title(title, loc="left")
    if tasks <= WRITTEN:
        for row in range(done):
            for column in range(tasks):
                value = table[row, column]
                colour = "white" if value < 60 else "black"
                weight = "bold" if row == column else "normal"
                axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, weight=weight, size=8)
    steps = np.arange(done + 1)
    axes.step(np.minimum(steps, tasks) + 0.5, steps - 0.5, where="pre", color="white", linewidth=1.5)
    axes.set_xlim(-0.5, tasks - 0.5)
    axes.set_ylim(done - 0.5, -0.5)
    figure.colorbar(picture, ax=axes, shrink=0.8)
    save_figure(figure, path)
    return path


def _short(name: str, most: int = 18) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
