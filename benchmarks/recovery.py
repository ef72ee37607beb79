"""``lukasa bench recovery``: an env runner, a Train worker or a machine is killed; when does training go on?

A cluster of two machines is played by this one. Each run is the command that a user gives, in a process of its own.
"""

from __future__ import annotations

import dataclasses
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from lukasa.benchmarks.machines import Machines, two_machines
from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run, describe_run, read_metrics

Do = Callable[[Machines], None]
SECONDS = 300.0
"""Longest wait for anything."""

RL = "rl repeat_previous_gru --batch-size 832 --minibatch-size 416 --checkpoint-every 5"
TASK = "task copy_dnc --report-every 320 --checkpoint-every 2"
FEW_SHOT = (
    "few-shot omniglot_prototypical --source generated --part background_small1 --size 16 --options.channels 8 "
    "--ways 5 --batch-size 4 --report-every 40 --checkpoint-every 2"
)
STEPS = {"rl": "env_steps", "task": "sequences", "few-shot": "episodes"}


def lose_and_give(machines: Machines) -> None:
    """Lose the second machine, and have another at once, as where the cluster scales by itself."""
    machines.lose()
    machines.give()


@dataclass(frozen=True)
class Loss:
    """One way to lose something.

    Attributes:
        training: words after ``lukasa train``.
        happens: does it.
        what: for people.
    """

    training: str
    happens: Do
    what: str


LOSSES = {
    "runner": Loss(RL, lambda machines: machines.kill("EnvRunner"), "one of 2 env runners"),
    "worker": Loss(TASK, lambda machines: machines.kill("RayTrainWorker"), "one of 2 Train workers"),
    "machine-rl": Loss(RL, lose_and_give, "the machine of one of 2 env runners"),
    "machine-task": Loss(TASK, lose_and_give, "the machine of one of 2 Train workers"),
    "machine-few-shot": Loss(FEW_SHOT, lose_and_give, "the machine of one of 2 Train workers"),
}


@dataclass(frozen=True)
class Settings:
    """Kill an env runner, a Train worker and a machine, each in a run on two machines, and wait for progress.

    Attributes:
        losses: runner, worker, machine-rl, machine-task or machine-few-shot, with commas between.
        before: lines of metrics before the kill.
        out: write the rows here as JSON.
        json: print the rows as JSON.
    """

    losses: str = ",".join(LOSSES)
    before: int = 4
    out: Path | None = None
    json: Switch = False


@dataclass(frozen=True)
class Row:
    """One loss.

    Attributes:
        loss: its name.
        training: the run.
        told_before: steps of the last line of metrics before the kill.
        went_on_from: steps that training went on from; as many as before where nothing was taken back.
        next_line: seconds from the kill to the next line of metrics.
        beyond: seconds from the kill to a line beyond what was told before.
        said: what the run said of it.
    """

    loss: str
    training: str
    told_before: int
    went_on_from: int
    next_line: float
    beyond: float
    said: str


def measure(name: str, machines: Machines, folder: Path, before: int) -> Row:
    """Train on two machines, lose something, wait for progress, and have the run save and stop.

    Raises:
        RuntimeError: training ended, or nothing came for minutes.
    """
    loss = LOSSES[name]
    kind = loss.training.split()[0]
    run = Run(folder / name, STEPS[kind])
    words = ["train", *loss.training.split(), "--steps", "1000000000", "--out", str(run.path)]
    if kind == "rl":
        words += ["--stop-at", "2"]  # no return is
    words += ["--ray", "--address", machines.address, "--workers", "2"]
    log = folder / f"{name}.log"
    with log.open("w") as told:
        command = [sys.executable, "-m", "lukasa.launch", *words]
        training = subprocess.Popen(command, stdout=told, stderr=told, env=machines.environment)
    try:
        _wait(training, log, lambda: len(read_metrics(run)) >= before and bool(list_checkpoints(run.checkpoints)))
        rows = read_metrics(run)
        told_before = rows[-1][run.step_key]
        killed = time.monotonic()
        loss.happens(machines)
        lines = len(rows)

        def new_line() -> bool:
            nonlocal lines
            found = len(read_metrics(run))
            lines = min(lines, found)  # a run that goes back takes lines back
            return found > lines

        _wait(training, log, new_line)
        next_line = time.monotonic() - killed
        _wait(training, log, lambda: read_metrics(run)[-1][run.step_key] > told_before)
        beyond = time.monotonic() - killed
        told = said(log)
        back = re.search(r"on from ([\d,]+)", told)
        went_on_from = int(back[1].replace(",", "")) if back else told_before
        return Row(name, loss.training, told_before, went_on_from, next_line, beyond, told)
    finally:
        training.send_signal(signal.SIGTERM)
        try:
            training.wait(60)
        except subprocess.TimeoutExpired:
            training.kill()
            training.wait()


def said(log: Path) -> str:
    """The lines of a run's log that tell of something lost."""
    lines = [line.strip() for line in log.read_text().splitlines() if "lost" in line or "goes on" in line]
    return "; ".join(dict.fromkeys(lines))


def _wait(training: subprocess.Popen[bytes], log: Path, until: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not until():
        if training.poll() is not None or time.monotonic() > end:
            why = "ended" if training.poll() is not None else f"told nothing for {SECONDS:.0f} s"
            raise RuntimeError(f"training {why}: {log.read_text()[-2000:]}")
        time.sleep(0.05)


def main(argv: Sequence[str]) -> int:
    """Print a table, or JSON; write JSON where asked.

    Raises:
        UserError: a loss is unknown, or a number cannot be used.
    """
    settings = parse(Settings, argv, prog="lukasa bench recovery")
    names = [word.strip() for word in settings.losses.split(",")]
    for name in names:
        if name not in LOSSES:
            raise UserError(f"unknown loss {name!r}: {nearest(name, LOSSES)}")
    check_least(settings, before=1)
    rows = []
    with tempfile.TemporaryDirectory(prefix="lukasa-recovery-") as folder, two_machines() as machines:
        for name in names:
            print(name, file=sys.stderr, flush=True)
            rows.append(measure(name, machines, Path(folder), settings.before))
    config = dataclasses.asdict(settings) | {"out": None, "subject": "recovery"}
    result: dict[str, Any] = describe_run("bench", None, config) | {"rows": [asdict(row) for row in rows]}
    if settings.out is not None:
        settings.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result)) if settings.json else show(rows)
    return 0


def show(rows: Sequence[Row]) -> None:
    """The rows as a table, then what the runs said."""
    table = Table(title="From the kill to progress", box=SIMPLE)
    for name in ("killed", "next line s", "beyond s", "told before", "went on from"):
        table.add_column(name, justify="left" if name == "killed" else "right")
    for row in rows:
        numbers = (f"{row.next_line:.1f}", f"{row.beyond:.1f}", f"{row.told_before:,}", f"{row.went_on_from:,}")
        table.add_row(f"{row.loss}: {LOSSES[row.loss].what}", *numbers)
    Console().print(table)
    for row in rows:
        print(f"{row.loss}: lukasa train {row.training} --ray --workers 2\n  {row.said}")
