"""``lukasa plot`` of found programs: the circuit of each step, and the memory over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lukasa.ground.mistakes import as_user_error
from lukasa.launch.kinds.circuits.drawings import draw_circuit, draw_memory
from lukasa.launch.kinds.circuits.evaluation import load_program
from lukasa.launch.kinds.circuits.experiment import CircuitExperiment
from lukasa.launch.kinds.circuits.job import lengths_of
from lukasa.launch.kinds.kind import Pictures
from lukasa.launch.options.bounds import check_least
from lukasa.launch.pictures.formats import Format, picture_path
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run

SHOWN = 6
"""Length of the memory that is drawn, where training goes so far."""


@dataclass(frozen=True)
class PlotOptions:
    """Draw a run's learning curve, the circuit of each step and the memory over time; of several runs, their curves.

    Attributes:
        out: file of the learning curves, a PNG, PDF or SVG by its name; in plots/ of the first run by default.
        format: format of all pictures; by default that of --out, or png.
        checkpoint: which programs: best, last, or a name.
        start: which start's program, from 0 on; the best by training loss by default.
        length: length of the memory that is drawn; 6 by default, or the longest of training where that is less.
        seed: seed of that memory.
    """

    out: str | None = None
    format: Format | None = None
    checkpoint: str = "best"
    start: int | None = None
    length: int | None = None
    seed: int = 0


def plot_details(run: Run, experiment: CircuitExperiment, options: PlotOptions) -> Iterator[Path]:
    """Draw the pictures of one run beside its learning curve, and give their places."""
    if not list_checkpoints(run.checkpoints):
        return
    check_least(options, seed=0)
    runner = load_program(run, experiment, options.checkpoint, options.start)
    longest = lengths_of(experiment)[1]
    length = min(SHOWN, longest) if options.length is None else options.length
    with as_user_error():
        left = runner.trace(length, 1, options.seed)
    program = runner.program(longest)
    yield draw_circuit(program, picture_path(run.plots, "circuit", options.format), title=experiment.about)
    first = runner.task.sample(length, 1, _generator(options.seed))
    path = picture_path(run.plots, "memory", options.format)
    yield draw_memory(first, left, path, title=f"{runner.task.name}: {runner.task.layout}")


def _generator(seed: int):
    import torch

    return torch.Generator().manual_seed(seed)


PICTURES = Pictures(PlotOptions, plot_details)
"""What is drawn of found programs."""
