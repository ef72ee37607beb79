"""``lukasa plot`` of a core that was trained on presentations: accuracy by presentation, and reads beside pictures.

Dimensions: B episodes, T steps, S symbols of a label, P presentations of each class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.ticker import MaxNLocator

from lukasa import memory
from lukasa.agents.sequence import evaluate, evaluation_mode, on_core, respond
from lukasa.launch.kinds.supervised.evaluation import TrainedCore
from lukasa.launch.kinds.supervised.presentations import ByPresentation, published
from lukasa.launch.kinds.supervised.settings import split_sequences
from lukasa.launch.pictures.episode_panels import Strip, Symbols
from lukasa.launch.pictures.episodes import draw_episode
from lukasa.launch.pictures.figures import save_figure
from lukasa.launch.pictures.formats import Format, picture_path
from lukasa.launch.pictures.memory_panels import memory_panels
from lukasa.tasks import Sampler

EPISODES = 200
"""Whose answers the curve is the mean of."""

MOST_STEPS = 60
"""Steps of an episode that are drawn: more would leave too little room for each picture."""


def plot_presentations(
    trained: TrainedCore, sampler: Any, folder: Path, title: str, seed: int, format: Format | None = None
) -> Iterator[Path]:
    """Draw both pictures and give their places.

    Args:
        trained: who answers.
        sampler: of presentations of square pictures, with the settings of the test.
        folder: to draw in.
        title: who answers, for the pictures.
        seed: of the one episode.
        format: of the pictures, PNG by default.
    """
    task = trained.experiment.task
    gathered = ByPresentation(sampler.spec)
    evaluate(trained.core, sampler.spec, split_sequences(task, sampler, "test", EPISODES), observe=gathered)
    data = f"{title}\n{EPISODES} episodes, {sampler.data}"
    yield draw_presentations(
        gathered.rows(), published(task, sampler), picture_path(folder, "presentations", format), title=data
    )
    yield plot_reads(trained, sampler, picture_path(folder, "reads", format), title, seed)


def draw_presentations(
    rows: Sequence[Mapping[str, Any]], reported: Mapping[str, Mapping[int, float]], path: Path, *, title: str
) -> Path:
    """Accuracy at the first, second, ... presentation of a class, with its interval, beside what papers report.

    Args:
        rows: of ``lukasa.launch.kinds.supervised.presentations.ByPresentation``.
        reported: percent by the number of the presentation, by model.
        path: the picture to write.
        title: who answered.
    """
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    numbers = [row["presentation"] for row in rows]
    low, high = zip(*(row["interval"] for row in rows), strict=True)
    axes.plot(numbers, [row["accuracy"] for row in rows], color="C0", linewidth=1.8, label="this run")
    axes.fill_between(numbers, low, high, color="C0", alpha=0.2, linewidth=0, label="95 % confidence, over episodes")
    for colour, (model, percent) in enumerate(reported.items(), 1):
        style = {"marker": "os^D"[(colour - 1) % 4], "markersize": 4, "linestyle": "--", "linewidth": 1}
        axes.plot(list(percent), list(percent.values()), color=f"C{colour}", label=model, **style)
    axes.set(xlabel="presentation of a class", ylabel="accuracy %", ylim=(0, 102))
    axes.set_title(title, fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    save_figure(figure, path)
    return path


@torch.no_grad()
def plot_reads(trained: TrainedCore, sampler: Sampler, path: Path, title: str, seed: int) -> Path:
    """The memory's weights over an episode below the pictures shown, their classes and the answers."""
    spec = sampler.spec
    batch = on_core(trained.core, sampler.sample(1, torch.Generator().manual_seed(seed)))
    with memory.record(trained.core) as recording, evaluation_mode(trained.core):
        outputs, _ = respond(trained.core, spec, batch.inputs)
    steps = min(MOST_STEPS, batch.mask.shape[1])
    found = {name: values[0, :steps].cpu().numpy() for name, values in recording.stacked().items()}
    side = int(spec.inputs[0].width ** 0.5)
    pictures = batch.inputs[0, :steps, : side * side].reshape(steps, side, side).cpu().numpy()
    targets, answers = (one[0].cpu().numpy() for one in (batch.targets, spec.answers(outputs)))
    classes = numbered(targets, targets)
    answered = numbered(targets, answers)
    right = 100 * float((answered == classes).mean())
    none = ", an answer of 0 is none of them" if (answered == 0).any() else ""
    shown = ("write", "read", "age", "attention", "hidden")
    panels = [
        Strip("picture", pictures, height=min(1.2, 13 / steps)),
        Symbols("class", classes[:steps]),
        Symbols("answer", answered[:steps]),
        *memory_panels(found, slots=getattr(trained.core, "slots", None), show=shown),
    ]
    percent = f"{right:.0f} % of an episode right; classes are numbered in the order they come{none}"
    draw_episode(panels, path, title=title, subtitle=percent)
    return path


def numbered(targets: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Labels as numbers of the classes, in the order in which these come, from 1; 0 for what is no class's label.

    Args:
        targets: [T, S], the right labels.
        labels: [T, S], some labels.

    Returns:
        [T].

    Example:
        >>> numbered(np.array([[7], [3], [7]]), np.array([[3], [3], [5]]))
        array([2, 2, 0])
    """
    known = {label: number for number, label in enumerate(dict.fromkeys(map(tuple, targets.tolist())), 1)}
    return np.array([known.get(tuple(label), 0) for label in labels.tolist()])
