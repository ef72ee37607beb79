"""``lukasa plot`` of a learner of episodes: what it takes for what in one episode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lukasa.agents.few_shot.learning import on_learner
from lukasa.launch.kinds.few_shot.data import make_shots, new_part
from lukasa.launch.kinds.few_shot.drawings import Named, draw_confusion, draw_wrong
from lukasa.launch.kinds.few_shot.evaluation import TrainedLearner, load_learner
from lukasa.launch.kinds.few_shot.experiment import FewShotExperiment
from lukasa.launch.kinds.kind import Pictures
from lukasa.launch.pictures.formats import Format, picture_path
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run
from lukasa.tasks import find_dataset

MOST_WAYS = 20
MOST_EXAMPLES = 20
"""Examples of a class that the episode has, support and queries together."""


@dataclass(frozen=True)
class PlotOptions:
    """Draw a run's learning curve, and one episode as a matrix and as a sheet of mistakes; of several, their curves.

    Attributes:
        out: file of the learning curves, a PNG, PDF or SVG by its name; in plots/ of the first run by default.
        format: format of all pictures; by default that of --out, or png.
        checkpoint: which learner answers: best, last, or a name.
        ways: classes of the episode; by default as many as the learner takes, or the data has, up to 20.
        shots: support examples of each class; by default as trained.
        part: part of the data; by default one that was not trained on.
        seed: seed of the episode.
    """

    out: str | None = None
    format: Format | None = None
    checkpoint: str = "best"
    ways: int | None = None
    shots: int | None = None
    part: str | None = None
    seed: int = 1_000_000


def plot_details(run: Run, experiment: FewShotExperiment, options: PlotOptions) -> Iterator[Path]:
    """Draw the pictures of one run beside its learning curve, and give their places."""
    if not list_checkpoints(run.checkpoints):
        return
    trained = load_learner(run, experiment, options.checkpoint)
    named = name_episode(trained, options)
    right = 100 * float((named.answers == named.targets).mean())
    ways, shots = named.support.shape[:2]
    title = (
        f"{experiment.learner} ({trained.checkpoint.name})\n"
        f"{ways} ways, {shots} shot{'s'[: shots > 1]}, {right:.1f} % of {len(named.targets)} right"
    )
    yield draw_confusion(named, picture_path(run.plots, "confusion", options.format), title=title)
    yield draw_wrong(named, picture_path(run.plots, "mistakes", options.format), title=title)


@torch.no_grad()
def name_episode(trained: TrainedLearner, options: PlotOptions) -> Named:
    """Let the learner name one episode."""
    support, queries, targets = one_episode(
        trained, ways=options.ways, shots=options.shots, part=options.part, seed=options.seed
    )
    answers = trained.learner(support, queries)[0].argmax(-1)
    found = (support[0], queries[0], targets[0], answers)
    return Named(*(tensor.cpu().numpy() for tensor in found), ink=find_dataset(trained.experiment.data).ink)


def one_episode(
    trained: TrainedLearner, *, ways: int | None, shots: int | None, part: str | None, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """One episode, with as many queries as the data has examples of a class, up to 20.

    Args:
        trained: the learner.
        ways: N, classes; None for as many as the learner takes, or the data has, up to 20.
        shots: K, support examples of each class; None for as many as trained.
        part: of the data; None for one that was not trained on.
        seed: of the episode.

    Returns:
        Support [1, N, K, ...], queries [1, M, ...] and their classes [1, M], on the learner's device.

    Raises:
        UserError: the data has no such part, or cannot serve such episodes.
    """
    experiment = trained.experiment
    shots = shots or experiment.tested_on[1]
    part = part or new_part(experiment)
    examples = make_shots(experiment, part, ways=2, shots=1, queries=1).examples
    classes = ways or getattr(trained.learner, "ways", min(MOST_WAYS, examples.classes))
    queries = max(1, min(MOST_EXAMPLES, examples.instances) - shots)
    episodes = make_shots(experiment, part, ways=classes, shots=shots, queries=queries)
    return on_learner(trained.learner, episodes.sample(1, torch.Generator().manual_seed(seed)))


PICTURES = Pictures(PlotOptions, plot_details)
"""What is drawn of a learner of episodes."""
