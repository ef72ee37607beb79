"""What a sweep found, as a table and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from rich.table import Table

from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.kinds.table import subject_of
from lukasa.launch.options.program import command
from lukasa.launch.options.tables import print_table
from lukasa.launch.pictures.figures import save_figure
from lukasa.launch.runs.progress import show_score
from lukasa.launch.sweeps.sweep import FAILED, Result, Sweep, has_checkpoint, ranked, results

MOST_FIELDS = 4
"""Panels beside the learning curves: the fields that come first."""
MOST_COLOURS = 10


def show_sweep(sweep: Sweep) -> None:
    """Print the table, where the picture is, and the best trial's commands."""
    found = ranked(sweep, results(sweep))
    subject = subject_of(sweep.kind, found[0].experiment)
    print_table(make_table(sweep, found, subject))
    if found[0].score is None:
        print("no trial has a score yet")
        return
    draw_sweep(sweep, found, subject, sweep.picture)
    print(sweep.picture)
    print(f"train the best one again with\n  {best_command(sweep, found[0])}")
    if has_checkpoint(found[0]):
        print(f"see it with\n  {command('eval', found[0].run.path)}\n  {command('plot', found[0].run.path)}")


def make_table(sweep: Sweep, found: Sequence[Result], subject: Subject) -> Table:
    """One line a trial, the best first."""
    table = Table(title=f"{subject.name}: {subject.unit}")
    table.add_column("trial")
    for field in sweep.fields:
        table.add_column(field, justify="right")
    for name in (subject.unit, subject.counted):
        table.add_column(name, justify="right")
    table.add_column("ending", overflow="fold")
    for one in found:
        values = [one.trial.values[field] for field in sweep.fields]
        steps = f"{one.steps[-1]:,}" if one.steps else "-"
        table.add_row(one.trial.name, *values, show_score(one.score), steps, one.ending)
    return table


def best_command(sweep: Sweep, best: Result) -> str:
    """What trains a trial's experiment in a folder of its own."""
    return command("train", sweep.kind, *best.trial.words)


def draw_sweep(sweep: Sweep, found: Sequence[Result], subject: Subject, path: Path) -> None:
    """Learning curves of all trials, coloured by the first field, and the last score against every field.

    Args:
        sweep: what was swept.
        found: its trials.
        subject: what they are scored on.
        path: the picture to write.
    """
    fields = list(sweep.fields)[:MOST_FIELDS]
    figure, grid = plt.subplots(
        1, 1 + len(fields), figsize=(6 + 3.2 * len(fields), 4.2), layout="constrained", squeeze=False
    )
    scored = [one for one in found if one.scores]
    _draw_curves(grid[0, 0], scored, fields[0], subject)
    for axes, field in zip(grid[0, 1:], fields, strict=True):
        _draw_field(axes, scored, field, subject)
    for axes in grid[0]:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def _draw_curves(axes: Axes, found: Sequence[Result], field: str, subject: Subject) -> None:
    values = sorted({one.trial.values[field] for one in found}, key=_order)
    many = len(values) > MOST_COLOURS
    colours = dict(zip(values, plt.get_cmap("viridis" if many else "tab10")(_places(len(values), many)), strict=True))
    seen = set()
    for one in found:
        value = one.trial.values[field]
        label = f"{field} {value}" if value not in seen and not many else None
        style: Any = {"linestyle": "-" if one.ending == "done" else "--", "linewidth": 1.4, "alpha": 0.85}
        marker = "." if len(one.steps) == 1 else None
        axes.plot(one.steps, one.scores, color=colours[value], label=label, marker=marker, **style)
        seen.add(value)
    axes.set(title=subject.name, xlabel=f"{subject.counted} (dashed: not to the end)", ylabel=f"mean {subject.unit}")
    axes.set_xlim(left=0)
    if not many:
        axes.legend(frameon=False, fontsize=8)


def _places(count: int, many: bool) -> list[Any]:
    return [index / max(1, count - 1) for index in range(count)] if many else list(range(count))


def _draw_field(axes: Axes, found: Sequence[Result], field: str, subject: Subject) -> None:
    """Filled circles: trials that were trained to the end."""
    numbers = [_number(one.trial.values[field]) for one in found]
    names = sorted({one.trial.values[field] for one in found}, key=_order)
    known = [number for number in numbers if number is not None]
    numeric = len(known) == len(numbers)
    for one, number in zip(found, numbers, strict=True):
        place = number if numeric and number is not None else names.index(one.trial.values[field])
        face = "C0" if one.ending == "done" else "none"
        edge = "C3" if one.ending.startswith(FAILED) else "C0"
        axes.scatter([place], [one.scores[-1]], facecolors=face, edgecolors=edge, s=36)
    if numeric and min(known) > 0 and max(known) / min(known) >= 8:
        axes.set_xscale("log")
    if not numeric:
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.margins(x=0.2)
    axes.set(xlabel=field, ylabel=f"last mean {subject.unit}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _order(text: str) -> tuple[bool, float, str]:
    """Numbers by size, then words."""
    number = _number(text)
    return number is None, number or 0.0, text
