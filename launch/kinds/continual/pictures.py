"""``lukasa plot`` of streams: the matrix of tasks and times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lukasa.launch.kinds.continual.drawings import draw_matrix
from lukasa.launch.kinds.continual.evaluation import load_trained
from lukasa.launch.kinds.continual.experiment import ContinualExperiment
from lukasa.launch.kinds.kind import Pictures
from lukasa.launch.pictures.formats import Format, picture_path
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run


@dataclass(frozen=True)
class PlotOptions:
    """Draw a run's average accuracy over time, and its accuracy on each task after each task; of several runs, curves.

    Attributes:
        out: file of the learning curves, a PNG, PDF or SVG by its name; in plots/ of the first run by default.
        format: format of all pictures; by default that of --out, or png.
        checkpoint: whose matrix is drawn: best, which is the last, last, or a name.
    """

    out: str | None = None
    format: Format | None = None
    checkpoint: str = "best"


def plot_details(run: Run, experiment: ContinualExperiment, options: PlotOptions) -> Iterator[Path]:
    """Draw the pictures of one run beside its learning curve, and give their places."""
    if not list_checkpoints(run.checkpoints):
        return
    lessons, checkpoint = load_trained(run, experiment, options.checkpoint)
    if lessons.matrix:
        title = f"{experiment.about} ({checkpoint.name})"
        path = picture_path(run.plots, "matrix", options.format)
        yield draw_matrix(lessons.matrix, lessons.stream.names, path, title=title)


PICTURES = Pictures(PlotOptions, plot_details)
"""What is drawn of streams."""
