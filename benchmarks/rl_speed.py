"""``lukasa bench rl``: milliseconds of the processor that sampling and learning take, apart.

One row a recipe of ``lukasa train rl``, beside a bare PyTorch loop with the same agent, environments and settings
(``rl_speed_bare``). With ``--beside`` another checkout of the project, such as one of an earlier commit, is measured
in turns with this one, each in a process of its own; with ``--public`` the RecurrentPPO of sb3-contrib as well, by a
Python that has it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse

RECIPES = tuple(f"repeat_previous_{core}" for core in ("gru", "lstm", "ntm", "dnc", "sam"))
WARM_UP = 2
"""Iterations that are not counted."""
MEASURED = "measured: "
"""What stands before the numbers of a process on its last line."""

Seconds = dict[str, list[float]]


@dataclass(frozen=True)
class SpeedOptions:
    """Measure what sampling and learning cost, in seconds of the processor.

    Attributes:
        recipes: of lukasa train rl.
        iterations: of every process.
        rounds: processes of each kind, in turns.
        beside: another checkout, measured as this one is.
        public: a Python that has sb3-contrib.
        json: print a line of JSON for each kind of process.
    """

    recipes: tuple[str, ...] = RECIPES
    iterations: int = 4
    rounds: int = 3
    beside: Path | None = None
    public: Path | None = None
    json: Switch = False


def measure(recipe: str, iterations: int) -> Seconds:
    """Seconds of each iteration, of an algorithm as ``lukasa train rl`` builds it."""
    import torch

    from lukasa.launch.kinds.rl.algorithms import make_config
    from lukasa.launch.kinds.rl.recipes import RL_RECIPES
    from lukasa.launch.ray.quiet import quiet_libraries
    from lukasa.launch.ray.session import running_ray

    torch.set_num_threads(1)
    experiment = RL_RECIPES[recipe]()
    with quiet_libraries(), running_ray(1):
        algorithm: Any = make_config(experiment).copy(copy_frozen=False).build_algo()
        sampling = algorithm.env_runner.sample = _timed(algorithm.env_runner.sample)
        learning = algorithm.learner_group.update = _timed(algorithm.learner_group.update)
        whole = _timed(algorithm.train)
        for _ in range(WARM_UP + iterations):
            whole()
        algorithm.stop()
    return {
        "sampling": sampling.seconds[WARM_UP:],
        "learning": learning.seconds[WARM_UP:],
        "all": whole.seconds[WARM_UP:],
    }


def _timed(function: Callable[..., Any]) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        began = time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            call.seconds.append(time.process_time() - began)  # pyright: ignore

    call.seconds = []  # pyright: ignore
    return call


def in_a_process(program: Sequence[str], tree: Path | None = None) -> Seconds:
    """What another process measured, with the code of a tree."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if tree is not None:
        environment["PYTHONPATH"] = str(tree / "build" / "names")
    found = subprocess.run(program, env=environment, capture_output=True, text=True)
    lines = [line for line in found.stdout.splitlines() if line.startswith(MEASURED)]
    if not lines:
        raise RuntimeError(f"{' '.join(program)} measured nothing: {found.stderr[-2000:]}")
    return json.loads(lines[-1].removeprefix(MEASURED))


def programs(options: SpeedOptions, recipe: str) -> dict[str, tuple[list[str], Path | None]]:
    """What is measured, by name: the program, and the tree whose code it runs."""
    here = Path(__file__)
    count = str(options.iterations)
    found: dict[str, tuple[list[str], Path | None]] = {
        "now": ([sys.executable, str(here), "measure", recipe, count], None)
    }
    if options.beside is not None:
        found["before"] = (found["now"][0], options.beside)
    bare = str(here.with_name("rl_speed_bare.py"))
    if not recipe.endswith("_sam"):
        found["bare loop"] = ([sys.executable, bare, recipe, count], None)
    if options.public is not None and recipe.endswith("_lstm"):
        public = str(here.with_name("rl_speed_public.py"))
        found["RecurrentPPO"] = ([str(options.public), public, recipe, count], None)
    return found


def rows_of(options: SpeedOptions) -> Iterator[dict[str, Any]]:
    """One for each recipe and kind of process: medians and spread in seconds an iteration."""
    from lukasa.launch.kinds.rl.recipes import RL_RECIPES

    for recipe in options.recipes:
        kinds = programs(options, recipe)
        seconds: dict[str, list[Seconds]] = {kind: [] for kind in kinds}
        for _ in range(options.rounds):
            for kind, (program, tree) in kinds.items():
                seconds[kind].append(in_a_process(program, tree))
        for kind, rounds in seconds.items():
            row: dict[str, Any] = {"recipe": recipe, "kind": kind, "steps": RL_RECIPES[recipe]().batch_size}
            for part in rounds[0]:
                every = [one for found in rounds for one in found[part]]
                row[part] = round(statistics.median(every), 4)
                row[f"{part} spread"] = [round(min(every), 4), round(max(every), 4)]
            row["load"] = round(os.getloadavg()[0], 1)
            yield row


def line_of(row: dict[str, Any]) -> str:
    """A row of the table, in Markdown."""
    parts = []
    for part in ("sampling", "learning", "all"):
        low, high = row[f"{part} spread"]
        parts.append(f"{1e3 * row[part]:,.0f} ({1e3 * low:,.0f} to {1e3 * high:,.0f})")
    rates = [f"{row['steps'] / row[part]:,.0f}" for part in ("sampling", "all")]
    return f"| `{row['recipe']}` | {row['kind']} | {' | '.join((*parts, *rates))} | {row['load']} |"


def main(argv: Sequence[str]) -> int:
    """Measure the recipes, and print a table or lines of JSON as they are measured.

    Raises:
        UserError: there is no such recipe.
    """
    options = parse(SpeedOptions, argv, prog="lukasa bench rl")
    for recipe in options.recipes:
        if recipe not in RECIPES:
            raise UserError(f"there is no recipe {recipe!r} to measure: {nearest(recipe, RECIPES)}")
    if not options.json:
        print("| recipe | | sampling, ms | learning, ms | all, ms | steps a second, sampling | in all | load |")
        print("|---|---|--:|--:|--:|--:|--:|--:|")
    for row in rows_of(options):
        print(json.dumps(row) if options.json else line_of(row), flush=True)
    return 0


if __name__ == "__main__":  # one process of those that take turns; it may run the code of another tree
    print(MEASURED + json.dumps(measure(sys.argv[2], int(sys.argv[3]))), flush=True)
