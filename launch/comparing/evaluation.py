"""``lukasa eval`` of an experiment of several seeds: every seed as it is evaluated alone, and their mean.

The numbers are those that ``lukasa eval --json`` prints of each seed's run, so that every option holds for all seeds.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.table import Table

from lukasa.ground.mistakes import UserError
from lukasa.ground.statistics import bootstrap_interval
from lukasa.launch.comparing.several_seeds import SeveralSeeds, counted_seeds
from lukasa.launch.kinds.kind import Kind
from lukasa.launch.options.tables import print_table
from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import Run
from lukasa.launch.runs.saved_values import without_nan

MEASURED = {
    "return_mean": "mean return",
    "success_rate": "success rate",
    "length_mean": "mean length",
    "score": "score",
    "accuracy": "accuracy %",
    "error": "error %",
    "wrong": "wrong %",
}
"""Keys of the numbers that are averaged over seeds, and what people call them."""
PLACES = ("task", "length", "ways", "shots", "presentation", "run", "without")
"""Keys that say which of several rows a number belongs to."""
MOST_COLUMNS = 6
"""Seeds that have columns of their own in the table."""

Where = tuple[str, ...]


def evaluate_seeds(several: SeveralSeeds, kind: Kind[Any], options: Any) -> int:
    """Evaluate all seeds with the same options, and print their mean; returns the exit code.

    Args:
        several: the experiment.
        kind: of training.
        options: of ``lukasa eval``, as for a run of one seed.

    Raises:
        UserError: an option cannot be used, or no seed has a checkpoint yet.
    """
    way = kind.evaluation()
    begun: list[tuple[int, Run, Any]] = []
    for seed, (run, config) in zip(several.folders, several.runs(), strict=True):
        if not list_checkpoints(run.checkpoints):
            print(f"seed {seed} has no checkpoint yet and is left out", file=sys.stderr)
            continue
        begun.append((seed, run, kind.experiments.from_json(config["experiment"])))
    if not begun:
        raise UserError(f"no seed of {several.path} has a checkpoint yet: train it for longer")
    if way.of_several and (chosen := way.of_several(several.path, begun, options)) is not None:
        if options.json:
            print(json.dumps(without_nan(chosen)))
        else:
            way.describe(chosen)
        return 0
    results: dict[int, dict[str, Any]] = {}
    for seed, run, experiment in begun:
        results[seed] = json.loads(json.dumps(without_nan(way.evaluate(run, experiment, options))))
    found = summary(several, results)
    if options.json:
        print(json.dumps(found))
    else:
        describe(found)
    return 0


def summary(several: SeveralSeeds, results: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """The keys that ``lukasa eval --json`` prints of several seeds.

    Args:
        several: the experiment.
        results: of each seed, by seed.
    """
    by_seed = {seed: dict(_numbers(result)) for seed, result in results.items()}
    first = next(iter(by_seed.values()))
    rows = []
    for key in first:
        values = [one.get(key) for one in by_seed.values()]
        known = [float(value) for value in values if value is not None]
        if len(known) < len(values):
            continue
        where, name = key
        row = {"measure": name, "of": ", ".join(where), "mean": float(np.mean(known))}
        rows.append(row | {"interval": bootstrap_interval(known), "seeds": known})
    return {
        "run": str(several.path),
        "kind": several.kind,
        "seeds": list(results),
        "means": rows,
        "runs": list(results.values()),
    }


def describe(found: dict[str, Any]) -> None:
    """Print the result for people."""
    first, seeds = found["runs"][0], found["seeds"]
    who = first.get("core") or first.get("learner") or first.get("reader")
    what = first.get("env") or first.get("task") or first.get("data", "")
    table = Table(title=f"{who} on {what}, {counted_seeds(seeds)}", title_justify="left", box=None, pad_edge=False)
    own = [f"seed {seed}" for seed in seeds] if len(seeds) <= MOST_COLUMNS else ["lowest", "highest"]
    table.add_column("")
    for column in ("mean", "95 % confidence", *own):
        table.add_column(column, justify="right", no_wrap=True)
    for row in found["means"]:
        name = first["unit"] if row["measure"] == "score" and "unit" in first else MEASURED[row["measure"]]
        values = row["seeds"] if len(seeds) <= MOST_COLUMNS else [min(row["seeds"]), max(row["seeds"])]
        interval = "-" if row["interval"] is None else " to ".join(f"{end:.3f}" for end in row["interval"])
        title = f"{name}, {row['of']}" if row["of"] else name
        table.add_row(title, f"{row['mean']:.3f}", interval, *(f"{value:.3f}" for value in values))
    print_table(table)
    if len(seeds) > 1:
        few = "; so few seeds say little" if len(seeds) < 5 else ""
        print(f"95 % confidence of the mean: bootstrap over {len(seeds)} seeds{few}")
    if first.get("best") is not None and "env" in first:
        print(f"{first['score']}: chance {first['chance']:g}, best {first['best']:g}")


def _numbers(value: Any, where: Where = ()) -> Iterator[tuple[tuple[Where, str], float]]:
    """Every number that is averaged, by the row that it belongs to and its key."""
    if isinstance(value, list):
        for number, one in enumerate(value):
            named = isinstance(one, dict) and any(name in one for name in PLACES)
            yield from _numbers(one, where if named else (*where, str(number)))
    if not isinstance(value, dict):
        return
    rows = [f"{name} {value[name]}" for name in PLACES if name in value and where_is_row(value, name)]
    where = (*where, *rows)
    for key, one in value.items():
        if key in MEASURED and isinstance(one, int | float) and not isinstance(one, bool):
            if math.isfinite(one):
                yield (where, key), float(one)
        elif isinstance(one, dict):
            yield from _numbers(one, (*where, key.replace("_", " ")))
        elif isinstance(one, list) and any(isinstance(part, dict) for part in one):
            yield from _numbers(one, where)


def where_is_row(value: dict[str, Any], name: str) -> bool:
    """Whether a key says which row this is, rather than which run or checkpoint was evaluated.

    Example:
        >>> where_is_row({"run": "runs/x", "checkpoint": "last"}, "run"), where_is_row({"run": "run07"}, "run")
        (False, True)
    """
    return "checkpoint" not in value and isinstance(value[name], str | int)
