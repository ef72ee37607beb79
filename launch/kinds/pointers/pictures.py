"""``lukasa plot`` of models that point: their answers over the points, and where each step looked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from lukasa.agents.pointers import answer_sets
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.kind import Pictures
from lukasa.launch.kinds.pointers.drawings import Shown, draw_answers, draw_attention
from lukasa.launch.kinds.pointers.evaluation import FIRST_SEED, load_model, read_sizes
from lukasa.launch.kinds.pointers.experiment import PointerExperiment
from lukasa.launch.kinds.pointers.job import task_of
from lukasa.launch.pictures.formats import Format, picture_path
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run
from lukasa.memory.pointers import Pointer
from lukasa.tasks.pointing import PointingTask, PointSets, padded, point_sets, read_points, sample_points

MOST_SHOWN = 8


@dataclass(frozen=True)
class PlotOptions:
    """Draw a run's learning curve, its answers over the points, and its attention; of several runs, their curves.

    Attributes:
        out: file of the learning curves, a PNG, PDF or SVG by its name; in plots/ of the first run by default.
        format: format of all pictures; by default that of --out, or png.
        checkpoint: which checkpoint answers: best, last, or a name.
        size: points of each set; the most of training by default.
        sets: sets to show, at most 8.
        beams: answers kept at each step of the search; greedy with one.
        seed: of the sets.
        points: file of your own points to show instead, as of lukasa eval.
    """

    out: str | None = None
    format: Format | None = None
    checkpoint: str = "best"
    size: int | None = None
    sets: int = 4
    beams: int = 1
    seed: int = 0
    points: str | None = None


def plot_details(run: Run, experiment: PointerExperiment, options: PlotOptions) -> Iterator[Path]:
    """Draw the pictures of one run beside its learning curve, and give their places."""
    if not list_checkpoints(run.checkpoints):
        return
    for name, least, most in (("sets", 1, MOST_SHOWN), ("beams", 1, 10_000), ("seed", 0, 2**62)):
        if not least <= getattr(options, name) <= most:
            raise UserError(f"option --{name} is {getattr(options, name)}: expected {least} to {most:,}")
    task = task_of(experiment)
    model, checkpoint = load_model(run, experiment, options.checkpoint)
    with as_user_error():
        sets = sets_to_show(experiment, task, options.sets, size=options.size, seed=options.seed, points=options.points)
        shown = show(model, task, sets, options.beams)
    title = f"{experiment.model} on {experiment.task_title} ({checkpoint.name})"
    yield draw_answers(shown, picture_path(run.plots, "answers", options.format), title=title)
    yield draw_attention(shown, picture_path(run.plots, "attention", options.format), title=title)


def sets_to_show(
    experiment: PointerExperiment, task: PointingTask, count: int, *, size: int | None, seed: int, points: str | None
) -> PointSets:
    """Sets of points, drawn or out of a file.

    Args:
        experiment: what was trained.
        task: what is to be answered.
        count: sets at most.
        size: points of each set that is drawn; None for the most of training.
        seed: of those that are drawn.
        points: the file; None to draw them.

    Raises:
        UserError: there are none, or they cannot be read.
    """
    if points is not None:
        return point_sets(task, *padded(read_points(Path(points), task.least)[:count]))
    size = read_sizes(None if size is None else str(size), experiment, task.least, "--size")[-1]
    return sample_points(task, count, size, size, torch.Generator().manual_seed(FIRST_SEED + seed))


def show(model: Pointer, task: PointingTask, sets: PointSets, beams: int = 1) -> list[Shown]:
    """Sets with what is right and what a model answers.

    Args:
        model: trained.
        task: what is to be answered.
        sets: to show.
        beams: of the search.
    """
    decoded = answer_sets(model, task, sets.points, sets.sizes, beams=beams)
    found = []
    for row, size in enumerate(sets.sizes.tolist()):
        answer = decoded.answers[row, : decoded.lengths[row]].tolist()
        right = sets.answers[row, : sets.lengths[row]].tolist()
        points = sets.points[row, :size].double().numpy()
        scores = task.scores(points, answer, right)
        units = [f"\n{task.parts[name]}: {value:.4g}" for name, value in scores.items() if value is not None]
        attention = decoded.attention[row, : len(answer), :size].cpu().numpy()
        exact = task.is_right(answer, right)
        found.append(Shown(points, answer, right, exact, "".join(units[:1]), task.multiple, attention))
    return found


PICTURES = Pictures(PlotOptions, plot_details)
"""What is drawn of models that point."""
