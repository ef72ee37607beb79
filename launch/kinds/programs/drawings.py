"""Pictures of programs: an execution trace beside its environment, and how alike the keys of programs are.

Dimensions: N programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from lukasa.launch.pictures.figures import BAD, GOOD, QUIET, save_figure

MOST_LINES = 70
"""Lines of a trace that are written out; of a longer one the first and the last."""
LINE = 0.165
"""Inches of a line."""


def shown_lines(lines: Sequence[str]) -> list[str]:
    """The lines of a trace, of a long one the first and the last of them.

    Example:
        >>> shown_lines([str(number) for number in range(100)])[59:62]
        ['59', '... 31 more', '91']
    """
    if len(lines) <= MOST_LINES:
        return list(lines)
    first = MOST_LINES - 10
    return [*lines[:first], f"... {len(lines) - first - 9} more", *lines[-9:]]


def draw_trace(
    lines: Sequence[str], drawn: Sequence[str], path: Path, *, title: str, verdict: str, right: bool
) -> Path:
    """An execution trace, and beside it the environment as it is at the end.

    Args:
        lines: of the trace.
        drawn: of the environment.
        path: the picture to write.
        title: what was carried out.
        verdict: the answer.
        right: whether it is right.
    """
    shown = shown_lines(lines)
    widths = [max(map(len, shown)), max(max(map(len, drawn)), 16)]
    size = (0.075 * sum(widths) + 1.0, LINE * max(len(shown), len(drawn) + 4) + 0.9)
    figure, (left, beside) = plt.subplots(1, 2, figsize=size, width_ratios=widths, layout="constrained")
    for axes in (left, beside):
        axes.set_axis_off()
    left.set_title("calls | seen before", fontsize=8, color=QUIET, loc="left")
    beside.set_title("at the end", fontsize=8, color=QUIET, loc="left")
    style = {"family": "monospace", "fontsize": 7, "va": "top", "transform": left.transAxes}
    left.text(0, 1, "\n".join(shown), **style)
    text = "\n".join([*drawn, "", verdict])
    beside.text(0, 1, text, **(style | {"transform": beside.transAxes}), color=GOOD if right else BAD)
    figure.suptitle(title, fontsize=10)
    save_figure(figure, path)
    return path


def draw_keys(keys: np.ndarray, names: Sequence[str], path: Path, *, title: str) -> Path:
    """The cosine of the keys of every two programs.

    Args:
        keys: [N, K].
        names: of the programs.
        path: the picture to write.
        title: whose they are.
    """
    unit = keys / np.maximum(np.linalg.norm(keys, axis=1, keepdims=True), 1e-9)  # a key may be 0
    alike = unit @ unit.T
    side = 1.6 + 0.42 * len(names)
    figure, axes = plt.subplots(figsize=(side + 0.6, side), layout="constrained")
    image = axes.imshow(alike, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    for (row, column), value in np.ndenumerate(alike):
        axes.text(
            column, row, f"{value:.1f}", ha="center", va="center", fontsize=6, color="w" if abs(value) > 0.6 else "k"
        )
    figure.colorbar(image, ax=axes, label="cosine of the keys", shrink=0.8)
    axes.set_title(title, fontsize=10)
    save_figure(figure, path)
    return path
