"""Pictures of questions: the story written out, and how much each hop looked at each of its sentences."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lukasa.launch.pictures.figures import BAD, GOOD, save_figure

MOST_SENTENCES = 30
"""Sentences that are written out: of a longer story those that were looked at, or support the answer."""
LINE = 0.24
"""Inches of a line."""


@dataclass(frozen=True)
class Asked:
    """A question and what a reader made of it.

    Attributes:
        title: which task.
        story: sentences, written out, the oldest first.
        question: written out.
        wanted: the right answer.
        answer: the reader's.
        probability: that it gives it.
        attention: [H, S], how much each hop looked at each sentence.
        support: places of the sentences that the answer follows from.
        slots: [S, N], what happens in each slot of the memory at each sentence; empty where there is none.
        slots_title: what that is.
    """

    title: str
    story: Sequence[str]
    question: str
    wanted: str
    answer: str
    probability: float
    attention: np.ndarray
    support: Sequence[int] = ()
    slots: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    slots_title: str = ""


def draw_hops(asked: Sequence[Asked], path: Path, *, title: str) -> Path:
    """Questions, one below the other: each sentence with the weight that each hop gave it.

    Args:
        asked: at least one.
        path: the picture to write.
        title: who answered.
    """
    shown = [_sentences_shown(one) for one in asked]
    slots = any(one.slots.size for one in asked)
    heights = [LINE * max(2, len(places)) for places in shown]
    widths = [max(1.2, 0.5 * max(one.attention.shape[0] for one in asked)), *([3.0] if slots else [])]
    longest = max((len(sentence) for one in asked for sentence in one.story), default=20)
    size = (0.085 * longest + sum(widths) + 1.2, sum(heights) + 0.9 * len(asked) + 0.6)
    figure, grid = plt.subplots(
        len(asked),
        len(widths),
        figsize=size,
        height_ratios=heights,
        width_ratios=widths,
        squeeze=False,
        layout="constrained",
    )
    for row, one, places in zip(grid, asked, shown, strict=True):
        _draw_hops(row[0], one, places)
        if slots:
            _draw_slots(row[1], one, places)
    figure.suptitle("\n".join(textwrap.wrap(title, int(12 * size[0]))), fontsize=10)
    save_figure(figure, path)
    return path


def _sentences_shown(one: Asked) -> list[int]:
    """The places of the sentences that are written out, in order."""
    places = range(len(one.story))
    if len(one.story) <= MOST_SENTENCES:
        return list(places)
    weight = one.attention.max(0, initial=0.0)
    first = sorted(places, key=lambda place: (place not in one.support, -weight[place], -place))
    return sorted(first[:MOST_SENTENCES])


def _draw_hops(axes: Axes, one: Asked, places: Sequence[int]) -> None:
    hops = len(one.attention)
    weights = one.attention[:, places].T if hops else np.zeros((len(places), 1))  # a core looks at nothing afterwards
    axes.imshow(weights, aspect="auto", cmap="Blues", vmin=0, vmax=max(1e-6, float(np.abs(weights).max(initial=0))))
    for (line, hop), weight in np.ndenumerate(weights):
        if weight >= 0.05:
            dark = weight > 0.6 * weights.max()
            axes.text(hop, line, f"{weight:.2f}", ha="center", va="center", fontsize=7, color="w" if dark else "k")
    axes.set_xticks(range(hops), [f"hop {hop + 1}" if hops <= 4 else f"{hop + 1}" for hop in range(hops)])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    lines = [f"{place + 1}  {one.story[place]}" for place in places]
    axes.set_yticks(range(len(places)), lines, fontsize=8)
    for label, place in zip(axes.get_yticklabels(), places, strict=True):
        if place in one.support:
            label.set_fontweight("bold")
    right = one.answer == one.wanted
    verdict = "right" if right else f"wrong, it is {one.wanted}"
    about = f"{one.title}: {one.question}?\n{one.answer} ({one.probability:.0%}), {verdict}"
    axes.set_title(about, fontsize=9, loc="right", color=GOOD if right else BAD)


def _draw_slots(axes: Axes, one: Asked, places: Sequence[int]) -> None:
    if not one.slots.size:
        axes.set_axis_off()
        return
    axes.imshow(one.slots[list(places)], aspect="auto", cmap="Oranges", vmin=0, vmax=1)
    axes.set_yticks([])
    axes.set_title(one.slots_title, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("slot")
