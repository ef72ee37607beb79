"""``lukasa plot`` of programs: an execution trace beside its environment, and how alike the programs' keys are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from lukasa.agents.programs import Execution, ProgramAgent
from lukasa.ground.mistakes import as_user_error
from lukasa.launch.kinds.kind import Pictures
from lukasa.launch.kinds.programs.drawings import draw_keys, draw_trace
from lukasa.launch.kinds.programs.evaluation import load_core
from lukasa.launch.kinds.programs.experiment import ProgramExperiment
from lukasa.launch.pictures.formats import Format, picture_path
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run
from lukasa.tasks.programs import ProgramTask

SHOWN = 3
"""Digits or numbers of the problem that is shown where nobody gives one."""


@dataclass(frozen=True)
class PlotOptions:
    """Draw a run's learning curve, the trace of a problem, and how alike the keys are; of several, their curves.

    Attributes:
        out: file of the learning curves, a PNG, PDF or SVG by its name; in plots/ of the first run by default.
        format: format of all pictures; by default that of --out, or png.
        checkpoint: which core carries out the problem: best, last, or a name.
        task: which task; the last that was taught by default.
        problem: what is carried out, such as 345+678 or 5,3,9; a short random one by default.
        seed: seed of the random problem.
    """

    out: str | None = None
    format: Format | None = None
    checkpoint: str = "best"
    task: str | None = None
    problem: str | None = None
    seed: int = 1


def plot_details(run: Run, experiment: ProgramExperiment, options: PlotOptions) -> Iterator[Path]:
    """Draw the pictures of one run beside its learning curve, and give their places."""
    if not list_checkpoints(run.checkpoints):
        return
    trained = load_core(run, experiment, options.checkpoint)
    task, problem, done = one_execution(trained.agent, options.task, options.problem, options.seed)
    verdict = f"answer {done.answer or 'none'}\n" + ("right" if done.is_right else f"{done.ending}; it is {done.right}")
    yield draw_trace(
        done.lines,
        done.drawn,
        picture_path(run.plots, "trace", options.format),
        title=f"{task.name} {problem} ({trained.checkpoint.name})",
        verdict=verdict,
        right=done.is_right,
    )
    core = trained.agent.core
    keys = core.key_rows().detach().cpu().numpy()
    path = picture_path(run.plots, "keys", options.format)
    yield draw_keys(keys, core.programs, path, title=f"program keys ({trained.checkpoint.name})")


def one_execution(
    agent: ProgramAgent, name: str | None, problem: str | None, seed: int
) -> tuple[ProgramTask, str, Execution]:
    """Let a core carry out one problem.

    Args:
        agent: the core, with its tasks.
        name: of the task; None for the last that was taught.
        problem: what is carried out; None for a short random one.
        seed: of the random one.

    Returns:
        The task, the problem as it is written, and what was done.

    Raises:
        UserError: there is no such task, or the problem cannot be read.
    """
    with as_user_error("option --task: "):
        task = agent.find(name)
    if problem is None:
        problem = task.written(task.sample(SHOWN, agent.base, torch.Generator().manual_seed(seed), exactly=True))
    with as_user_error("option --problem: "):
        return task, problem, agent.run(problem, task.name)


PICTURES = Pictures(PlotOptions, plot_details)
"""What is drawn of programs."""
