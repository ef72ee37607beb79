"""``python -m tests.reliability PART ... [--count N] [--seed N] [--out FILE]``: try to break Lukasa, and count."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.launch.mutations import Campaign
from tests.reliability.report import rows_of, write_rows

Part = Callable[[int, int, Path], dict[str, Campaign]]
KINDS = ("task", "few-shot", "questions", "pointers", "programs", "circuits", "continual")


def kills(count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """Kill runs of every kind that trains batch by batch, so many in all."""
    from tests.reliability.kills import campaign

    return {kind: campaign(kind, -(-count // len(KINDS)), seed, folder) for kind in KINDS}


def ray_kills(count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """Kill runs of reinforcement learning, and supervised ones whose workers Ray starts."""
    from tests.launch.small_runs import RUNS
    from tests.reliability.kills import RL, with_ray

    task = RUNS["task"].replace("--steps 40", "--steps 400")
    return {
        "rl": with_ray("rl", RL, count, seed, folder),
        "task --ray": with_ray("task", task, count, seed, folder, ("--ray",)),
    }


def disks(count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """Fill disks, so many times for each of three kinds."""
    from tests.reliability.disks import campaigns, why_not

    if reason := why_not():
        print(f"full disks: left out, {reason}")
    tried: dict[str, Campaign] = {}
    for kind in ("task", "questions", "few-shot"):
        tried |= campaigns(kind, count, seed, folder)
    return tried


def read_only(count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """Take away the right to write, whatever the count."""
    from tests.reliability.disks import unwritable, why_not

    if reason := why_not():
        print(f"left out, {reason}")
        return {}
    (folder / "read-only").mkdir()
    return {"a folder that cannot be written": unwritable(folder / "read-only")}


def truncations(count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """Cut files short at every byte, whatever the count."""
    from tests.reliability.cut_files import truncations

    return truncations(folder, seed)


def corruptions(count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """Damage so many files, and write some to harm."""
    from tests.reliability.cut_files import corruptions, hostile

    return corruptions(count, seed, folder) | {"pickles that run a command": hostile(folder)}


def lines(count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """So many command lines, and a tenth as many configs and files of runs."""
    from tests.launch.small_runs import RUNS, trained
    from tests.launch.test_command_lines_mutated import command_lines
    from tests.launch.test_files_mutated import data_files, runs

    (folder / "lines").mkdir()
    os.chdir(folder / "lines")
    tried = {"command lines": command_lines(count, seed, folder / "lines")}
    (folder / "runs").mkdir()
    trained(folder / "runs" / "other", RUNS["task"] + " --seed 1")
    tried["configs and files of a run"] = runs(count // 10, seed, trained(folder / "runs" / "run", RUNS["task"]))
    (folder / "data").mkdir()
    return tried | {"data files": data_files(count // 10, seed, folder / "data")}


def pairs(count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """Two processes on one run, so many times."""
    from tests.reliability.pairs import campaign, held

    return {"two processes on one run": campaign(count, seed, folder), "folders that are held": held(folder)}


def clocks(count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """Turn the clock under so many runs of two kinds."""
    from tests.reliability.clocks import campaign

    return {f"a clock that jumps, {kind}": campaign(kind, count, seed, folder) for kind in ("task", "questions")}


def memory(count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """Train a sparse memory in RLlib for so many steps."""
    from tests.reliability.memory_use import campaign

    return {f"{count:,} steps of sam": campaign(count, folder)}


def sockets(count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """Look at what listens, whatever the count."""
    from tests.reliability.sockets import LONG, serving, training

    return {"training": training(tuple(LONG), folder), "serving": serving(folder)}


PARTS: dict[str, tuple[Part, int]] = {
    "kills": (kills, 100),
    "ray-kills": (ray_kills, 5),
    "disks": (disks, 30),
    "read-only": (read_only, 0),
    "truncations": (truncations, 0),
    "corruptions": (corruptions, 10_000),
    "lines": (lines, 100_000),
    "pairs": (pairs, 30),
    "clocks": (clocks, 10),
    "memory": (memory, 1_000_000),
    "sockets": (sockets, 0),
}
"""By name, what does it and how many are tried by default."""


def main() -> int:
    """Run parts; returns 1 where something broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("parts", nargs="+", choices=PARTS, metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--count", type=int, help="tries of a part; each has its own default")
    parser.add_argument("--seed", type=int, default=0, help="of what is random")
    parser.add_argument("--out", type=Path, help="page whose table gets the counts")
    asked = parser.parse_args()
    out = asked.out and asked.out.resolve()
    broken = 0
    for name in asked.parts:
        part, count = PARTS[name]
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="lukasa-reliability-") as folder:
            here = Path.cwd()
            tried = part(asked.count or count, asked.seed, Path(folder).resolve())
            os.chdir(here)
        for what, one in tried.items():
            one.report(f"{name}, {what}:")
            broken += len(one.broken)
        print(f"{name}: {time.monotonic() - begun:.0f} s", flush=True)
        if out:
            write_rows(out, rows_of(name, tried, asked.seed))
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
