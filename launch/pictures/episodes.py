"""What an agent or a core saw, did and remembered, over the steps of one episode or sequence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from lukasa.launch.pictures.episode_panels import Panel, panel_width
from lukasa.launch.pictures.figures import save_figure

GAP = 0.12
"""Inches between two panels, beside what their titles take."""


def draw_episode(panels: Sequence[Panel], path: Path, *, title: str, subtitle: str = "") -> None:
    """Panels one below the other over the same steps.

    Args:
        panels: at least one, each over all steps.
        path: the picture to write: PNG, PDF or SVG by its name.
        title: which episode this is.
        subtitle: more of that, in small letters.
    """
    steps = _steps(panels)
    width = panel_width(steps) + 2.8  # for the labels and the colour bars
    heights = [panel.height for panel in panels]
    size = (width, sum(heights) + GAP * len(heights) + 1.1)
    figure, grid = plt.subplots(
        len(panels), 1, figsize=size, height_ratios=heights, sharex=True, layout="constrained", squeeze=False
    )
    rows = list(grid[:, 0])
    for axes, panel in zip(rows, panels, strict=True):
        panel.draw(axes)
    for axes in rows[:-1]:
        axes.tick_params(bottom=False)
    rows[-1].set(xlabel="step", xlim=(-0.5, steps - 0.5))
    rows[-1].xaxis.set_major_locator(MaxNLocator(12, integer=True))
    figure.suptitle(f"{title}\n" if subtitle else title, fontsize=12)
    if subtitle:
        figure.text(0.5, 1 - 0.32 / size[1], subtitle, ha="center", va="top", fontsize=9, color="0.4")
    save_figure(figure, path)


def _steps(panels: Sequence[Panel]) -> int:
    """T, which the first panel knows."""
    first = vars(panels[0])
    return len(first["images"] if "images" in first else first["values"])
