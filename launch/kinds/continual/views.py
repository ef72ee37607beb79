"""``lukasa view`` of streams: after each task, how good every task is by then.

Dimensions: T tasks, R times of the matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.continual.evaluation import load_trained
from lukasa.launch.kinds.continual.experiment import ContinualExperiment
from lukasa.launch.kinds.kind import Views
from lukasa.launch.runs.directory import Run
from lukasa.launch.views.tracks import rows_track
from lukasa.launch.views.view import Track, View


@dataclass(frozen=True)
class ViewOptions:
    """Write a page to step from task to task: the accuracy on each after each, and what was forgotten.

    Attributes:
        out: file of the page; plots/view.html of the run by default.
        checkpoint: whose matrix is shown: best, which is the last, last, or a name.
    """

    out: str | None = None
    checkpoint: str = "best"


def view_stream(run: Run, experiment: ContinualExperiment, options: ViewOptions) -> View:
    """Step from task to task.

    Raises:
        UserError: there is no such checkpoint, or no task is over.
    """
    lessons, checkpoint = load_trained(run, experiment, options.checkpoint)
    if not lessons.matrix:
        raise UserError(f"run {run.path} has not come to the end of its first task: train it for longer")
    matrix, names = np.asarray(lessons.matrix, np.float64), list(lessons.stream.names)
    done = len(matrix)
    best = np.maximum.accumulate(matrix, 0)
    learned = [matrix[task, : task + 1].mean() for task in range(done)]
    average = np.array(learned)[:, None]
    return View(
        title=experiment.about,
        subtitle=f"accuracy % on every task, after each · {checkpoint.name} of {run.path.name}",
        steps=done,
        step="task",
        tracks=[
            rows_track("accuracy %", matrix, names, (0, 100), "cividis", "task"),
            rows_track("forgotten: points below the best so far", best - matrix, names, (0, 100), "Oranges", "task"),
            Track("average accuracy % of the tasks so far", average, ["average"], (0, 100), form="bars"),
        ],
        texts={"learned last": [names[min(task, len(names) - 1)] for task in range(done)]},
    )


VIEWS = Views(ViewOptions, view_stream)
"""What a page shows of streams."""
