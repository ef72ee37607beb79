"""How long runs with adaptive computation time think about easy and hard inputs, and what they get right.

    python -m lukasa.benchmarks.pondering --runs runs/act runs/gru [--out FILE.png]

For runs of the tasks ``parity`` and ``running_sum``: at every difficulty, which is how many numbers of a vector are not
0 or how many digits the numbers have, the steps taken per input and the percentage of items that are right. A core
without adaptive computation time takes one step and is shown beside.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

from lukasa import memory
from lukasa.agents.sequence import evaluate, evaluation_mode
from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.supervised.settings import make_sampler
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs.directory import open_run
from lukasa.launch.trained import load_agent

DIFFICULTY = {"parity": "numbers", "running_sum": "digits"}
"""Of a task: the range that makes it hard."""


@dataclass(frozen=True)
class Settings:
    """Measure how long runs think.

    Attributes:
        runs: run directories.
        sequences: sequences of each difficulty.
        seed: of the sequences.
        out: draw a picture here.
    """

    runs: tuple[str, ...] = ()
    sequences: int = 500
    seed: int = 12345
    out: Path | None = None


@dataclass(frozen=True)
class Found:
    """One run at one difficulty; steps are those per input, right is percent of items."""

    run: str
    difficulty: int
    steps: float
    right: float


@torch.no_grad()
def measure(run: str, settings: Settings) -> Iterator[Found]:
    """A run at every difficulty that it was trained on.

    Raises:
        UserError: it is of another task.
    """
    _, config = open_run(Path(run))
    experiment: dict[str, Any] = config["experiment"]
    if experiment.get("task") not in DIFFICULTY:
        raise UserError(f"run {run} is not of task {' or '.join(DIFFICULTY)}: nothing says how hard its inputs are")
    task, sizes = experiment["task"], experiment["sampler"]
    name = DIFFICULTY[task]
    agent: Any = load_agent(run)
    core = agent.core
    hardest = getattr(make_sampler(task, "test", sizes), f"max_{name}")
    for difficulty in range(1, hardest + 1):
        sampler = make_sampler(task, "test", {**sizes, f"min_{name}": difficulty, f"max_{name}": difficulty})
        batch = sampler.sample(settings.sequences, torch.Generator().manual_seed(settings.seed + difficulty))
        with memory.record(core) as recording, evaluation_mode(core), memory.step_by_step():
            memory.unroll(core, batch.inputs)
        steps = recording.stacked().get("ponder")
        taken = 1.0 if steps is None else steps[batch.mask].float().mean().item()
        yield Found(run, difficulty, taken, 100 - evaluate(core, sampler.spec, [batch]).wrong)


def lines(found: Sequence[Found]) -> Iterator[str]:
    """Of a table in Markdown."""
    runs = list(dict.fromkeys(one.run for one in found))
    yield "| difficulty | " + " | ".join(f"{Path(run).name}: steps | right, %" for run in runs) + " |"
    yield "|--:|" + "--:|--:|" * len(runs)
    for difficulty in sorted({one.difficulty for one in found}):
        at = {one.run: one for one in found if one.difficulty == difficulty}
        cells = [f"{at[run].steps:.2f} | {at[run].right:.1f}" if run in at else " | " for run in runs]
        yield f"| {difficulty} | {' | '.join(cells)} |"


def draw(found: Sequence[Found], path: Path) -> None:
    """Steps, and what is right, against difficulty."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, what, label in zip(
        figure.subplots(1, 2), ("steps", "right"), ("steps per input", "items right, %"), strict=True
    ):
        for run in dict.fromkeys(one.run for one in found):
            mine = [one for one in found if one.run == run]
            axes.plot(
                [one.difficulty for one in mine], [getattr(one, what) for one in mine], "o-", label=Path(run).name
            )
        axes.set(xlabel="difficulty", ylabel=label)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str]) -> int:
    """Print a table; draw where asked.

    Raises:
        UserError: no run is given, or one is of another task.
    """
    settings = parse(Settings, argv, prog="python -m lukasa.benchmarks.pondering")
    if not settings.runs:
        raise UserError("give at least one run: --runs runs/act")
    found = [one for run in settings.runs for one in measure(run, settings)]
    if settings.out is not None:
        draw(found, settings.out)
    print("\n".join(lines(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
