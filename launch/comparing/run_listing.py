"""``lukasa list runs``: the runs and experiments of several seeds in a folder, one line each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from lukasa.ground.mistakes import UserError
from lukasa.launch.comparing.scores import curves_of, mean_score, show_interval
from lukasa.launch.comparing.several_seeds import is_several, open_compared
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.options.fields import Switch, split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.options.tables import print_table
from lukasa.launch.runs.progress import show_score

DEEPEST = 3
"""Folders below the one that is listed in which runs are looked for."""


@dataclass(frozen=True)
class RunsOptions:
    """List the runs in a folder, runs/ by default, and how far each came.

    Attributes:
        json: print one JSON object.
    """

    json: Switch = False


def main(argv: Sequence[str]) -> int:
    """Print the list; returns the exit code."""
    words, rest = split_words(argv)
    options = parse(RunsOptions, rest, prog="lukasa list runs [FOLDER]")
    if len(words) > 1:
        raise UserError(f"lukasa list runs takes one folder, got {' '.join(words)!r}")
    folder = Path(words[0]) if words else Path("runs")
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: give the one that holds your runs, or train one first")
    rows = list(map(row, find(folder)))
    if options.json:
        print(json.dumps({"runs": rows}, indent=1))
    elif rows:
        print_table(make_table(rows))
    else:
        print(f"there are no runs in {folder}")
    return 0


def find(folder: Path, deepest: int = DEEPEST) -> Iterator[Path]:
    """The runs and experiments in a folder, by name; what an experiment or a sweep holds belongs to it."""
    try:
        is_run = is_several(folder) or (folder / "config.json").is_file()
        inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    except OSError:  # not ours to look into, or gone in this moment
        return
    if is_run:
        yield folder
        return
    for path in inside if deepest else ():
        yield from find(path, deepest - 1)


def row(path: Path) -> dict[str, Any]:
    """What is said of one run or experiment; of one that cannot be read, why."""
    try:
        (found,) = open_compared([str(path)], kind_of, "list")
        subject = found.kind.subject(found.experiment)
        curves = curves_of(found, subject)
    except Exception as error:  # a broken run, or one whose data or extra is not here, hides no other
        return {"run": str(path), "problem": " ".join(str(error).split())}
    mean, interval = mean_score(curves)
    return {
        "run": str(path),
        "kind": found.kind.name,
        "what": subject.name,
        "core": subject.learner,
        "seeds": found.seeds,
        "steps": min(int(curve.steps[-1]) if curve.steps else 0 for curve in curves),
        "asked": found.experiment.steps,
        "finished": all(curve.ended for curve in curves),
        "score": mean,
        "interval": interval,
        "unit": subject.unit,
    }


def make_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The list for people."""
    table = Table(box=None, pad_edge=False)
    table.add_column("run", overflow="fold")
    for column in ("kind", "what", "core"):
        table.add_column(column, no_wrap=True)
    for column in ("seeds", "steps", "score"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for one in rows:
        if "problem" in one:
            table.add_row(one["run"], *[""] * 6, one["problem"])
            continue
        steps = f"{one['steps']:,}" if one["finished"] else f"{one['steps']:,} of {one['asked']:,}"
        ends = f" ({show_interval(one['interval'])})" if one["interval"] else ""
        cells = (one["run"], one["kind"], one["what"], one["core"], str(len(one["seeds"])), steps)
        table.add_row(*cells, show_score(one["score"]), f"{one['unit']}{ends}")
    return table
