"""``lukasa eval`` of found programs: errors run soft and run hard, on memories far longer, and the program itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from lukasa.agents.neural_ram import ProgramRunner, score_hard
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.ground.statistics import wilson_interval
from lukasa.launch.kinds.circuits.experiment import CircuitExperiment
from lukasa.launch.kinds.circuits.job import lengths_of, make_machine, score_starts, task_of
from lukasa.launch.kinds.figures import Result, figure
from lukasa.launch.kinds.kind import Evaluation
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.tables import print_table
from lukasa.launch.runs.checkpoints import find_checkpoint, fitting, load_checkpoint, to_plain
from lukasa.launch.runs.directory import Run
from lukasa.launch.training.by_batch import on_this_machine
from lukasa.memory.neural_ram import Learned, NeuralRAM, expected_cost, take_start
from lukasa.tasks.ram import RamTask

FURTHER = 10
"""Times the longest that was trained on."""
SEED = 3_000_000
"""Of what is evaluated on."""
SOFT_ROWS = 64
"""Memories that the machine is run soft on."""


@dataclass(frozen=True)
class EvalOptions:
    """Score found programs, run hard, on memories as long as in training and ten times as long; print the best.

    Attributes:
        checkpoint: which checkpoint to score: best, last, or its name.
        lengths: lengths to run the best start's program on, such as 8,80; the longest of training and ten times that
            by default.
        memories: memories of each length.
        start: which start's program, from 0 on; the best by training loss by default.
        program: print the program as well.
        memory: file with a memory, whole numbers in JSON or between spaces; it is printed as the program leaves it.
        json: print one JSON object.
    """

    checkpoint: str = "best"
    lengths: str = ""
    memories: int = 1000
    start: int | None = None
    program: Switch = False
    memory: str | None = None
    json: Switch = False


@dataclass(frozen=True)
class TrainedMachines:
    """Trained machines out of a run directory.

    Attributes:
        name: of the checkpoint.
        machine: of all starts.
        best: the best start by training loss.
    """

    name: str
    machine: NeuralRAM
    best: int


def load_machines(run: Run, experiment: CircuitExperiment, which: str) -> TrainedMachines:
    """Rebuild the machines of a run from its config and a checkpoint.

    Raises:
        UserError: there is no such checkpoint, or it is cut short.
    """
    experiment = on_this_machine(experiment)
    checkpoint = find_checkpoint(run.checkpoints, which)
    state = to_plain(load_checkpoint(checkpoint))["trainer"]
    torch.set_num_threads(experiment.threads)
    machine = make_machine(experiment)
    with fitting(checkpoint):
        machine.load_state_dict(state["machine"])
        levels, costs = state["curriculum"]["levels"], state["curriculum"]["costs"]
    best = min(range(experiment.starts), key=lambda one: (-int(levels[one]), float(costs[one])))
    return TrainedMachines(checkpoint.name, machine.eval(), best)


def load_program(run: Run, experiment: CircuitExperiment, checkpoint: str, start: int | None = None) -> ProgramRunner:
    """The program of a start, to be run on memories of one's own.

    Args:
        run: its directory.
        experiment: what was trained.
        checkpoint: best, last, or a name.
        start: which; the best by training loss by default.

    Raises:
        UserError: there is no such checkpoint or start.
    """
    trained = load_machines(run, experiment, checkpoint)
    with as_user_error():
        alone = take_start(trained.machine, trained.best if start is None else start)
    return ProgramRunner(task_of(experiment), alone.layout, Learned(alone.cpu()))


def evaluate_run(run: Run, experiment: CircuitExperiment, options: EvalOptions) -> dict[str, Any]:
    """Score a run; the keys are those that ``lukasa eval --json`` prints.

    Raises:
        UserError: an option cannot be used, or there is no checkpoint.
    """
    check_least(options, memories=1)
    task, longest = task_of(experiment), lengths_of(experiment)[1]
    lengths = _lengths(options.lengths) or [longest, FURTHER * longest]
    cells = None if options.memory is None else read_memory(options.memory)
    trained = load_machines(run, experiment, options.checkpoint)
    start = trained.best if options.start is None else options.start
    with as_user_error():
        alone = take_start(trained.machine, start).cpu()
    runner = ProgramRunner(task, alone.layout, Learned(alone))
    result: dict[str, Any] = {
        "run": str(run.path),
        "checkpoint": trained.name,
        "task": task.name,
        "start": start,
        "starts": experiment.starts,
        "soft": _soft_error(alone, task, longest, experiment.seed),
        "rows": [],
        "exact_starts": {},
        "program": runner.program(longest).lines(),
        "show_program": options.program,
        "memory": None,
    }
    for length in lengths:
        generator = torch.Generator().manual_seed(SEED + experiment.seed)
        with as_user_error():
            scored = score_hard(task, alone.layout, runner.policy, length, options.memories, generator)
        result["rows"].append({**scored._asdict(), "chance": _unchanged(task, length, experiment.seed)})
        each = score_starts(trained.machine.cpu(), task, length, min(options.memories, 100), experiment.seed)
        result["exact_starts"][str(length)] = [number for number, one in enumerate(each) if one.error == 0]
    result["score"] = result["rows"][0]["error"]
    if cells is not None:
        with as_user_error(f"--memory {options.memory}: "):
            result["memory"] = {"before": cells, **runner.run(cells)._asdict()}
    return result


def read_memory(path: str) -> list[int]:
    """A memory out of a file.

    Args:
        path: of a file with whole numbers, a JSON list of them or with spaces or commas between them.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--memory {path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    words = text.removeprefix("[").removesuffix("]").replace(",", " ").split()
    for word in words:
        if not word.removeprefix("-").isdecimal():
            raise UserError(f"--memory {path} holds {word[:20]!r}: expected whole numbers, such as 4 7 6 5 0 0 0 0")
    return [int(word) for word in words]


def _lengths(text: str) -> list[int]:
    words = [one.strip() for one in text.split(",")] if text else []
    if not all(one.isdecimal() and int(one) for one in words):
        raise UserError(f"option --lengths is {text!r}: expected whole numbers above 0, such as 8,80")
    return [int(one) for one in words]


def _soft_error(machine: NeuralRAM, task: RamTask, length: int, seed: int) -> float:
    """Percent of wrong cells at the likeliest end, with everything in distributions."""
    drawn = task.sample(length, SOFT_ROWS, torch.Generator().manual_seed(SEED + seed))
    limits = torch.full((1, SOFT_ROWS), task.steps(length))
    with torch.no_grad():
        memory, target, mask = (one.unsqueeze(0) for one in drawn)
        expected = expected_cost(machine, memory, target, mask, limits)
    return 100 * float(expected.wrong.mean())


def _unchanged(task: RamTask, length: int, seed: int) -> float:
    """Percent of wrong cells where nothing is done."""
    drawn = task.sample(length, 1000, torch.Generator().manual_seed(SEED + seed))
    return 100 * float(((drawn.memory != drawn.target) & drawn.mask).sum() / drawn.mask.sum())


def describe(result: dict[str, Any]) -> None:
    """Print the result for people."""
    if result["memory"] is not None:
        print(*result["memory"]["memory"])
        return
    memories = result["rows"][0]["rows"]
    title = f"{result['task']}, start {result['start']}, {result['checkpoint']}, run hard on {memories:,} memories each"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    columns = ("length", "cells", "error %", "exact %", "stopped %", "steps", "untouched %", "exact starts")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for row in result["rows"]:
        exact = len(result["exact_starts"][str(row["length"])])
        table.add_row(
            *(f"{row[name]:,}" for name in ("length", "cells")),
            *(f"{row[name]:.2f}" for name in ("error", "exact", "stopped", "steps", "chance")),
            f"{exact} of {result['starts']}",
        )
    print_table(table)
    print("untouched: error where nothing is done; exact starts: without a wrong cell in up to 100 memories")
    print(f"run soft, at the longest length of training: error {result['soft']:.2f} %")
    if result["show_program"]:
        print("\n".join(result["program"]))


def figure_of(result: Result) -> dict[str, Any]:
    """How many of the longest memories the best program leaves without a wrong cell."""
    row = result["rows"][-1]
    low, high = wilson_interval(row["exact"] / 100, row["rows"])
    found = {"score": row["exact"], "interval": (100 * low, 100 * high)}
    return figure("exact %", found, of=f"{row['rows']:,} memories of length {row['length']}", best=100.0)


EVALUATION = Evaluation(EvalOptions, evaluate_run, describe, figure=figure_of)
"""How found programs are evaluated."""
