"""``lukasa bench runners``: environment steps a second of one agent with 0, 1, 2 ... runners, and who waits for whom.

Each measurement is a run in a process of its own. The first iterations, in which everything starts, are left out.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lukasa.benchmarks.runners_report import page, show
from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.options import RL
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.described import described
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs.directory import Run, describe_run, read_metrics

Numbers = dict[str, Any]


@dataclass(frozen=True)
class RunnersOptions:
    """Measure the speed of one agent with several numbers of runners.

    Attributes:
        recipe: of lukasa train rl; its --stop-at is ignored.
        algorithms: those that lukasa list algorithms names, or your own.
        runners: how many; 0 samples in the process that learns, which APPO and IMPALA cannot do at once.
        seconds: of every measurement, after its first iterations.
        repeats: measurements of each, in turns.
        out: folder for runners.md and runners.json.
        quick: a few seconds each, to see that it works.
        json: print one JSON object.
    """

    recipe: str = "repeat_previous_gru"
    algorithms: tuple[str, ...] = ("ppo", "appo")
    runners: tuple[int, ...] = (0, 1, 2)
    seconds: float = 60.0
    repeats: int = 1
    out: Path | None = None
    quick: Switch = False
    json: Switch = False


QUICK = RunnersOptions(seconds=5.0)
WARM_UP = 2
"""Iterations that are not counted, at least."""


def main(argv: Sequence[str]) -> int:
    """Measure, print and save."""
    if argv[:1] == ["--one"]:
        return measure_here(json.loads(argv[1]))
    options = parse(RunnersOptions, argv, prog="lukasa bench runners", default=QUICK if "--quick" in argv else None)
    check(options)
    result = describe_run("bench", None, {"subject": "runners"} | dataclasses.asdict(options) | {"out": None})
    result["cores"] = os.cpu_count()
    result["shipped"] = shipped_bytes(RL.make(options.recipe))
    result["rows"] = measure_all(options)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "runners.json").write_text(json.dumps(result, indent=1) + "\n")
        (options.out / "runners.md").write_text(page(result))
    print(json.dumps(result)) if options.json else show(result)
    return 0


def check(options: RunnersOptions) -> None:
    """Refuse what cannot be measured.

    Raises:
        UserError: an option cannot be used.
    """
    RL.make(options.recipe)
    for name in options.algorithms:
        described("algorithms", "algorithm", name)
    check_least(options, runners=0, repeats=1)
    if not options.seconds > 0:
        raise UserError(f"option --seconds is {options.seconds:g}: expected more than 0")
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise UserError(f"--out {options.out} is a file: choose a folder")


def measure_all(options: RunnersOptions) -> list[Numbers]:
    """One row for each algorithm and number of runners: medians over the repeats."""
    pairs = [(algorithm, runners) for algorithm in options.algorithms for runners in options.runners]
    found: dict[tuple[str, int], list[Numbers]] = {pair: [] for pair in pairs}
    for _ in range(options.repeats):
        for algorithm, runners in pairs:
            print(f"{algorithm}, {runners} runners", file=sys.stderr, flush=True)
            found[algorithm, runners].append(measure(options.recipe, algorithm, runners, options.seconds))
    return [median_row(algorithm, runners, rows) for (algorithm, runners), rows in found.items()]


def median_row(algorithm: str, runners: int, rows: Sequence[Numbers]) -> Numbers:
    """The median of every number, with the lowest and highest speed beside."""
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    speeds = [row["steps_per_second"] for row in rows]
    return {"algorithm": algorithm, "runners": runners} | medians | {"low": min(speeds), "high": max(speeds)}


def measure(recipe: str, algorithm: str, runners: int, seconds: float) -> Numbers:
    """One measurement, in a process of its own."""
    asked = json.dumps({"recipe": recipe, "algorithm": algorithm, "runners": runners, "seconds": seconds})
    command = [sys.executable, "-m", "lukasa.launch", "bench", "runners", "--one", asked]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{algorithm} with {runners} runners failed:\n{answer.stderr}")
    return json.loads(answer.stdout.splitlines()[-1])


def measure_here(asked: dict[str, Any]) -> int:
    """One measurement; prints it as JSON."""
    experiment = experiment_of(asked["recipe"], asked["algorithm"], asked["runners"])
    with tempfile.TemporaryDirectory(prefix="lukasa-runners-") as folder:
        run = Run(Path(folder))
        train_for(run, experiment, asked["seconds"])
        print(json.dumps(summary(read_metrics(run), asked["seconds"])))
    return 0


def experiment_of(recipe: str, algorithm: str, runners: int) -> RLExperiment:
    """A recipe that goes on until it is told to stop."""
    return replace(
        RL.make(recipe), algorithm=algorithm, runners=runners, steps=10**12, stop_at=None, checkpoint_every=1e9
    )  # type: ignore[arg-type]


def train_for(run: Run, experiment: RLExperiment, seconds: float) -> None:
    """Train until there are so many seconds after the first iterations."""
    from contextlib import nullcontext

    from lukasa.launch.kinds.rl import job as rl
    from lukasa.launch.training.loop import Worker

    rl.train(run, experiment, None, worker=Worker(listen=lambda: nullcontext(_Enough(run, seconds))))


class _Enough:
    """A wish to stop once enough is measured."""

    def __init__(self, run: Run, seconds: float):
        self._run, self._seconds = run, seconds

    @property
    def signal(self) -> int | None:
        counted = warm(read_metrics(self._run))
        return 15 if len(counted) > 1 and counted[-1]["seconds"] - counted[0]["seconds"] >= self._seconds else None


def warm(rows: Sequence[Numbers]) -> Sequence[Numbers]:
    """The lines of metrics from the last that is not counted on."""
    learned = next((index for index, row in enumerate(rows) if row.get("loss") is not None), len(rows))
    return rows[learned + WARM_UP :]


def summary(rows: Sequence[Numbers], seconds: float) -> Numbers:
    """Speed and shares of waiting, from the lines of a run that ran long enough."""
    counted = warm(rows)
    first, last, after = counted[0], counted[-1], counted[1:]
    elapsed = last["seconds"] - first["seconds"]
    lengths = [now["seconds"] - before["seconds"] for before, now in zip(counted, after, strict=False)]

    def share(name: str) -> float:
        return sum(row.get(name, 0.0) * length for row, length in zip(after, lengths, strict=True)) / elapsed

    return {
        "steps_per_second": (last["env_steps"] - first["env_steps"]) / elapsed,
        "runner_wait": share("runner_wait"),
        "learner_wait": share("learner_wait"),
        "driver_batching": share("driver_batching"),
        "iterations": len(after),
        "seconds": elapsed,
        "resident_bytes": last["resident_bytes"],
        "runner_resident_bytes": last.get("runner_resident_bytes", 0),
    }


def shipped_bytes(experiment: RLExperiment) -> Numbers:
    """What a runner sends for each step, and the weights that it is sent, as they would travel."""
    import torch
    from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

    from lukasa.launch.kinds.rl.algorithms import make_config
    from lukasa.launch.ray.quiet import quiet_libraries

    torch.set_num_threads(1)
    with quiet_libraries():
        runner: Any = SingleAgentEnvRunner(config=make_config(experiment))
        runner.sample()
        episodes = runner.sample()
        weights = runner.get_state(components="rl_module")
        runner.stop()
    size = len(pickle.dumps(episodes, protocol=pickle.HIGHEST_PROTOCOL))
    return {
        "bytes_per_step": size / sum(map(len, episodes)),
        "weight_bytes": len(pickle.dumps(weights, protocol=pickle.HIGHEST_PROTOCOL)),
    }
