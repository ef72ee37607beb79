"""``lukasa view`` of programs: an execution trace, step by step, beside its environment.

Dimensions: T steps, O places that are seen, N programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lukasa.agents.programs import Execution, ProgramAgent
from lukasa.launch.kinds.kind import Views
from lukasa.launch.kinds.programs.evaluation import load_core
from lukasa.launch.kinds.programs.experiment import ProgramExperiment
from lukasa.launch.kinds.programs.pictures import one_execution
from lukasa.launch.options.bounds import check_least
from lukasa.launch.runs.directory import Run
from lukasa.launch.views.tracks import rows_track
from lukasa.launch.views.view import Track, View

RETURN = "returns"
"""What a step does that calls nothing."""


@dataclass(frozen=True)
class ViewOptions:
    """Write a page to step through the trace of a problem: the environment, the calls, and what was seen.

    Attributes:
        out: file of the page; plots/view.html of the run by default.
        checkpoint: which core carries out the problem: best, last, or a name.
        task: which task; the last that was taught by default.
        problem: what is carried out, such as 345+678 or 5,3,9; a short random one by default.
        seed: seed of the random problem.
        steps: first steps to show; all by default.
    """

    out: str | None = None
    checkpoint: str = "best"
    task: str | None = None
    problem: str | None = None
    seed: int = 1
    steps: int | None = None


def view_trace(run: Run, experiment: ProgramExperiment, options: ViewOptions) -> View:
    """Let the core carry out one problem.

    Raises:
        UserError: there is no such checkpoint or task, the problem cannot be read, or an option cannot be used.
    """
    check_least(options, steps=1)
    trained = load_core(run, experiment, options.checkpoint)
    agent = trained.agent
    task, problem, done = one_execution(agent, options.task, options.problem, options.seed)
    steps = list(done.trace.steps)[: options.steps]
    verdict = "right" if done.is_right else f"{done.ending}; it is {done.right}"
    programs = list(agent.core.programs)
    return View(
        title=f"{task.name} {problem}: answer {done.answer or 'none'}, {verdict}",
        subtitle=f"{len(done.trace.steps)} steps · {trained.checkpoint.name} of {run.path.name}",
        steps=len(steps),
        tracks=_tracks(steps, programs),
        texts={
            "environment after the step": _drawings(agent, task, problem, steps),
            "calls before it": [_calls(done, at) for at in range(len(steps))],
        },
    )


def _tracks(steps: Sequence[Any], programs: list[str]) -> list[Track]:
    depth = np.array([[step.depth] for step in steps], np.float64)
    running = np.array([[step.program == name for name in programs] for step in steps], np.float64)
    called = [step.call.program if step.call else RETURN for step in steps]
    calls = np.array([[one == name for name in (*programs, RETURN)] for one in called], np.float64)
    seen = np.array([list(step.seen) for step in steps], np.float64)
    places = [f"place {place + 1}" for place in range(seen.shape[1])]
    return [
        rows_track("program that runs", running, programs, (0, 1), "Blues", "program"),
        rows_track("what it calls", calls, [*programs, RETURN], (0, 1), "Oranges", "program"),
        Track("depth of the call", depth, ["depth"], (0, max(1.0, depth.max(initial=0))), form="bars"),
        rows_track("symbols that are seen", seen, places, None, "cividis", "place"),
    ]


def _drawings(agent: ProgramAgent, task: Any, problem: str, steps: Sequence[Any]) -> list[str]:
    """The environment after each step, drawn with letters; after an action that cannot be done it stays as it is."""
    env, drawn, stuck = task.make(task.read(problem, agent.base), agent.base), [], False
    for step in steps:
        if not stuck and step.call and step.call.program == "ACT":
            try:
                env.act(step.call.arguments)
            except ValueError:
                stuck = True
        drawn.append("\n".join(env.drawn()))
    return drawn


def _calls(done: Execution, at: int, around: int = 9) -> str:
    """The lines of the trace up to a step, the last few."""
    lines = done.lines[: at + 2]
    return "\n".join(line.partition("|")[0].rstrip() for line in lines[-around:])


VIEWS = Views(ViewOptions, view_trace)
"""What a page shows of programs."""
