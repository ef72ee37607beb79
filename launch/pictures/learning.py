"""Learning curves: scores against steps, with bands, lessons, and the levels they are measured by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.pictures.figures import QUIET, counted, save_figure, tidy

MOST_LESSONS = 12
"""So many lessons are marked one by one; more of them are drawn as steps on an axis of their own."""


@dataclass(frozen=True)
class Curve:
    """One line of a learning picture.

    Attributes:
        label: what the legend says.
        steps: environment steps or sequences.
        scores: mean score there.
        spread: standard deviation over episodes, empty where it is not known; drawn of a single curve.
        levels: a curriculum's lesson or level there, empty where there is none; drawn of a single curve.
        validation: steps and score of each validation, empty where there is none.
        low: lower edge of a band around the line, such as a confidence interval over seeds; empty for none.
        high: upper edge.
        band: what the band is, for the legend.
        members: steps and scores of each run that the line is the mean of, drawn thin.
        validation_name: what the legend calls it.
        stage: what a level is called: "lesson" or "level".
    """

    label: str
    steps: Sequence[float]
    scores: Sequence[float]
    spread: Sequence[float] = ()
    levels: Sequence[float] = ()
    validation: Sequence[tuple[float, float]] = ()
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    band: str = ""
    members: Sequence[tuple[Sequence[float], Sequence[float]]] = ()
    validation_name: str = "validation"
    stage: str = "lesson"


def draw_learning(curves: Sequence[Curve], path: Path, subject: Subject) -> None:
    """Score against steps, one line a run, with the levels of chance, of a perfect memory and of the paper.

    Args:
        curves: at least one; a single one comes with its spread and its curriculum's lessons.
        path: the picture to write: PNG, PDF or SVG by its name.
        subject: what was learned.
    """
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    draw_curves(axes, curves)
    if len(curves) == 1:
        _draw_spread(axes, curves[0])
        _draw_lessons(axes, curves[0])
    _draw_levels(axes, subject)
    axes.set_title(subject.name, pad=18 if len(curves) == 1 and len(set(curves[0].levels)) > 1 else None)
    axes.set(xlabel=subject.counted, ylabel=f"mean {subject.unit}{subject.averaged}")
    axes.xaxis.set_major_formatter(FuncFormatter(counted))
    axes.set_xlim(left=0)
    tidy(axes)
    # Below the picture, where it hides no line, once it would hide much.
    if len(curves) > 4:
        figure.legend(loc="outside lower center", ncols=3)
    elif axes.get_legend_handles_labels()[0]:
        axes.legend()
    save_figure(figure, path)


def draw_curves(axes: Axes, curves: Sequence[Curve]) -> None:
    """The lines with their bands, runs and validations, each in a colour of its own; the legend is left to the caller.

    Args:
        axes: to draw on.
        curves: what to draw.
    """
    bands = list(dict.fromkeys(curve.band for curve in curves if len(curve.low)))
    for curve in curves:
        # A line through one point would not be seen.
        marker = "o" if len(curve.steps) == 1 else None
        (line,) = axes.plot(curve.steps, curve.scores, label=curve.label, marker=marker, markersize=4, zorder=3)
        colour = line.get_color()
        for steps, scores in curve.members:
            axes.plot(steps, scores, color=colour, linestyle="-", linewidth=0.7, alpha=0.4)
        if len(curve.low):
            axes.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.18, linewidth=0)
        if curve.validation:
            steps, scores = zip(*curve.validation, strict=True)
            style = {"marker": "o", "markersize": 3.5, "linestyle": "--", "color": colour}
            axes.plot(steps, scores, label=f"{curve.label}, {curve.validation_name}", **style)
    for band in filter(None, bands):
        axes.fill_between([], [], [], color=QUIET, alpha=0.25, linewidth=0, label=band)


def _draw_levels(axes: Axes, subject: Subject) -> None:
    """Horizontal lines at the scores that mean something, named at the right; the paper's at the left."""
    known = {"best": subject.best, "chance": subject.chance, "paper": subject.published}
    for (name, level), line in zip(known.items(), ("--", ":", "-."), strict=True):
        if level is not None:
            axes.axhline(level, color=QUIET, linewidth=1, linestyle=line)
            side, align = (0.01, "bottom") if name == "paper" else (1, "center")
            place = {"xycoords": ("axes fraction", "data"), "va": align, "color": QUIET, "fontsize": 9}
            axes.annotate(f" {name} {level:.4g}".replace("-", "−"), (side, level), **place)


def _draw_spread(axes: Axes, curve: Curve) -> None:
    if len(curve.spread):
        low, high = np.subtract(curve.scores, curve.spread), np.add(curve.scores, curve.spread)
        label = "± 1 standard deviation of episodes"
        axes.fill_between(curve.steps, low, high, color="C0", alpha=0.15, linewidth=0, label=label)


def _draw_lessons(axes: Axes, curve: Curve) -> None:
    """A line where each lesson began; for very many lessons, their number on an axis at the right."""
    levels = list(curve.levels)
    starts = [0, *(at for at in range(1, len(levels)) if levels[at] != levels[at - 1])]
    if len(set(levels)) < 2:
        return
    if len(starts) > MOST_LESSONS:
        beside = axes.twinx()
        beside.step(curve.steps, levels, color=QUIET, linestyle="-", linewidth=1.2, where="post")
        beside.set_ylabel(f"{curve.stage} of the curriculum", color=QUIET)
        beside.yaxis.set_major_locator(MaxNLocator(integer=True))
        beside.spines["top"].set_visible(False)
        return
    for at in starts:
        step = 0 if at == 0 else curve.steps[at]
        axes.axvline(step, color=QUIET, linestyle="-", linewidth=0.8, alpha=0.7, zorder=1)
        name = f"{curve.stage} {levels[at]:g}" if at == 0 else f"{levels[at]:g}"
        place = {"xycoords": ("data", "axes fraction"), "ha": "left", "va": "bottom", "color": QUIET, "fontsize": 8}
        axes.annotate(name, (step, 1.01), **place)
