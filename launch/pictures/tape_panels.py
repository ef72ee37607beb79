"""Heads on tapes over the steps of an episode.

Dimensions: T steps, W cells of a tape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lukasa.launch.pictures.episode_panels import MOST_STEPS_WITH_NUMBERS, Panel, tint
from lukasa.launch.pictures.figures import BAD, GOOD, QUIET

MOST_CELLS_WITH_SYMBOLS = 40


@dataclass(frozen=True)
class Tape:
    """What is on a tape at each step, one row a cell, and where its head stands.

    Attributes:
        label: which tape.
        values: [T, W], symbols; ``blank`` where there is none.
        heads: [T], cells, which may lie beyond the tape; NaN where the head is elsewhere.
        blank: the number that stands for no symbol.
    """

    label: str
    values: np.ndarray
    heads: np.ndarray
    blank: int

    @property
    def height(self) -> float:
        """A line for each cell that is on the tape or was visited."""
        low, high = self._range()
        return min(4.0, 0.17 * (high - low) + 0.35)

    def draw(self, axes: Axes) -> None:
        """Coloured cells, the first on top, and the way of the head."""
        steps, cells = self.values.shape
        image = np.ones((cells, steps, 3))
        for place in zip(*np.nonzero(self.values != self.blank), strict=True):
            image[place[1], place[0]] = tint(int(self.values[place]))
        axes.imshow(image, aspect="auto", interpolation="nearest", extent=(-0.5, steps - 0.5, cells - 0.5, -0.5))
        axes.plot(np.arange(steps), self.heads, color="black", linestyle="-", linewidth=0.8, marker="s", markersize=3)
        if cells <= MOST_CELLS_WITH_SYMBOLS and steps <= MOST_STEPS_WITH_NUMBERS:
            style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 6}
            for step, cell in zip(*np.nonzero(self.values != self.blank), strict=True):
                if cell != self.heads[step]:
                    axes.text(step, cell, f"{self.values[step, cell]}", color=QUIET, **style)
        low, high = self._range()
        axes.set(ylim=(high - 0.5, low - 0.5))
        axes.set_ylabel(self.label, rotation=0, ha="right", va="center")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))

    def _range(self) -> tuple[int, int]:
        here = self.heads[np.isfinite(self.heads)]
        low, high = (here.min(), here.max()) if len(here) else (0, 0)
        return min(0, int(low)), max(self.values.shape[1], int(high) + 1)


@dataclass(frozen=True)
class Written:
    """The symbols that were written, each at its step: one colour for the right ones, another for a wrong one.

    Attributes:
        values: [T], symbols; -1 where none was written.
        right: bool [T].
        height: inches.
    """

    values: np.ndarray
    right: np.ndarray
    height: float = 0.42

    def draw(self, axes: Axes) -> None:
        """A mark and the symbol."""
        for step in np.flatnonzero(self.values >= 0).tolist():
            colour = GOOD if self.right[step] else BAD
            axes.axvspan(step - 0.45, step + 0.45, color=colour, alpha=0.35, linewidth=0)
            if len(self.values) <= MOST_STEPS_WITH_NUMBERS:
                axes.text(step, 0, f"{self.values[step]}", ha="center", va="center", fontsize=7)
        axes.set(ylim=(-1, 1), yticks=[])
        axes.set_ylabel("written", rotation=0, ha="right", va="center")


def tape_panels(trace: Any) -> list[Panel]:
    """The tapes of an episode.

    Args:
        trace: what ``lukasa.envs.Tapes.tape_trace`` returned.
    """
    steps, rows = len(trace.written), len(trace.cells)
    used = int((trace.cells != trace.blank).any(0).sum())
    panels: list[Panel] = []
    for row, cells in enumerate(trace.cells[:, :used]):
        # a head in another row is drawn nowhere
        places = np.where(trace.heads[:, 0] == row, trace.heads[:, 1].astype(float), np.nan)
        label = "input" if rows == 1 else f"input {row + 1}"
        panels.append(Tape(label, np.tile(cells, (steps, 1)), places, trace.blank))
    if trace.memory.shape[1]:
        panels.append(Tape("memory", trace.memory, trace.memory_heads, trace.blank))
    return [*panels, Written(trace.written, trace.right)]
