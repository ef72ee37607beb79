"""How all pictures look, and how they are written: one style, colours that the colour-blind can tell apart."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

mpl.use("Agg")  # files only: works without a display

DOTS_PER_INCH = 150

BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
)
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, AMBER, SKY, BLACK)
"""Okabe and Ito 2008, without the yellow that white paper swallows."""
DASHES = ("-", "--", "-.", ":")
GOOD, BAD, QUIET = BLUE, ORANGE, "0.4"

mpl.rcParams.update(
    {
        "axes.prop_cycle": cycler(linestyle=DASHES) * cycler(color=COLOURS),
        "axes.titlesize": 11,
        "axes.labelsize": 10,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.fontsize": 9,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "pdf.fonttype": 42,  # fonts go into the file as they are, so that text stays text
        "svg.fonttype": "path",  # letters as outlines: the same wherever the file is opened
        "svg.hashsalt": "lukasa",  # the same picture is the same file
    }
)


def tidy(axes: Axes) -> None:
    """A light grid and no frame at the top and right."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def counted(number: float, _: int = 0) -> str:
    """A count at an axis.

    Example:
        >>> [counted(one) for one in (0, 500, 2500, 200_000, 1_250_000)]
        ['0', '500', '2.5k', '200k', '1.25M']
    """
    for unit, letter in ((1_000_000, "M"), (1000, "k")):
        if abs(number) >= unit:
            return f"{number / unit:.4g}{letter}"
    return f"{number:g}"


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format that the file's name ends in, and forget it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    undated = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(path.suffix[1:].lower())
    try:
        figure.savefig(path, dpi=DOTS_PER_INCH, metadata=undated)
    finally:
        plt.close(figure)
