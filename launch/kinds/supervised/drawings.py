"""Pictures of supervised tasks: answers beside targets, what the memory holds, where the gradient flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator

from lukasa.launch.pictures.figures import save_figure

MOST_STATES = 6


@dataclass(frozen=True)
class Answer:
    """One sequence and what a core made of it; T steps.

    Attributes:
        title: which sequence.
        inputs: [T, D].
        targets: [T, K], zero where nothing is asked.
        outputs: [T, K], probabilities, zero where nothing is asked.
    """

    title: str
    inputs: np.ndarray
    targets: np.ndarray
    outputs: np.ndarray


def draw_answers(answers: Sequence[Answer], path: Path, *, title: str) -> Path:
    """Inputs, targets and outputs as bitmaps, one sequence below another, as in the figures of Graves et al. 2014.

    Args:
        answers: at least one.
        path: the picture to write.
        title: who answered.
    """
    rows = [(answer, name) for answer in answers for name in ("inputs", "targets", "outputs")]
    heights = [min(2.5, 0.4 + 0.08 * getattr(answer, name).shape[1]) for answer, name in rows]
    steps = max(len(answer.inputs) for answer in answers)
    size = (min(16.0, max(7.0, 0.1 * steps + 2)), sum(heights) + 1.0 + 0.35 * len(answers))
    figure, grid = plt.subplots(len(rows), 1, figsize=size, height_ratios=heights, layout="constrained", squeeze=False)
    for axes, (answer, name) in zip(grid[:, 0], rows, strict=True):
        image = getattr(answer, name)
        limits: dict[str, Any] = {} if name == "inputs" else {"vmin": 0, "vmax": max(1.0, float(answer.targets.max()))}
        axes.imshow(image.T, aspect="auto", interpolation="nearest", cmap="viridis", **limits)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
        axes.set_yticks([])
        axes.xaxis.set_major_locator(MaxNLocator(12, integer=True))
        if name == "inputs":
            axes.set_title(answer.title, fontsize=10, loc="left")
        if name != "outputs":
            axes.set_xticks([])
    grid[-1, 0].set_xlabel("step")
    figure.suptitle(title)
    save_figure(figure, path)
    return path


def draw_contents(contents: Mapping[str, np.ndarray], path: Path, *, title: str) -> Path:
    """The words in the memory at some moments, one column a slot.

    Args:
        contents: named memories [N, W].
        path: the picture to write.
        title: whose memory.
    """
    figure, grid = plt.subplots(len(contents), 1, figsize=(9, 2.4 * len(contents) + 0.6), layout="constrained")
    largest = max(float(np.abs(words).max()) for words in contents.values())
    drawn = None
    for axes, (name, words) in zip(np.atleast_1d(grid), contents.items(), strict=True):
        drawn = axes.imshow(
            words.T, aspect="auto", interpolation="nearest", cmap="coolwarm", vmin=-largest, vmax=largest
        )
        axes.set_title(f"memory {name}", fontsize=10, loc="left")
        axes.set(xlabel="slot", ylabel="word")
    if drawn is not None:
        figure.colorbar(drawn, ax=list(np.atleast_1d(grid)), pad=0.01, label="value")
    figure.suptitle(title)
    save_figure(figure, path)
    return path


def draw_flow(metrics: Sequence[Mapping[str, Any]], flow: Mapping[str, np.ndarray], path: Path, *, title: str) -> Path:
    """The gradient in each parameter group over training, and with respect to the state at each step of a sequence.

    Args:
        metrics: lines of a run's metrics.
        flow: norms [T] by the name of the state's part.
        path: the picture to write.
        title: whose gradients.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    groups = dict.fromkeys(name for row in metrics for name in row if name.startswith("grad_norm/"))
    for name in groups:
        rows = [row for row in metrics if row.get(name)]
        left.plot([row["sequences"] for row in rows], [row[name] for row in rows], label=name.partition("/")[2])
    left.set(xlabel="sequences", ylabel="norm of the gradient", title="parameters, over training")
    strongest = sorted(flow, key=lambda name: float(flow[name].max()), reverse=True)[:MOST_STATES]
    for name in strongest:
        norms = np.where(flow[name] > 0, flow[name], np.nan)  # a logarithm has no place for 0
        right.plot(np.arange(len(norms)), norms, label=name)
    right.set(xlabel="step", ylabel="norm of the gradient", title="state after each step, over a sequence")
    for axes in (left, right):
        if axes.lines:
            axes.set_yscale("log")
            axes.legend(frameon=False, fontsize=8)
        axes.grid(alpha=0.25)
    figure.suptitle(title)
    save_figure(figure, path)
    return path
