"""``lukasa bench defaults``: what agents learn by default, beside those of stable-baselines3 with their defaults.

A cell is one agent, environment and seed, trained for the environment's number of steps with nothing else said. Both
sides are scored alike: the mean return of the last 100 episodes of training, which sampled their actions.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lukasa.benchmarks.defaults_report import page
from lukasa.ground.mistakes import UserError
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs.directory import create_run, describe_run, read_metrics

STEPS = {
    "CartPole-v1": 50_000,
    "Acrobot-v1": 80_000,
    "Pendulum-v1": 60_000,
    "MountainCarContinuousShaped-v0": 50_000,
    "popgym-RepeatPreviousEasy-v0": 60_000,
    "popgym-PositionOnlyCartPoleEasy-v0": 60_000,
    "popgym-HigherLowerEasy-v0": 40_000,
    "MiniGrid-Empty-5x5-v0": 40_000,
    "MiniGrid-MemoryS7-v0": 100_000,
    "LunarLander-v3": 100_000,
}
"""Environment steps, by environment."""

FOUR = ("CartPole-v1", "Pendulum-v1", "popgym-RepeatPreviousEasy-v0", "popgym-PositionOnlyCartPoleEasy-v0")
"""What the slower cores are tried on."""

PUBLIC = {"PPO": "stable_baselines3", "RecurrentPPO": "sb3_contrib"}
"""Agents of others, and the packages they are in."""

POINTS = 10
"""Of the learning curve that goes with a score."""


@dataclass(frozen=True)
class DefaultsOptions:
    """Train the table of agents and environments, each cell with its makers' defaults.

    Attributes:
        out: file of one JSON line a cell; cells that are in it already are not trained again.
        agents: cores of ours, and PPO and RecurrentPPO of stable-baselines3.
        envs: environments; all of the table when none is given.
        seeds: of every cell.
        public: Python that has stable-baselines3, sb3-contrib and the environments; needed for their agents.
        report: Markdown to write from the file; nothing is trained for it.
        quick: 2,000 steps a cell, to see that it works.
    """

    out: Path = Path("defaults.jsonl")
    agents: tuple[str, ...] = ("gru", "feedforward", "PPO", "RecurrentPPO", "lstm", "ntm", "sam")
    envs: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2)
    public: Path | None = None
    report: Path | None = None
    quick: Switch = False


@dataclass(frozen=True)
class Cell:
    """One agent, environment and seed."""

    agent: str
    env: str
    seed: int
    steps: int


def main(argv: Sequence[str]) -> int:
    """Train what is missing of the table, or write its report."""
    options = parse(DefaultsOptions, argv, prog="lukasa bench defaults")
    if options.report:
        options.report.write_text(page(read_cells(options.out)))
        return 0
    check(options)
    with contextlib.ExitStack() as stack:
        if set(options.agents) - PUBLIC.keys():
            from lukasa.launch.ray.session import running_ray

            stack.enter_context(running_ray(1))  # for all cells: starting it takes longer than some of them
        for cell in cells(options):
            with _claimed(options.out, cell) as free:
                if not free:
                    continue
                result = train_public(cell, options.public) if cell.agent in PUBLIC else train_ours(cell)
                _append(options.out, asdict(cell) | result)
                print(f"{cell.agent:<13}{cell.env:<36}seed {cell.seed}  {result['score']:.4g}", flush=True)
    return 0


def check(options: DefaultsOptions) -> None:
    """Refuse what cannot be trained, before anything is.

    Raises:
        UserError: an agent is unknown, or one of others is asked for without a Python that has it.
    """
    from lukasa import memory

    for agent in options.agents:
        if agent in PUBLIC and options.public is None:
            raise UserError(f"{agent} is of {PUBLIC[agent]}: give a Python that has it with --public PATH")
        if agent not in PUBLIC and agent not in memory.CORES:
            raise UserError(f"there is no agent {agent!r}: choose of {', '.join([*memory.CORES, *PUBLIC])}")


def cells(options: DefaultsOptions) -> list[Cell]:
    """The table, seed by seed, what matters most first."""
    found = []
    for seed in options.seeds:
        for agent in options.agents:
            common = agent in (*PUBLIC, "gru", "feedforward")
            for env in options.envs or (STEPS if common else FOUR):
                found.append(Cell(agent, env, seed, 2_000 if options.quick else STEPS.get(env, 100_000)))
    return found


def train_ours(cell: Cell) -> dict[str, Any]:
    """Train an agent of ours as ``lukasa train rl --env ENV --core CORE`` does."""
    from lukasa.launch.kinds.rl.experiment import RLExperiment
    from lukasa.launch.kinds.rl.job import train

    experiment = RLExperiment(env=cell.env, core=cell.agent, steps=cell.steps, seed=cell.seed, checkpoint_every=1e9)
    with tempfile.TemporaryDirectory(prefix="defaults") as folder:
        run = create_run(Path(folder) / "run", describe_run("rl", None, asdict(experiment)))
        train(run, experiment, None)
        rows = read_metrics(run)
    curve = [[row["env_steps"], row["return_mean"]] for row in rows[:: max(1, len(rows) // POINTS)]]
    return {
        "score": rows[-1]["return_mean"],
        "episodes": rows[-1]["episodes"],
        "curve": curve,
        "seconds": rows[-1]["seconds"],
        "load": os.getloadavg()[0],
        "warned": sorted({row["not_learning"] for row in rows if "not_learning" in row}),
    }


def train_public(cell: Cell, python: Path | None) -> dict[str, Any]:
    """Train an agent of stable-baselines3 in a process of its own, with its defaults.

    Raises:
        UserError: it failed; the message is its last line.
    """
    program = Path(__file__).with_name("defaults_public.py")
    words = [cell.agent, cell.env, str(cell.seed), str(cell.steps), str(POINTS)]
    started = time.monotonic()
    command = [str(python), str(program), *words]
    with tempfile.TemporaryDirectory() as names:
        # That Python has no package of ours; the folder of all packages, whatever its name, is `lukasa` to it.
        Path(names, "lukasa").symlink_to(program.parents[1])
        environment = os.environ | {"PYTHONPATH": names}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"{cell.agent} on {cell.env} failed: {last}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return found | {"seconds": round(time.monotonic() - started, 1), "load": os.getloadavg()[0]}


def read_cells(file: Path) -> list[dict[str, Any]]:
    """The cells that are done.

    Raises:
        UserError: a line is broken.
    """
    if not file.exists():
        return []
    try:
        return [json.loads(line) for line in file.read_text().splitlines() if line]
    except json.JSONDecodeError as error:
        raise UserError(f"{file} is corrupt: {error}; remove the line that is broken") from None


@contextlib.contextmanager
def _claimed(file: Path, cell: Cell) -> Iterator[bool]:
    """Whether this process is to train a cell: it is not done, and nobody else is at it, on this machine."""
    with contextlib.ExitStack() as stack:
        name = f"{cell.agent}-{cell.env}-{cell.seed}-{cell.steps}.lock".replace("/", "-")
        lock = stack.enter_context(open(file.with_name(f".{file.name}-{name}"), "a"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        names = tuple(asdict(cell))
        done = {tuple(one[name] for name in names) for one in read_cells(file)}
        yield tuple(asdict(cell).values()) not in done
        Path(lock.name).unlink(missing_ok=True)


def _append(file: Path, row: dict[str, Any]) -> None:
    with open(file, "a") as lines:
        lines.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
