"""``lukasa compare``: runs and experiments of several seeds side by side, as a table and as curves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from lukasa.ground.mistakes import UserError
from lukasa.launch.comparing.curves import common_subject, labels_of, learning_curves, plot_learning
from lukasa.launch.comparing.labels import ELSEWHERE, SETTLED, differences, show_value
from lukasa.launch.comparing.page import write_comparison
from lukasa.launch.comparing.scores import curves_of, mean_score, show_interval
from lukasa.launch.comparing.several_seeds import Compared, counted_seeds, open_compared
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.options.fields import Switch, split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.options.tables import print_table
from lukasa.launch.runs.progress import show_score
from lukasa.launch.views.page import PAGES, check_page


@dataclass(frozen=True)
class CompareOptions:
    """Compare runs on one environment or task: their last scores, steps and seconds, and what differs between them.

    Attributes:
        out: file of the learning curves, a PNG, PDF or SVG by its name, or of a page with curves and table, .html;
            plots/comparison.png of the first by default.
        json: print one JSON object.
    """

    out: str | None = None
    json: Switch = False


def main(argv: Sequence[str]) -> int:
    """Print the table and draw the curves; returns the exit code."""
    words, rest = split_words(argv)
    options = parse(CompareOptions, rest, prog="lukasa compare RUN RUN [RUN ...]")
    if len(words) < 2:
        raise UserError("lukasa compare needs at least two run directories: lukasa compare RUN RUN")
    compared = open_compared(words, kind_of, "compare")
    kind = compared[0].kind
    subject = common_subject([kind.subject(one.experiment) for one in compared], "compare")
    picture = Path(options.out) if options.out else compared[0].plots / "comparison.png"
    as_page = picture.suffix.lower() in PAGES
    if as_page:
        check_page(options.out)
    else:
        plot_learning(compared, kind.subject, picture)
    rows = [row(one, label, subject) for one, label in zip(compared, labels_of(compared), strict=True)]
    found = differences(kind.experiments, [one.experiment for one in compared])
    differ = {name: values for name, values in found.items() if name not in (*ELSEWHERE, "seed")}
    remarks = notes(rows, {name: values for name, values in differ.items() if name not in SETTLED})
    if as_page:
        curves, _ = learning_curves(compared, kind.subject)
        write_comparison(picture, subject, [columns(subject), *map(cells, rows)], remarks, curves)
    if options.json:
        described = {"subject": subject.name, "score": subject.unit, "counted": subject.counted}
        print(json.dumps(described | {"runs": rows, "differences": differ, "picture": str(picture)}))
        return 0
    print_table(make_table(rows, subject))
    for line in remarks:
        print(line)
    print(picture)
    return 0


def row(compared: Compared, label: str, subject: Subject) -> dict[str, Any]:
    """What is said of one run or experiment; steps and seconds are means over its seeds."""
    curves = curves_of(compared, subject)
    mean, interval = mean_score(curves)
    steps = [float(curve.steps[-1]) if curve.steps else 0.0 for curve in curves]
    seconds = [curve.seconds for curve in curves]
    return {
        "label": label,
        "run": str(compared.path),
        "seeds": compared.seeds,
        "score": mean,
        "interval": interval,
        "steps": sum(steps) / len(steps),
        "seconds": sum(seconds) / len(seconds),
        "steps_per_second": sum(steps) / sum(seconds) if sum(seconds) else None,
        "unfinished": [curve.seed for curve in curves if not curve.ended],
    }


def make_table(rows: Sequence[dict[str, Any]], subject: Subject) -> Table:
    """The table for people."""
    table = Table(title=subject.name, title_justify="left", box=None, pad_edge=False)
    label, *numbers, run = columns(subject)
    table.add_column(label)
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column(run, overflow="fold")
    for one in rows:
        table.add_row(*cells(one))
    return table


def columns(subject: Subject) -> tuple[str, ...]:
    """The names of the table's columns."""
    return ("", f"mean {subject.unit}", "95 % confidence", "seeds", subject.counted, "seconds", "per second", "run")


def cells(one: dict[str, Any]) -> tuple[str, ...]:
    """A line of the table, out of a ``row``."""
    rate = one["steps_per_second"]
    numbers = (f"{one['steps']:,.0f}", f"{one['seconds']:,.0f}", "-" if rate is None else f"{rate:,.0f}")
    score = (show_score(one["score"]), show_interval(one["interval"]), str(len(one["seeds"])))
    return (one["label"], *score, *numbers, one["run"])


def notes(rows: Sequence[dict[str, Any]], differ: dict[str, list[Any]]) -> list[str]:
    """What the table does not say: where intervals come from, what is unfinished, and all that differs."""
    lines = []
    if any(one["interval"] for one in rows):
        lines.append("95 % confidence: of the mean over seeds, by bootstrap; the score is the last one of training")
    else:
        lines.append("the score is the last one of training; with one seed there is no interval: train with --seeds 5")
    for one in rows:
        if one["unfinished"]:
            lines.append(f"{one['label']}: {counted_seeds(one['unfinished'])} not finished")
    for name, values in differ.items():
        known = " | ".join("-" if value is None and "." in name else show_value(value) for value in values)
        lines.append(f"differs: {name.replace('_', '-')}  {known}")
    return lines
