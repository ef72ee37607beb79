"""Cells of the comparison of cores on subjects: what each is, their table and their picture."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

SOLVED = 99.0
"""Percent right from which a subject counts as solved."""

EVALUATED = 500
"""Sequences that a score is taken over."""


@dataclass(frozen=True)
class Cell:
    """One core on one subject: percent right on the validation split and at twice the length, and what it took.

    ``wiped`` is percent right on the validation split with the memory wiped before every step, None of a core without a
    controller that leads one; ``state`` is the bytes of a row's state after one such sequence, 0 where not measured.
    """

    subject: str
    core: str
    seed: int
    validation: float
    doubled: float
    chance: float
    sequences: int
    seconds: float
    loss: float
    options: dict[str, Any]
    lr: float
    budget: dict[str, float]
    torch: str = torch.__version__
    wiped: float | None = None
    state: int = 0


def table(cells: list[Cell]) -> str:
    """Markdown: a row a subject, a column a core; mean over seeds of percent right, as trained and twice as long."""
    cores = list(dict.fromkeys(cell.core for cell in cells))
    budget = cells[0].budget
    lines = [
        f"Percent right on the validation split / at twice the trained length, mean over seeds, {EVALUATED} sequences "
        f"each. **Bold**: solved, at least {SOLVED:g} % right. Of stack languages and addition an answer is right when "
        "each of its predictable symbols is; of MQAR each value counts, of words each bit. In brackets: with the "
        "memory wiped before every step, of cores that have one beside their controller.",
        "",
        f"Budget of a cell: {budget['sequences']:,} sequences or {budget['seconds']:g} s of CPU, whichever ends first, "
        f"in batches of {budget['batch_size']}; Adam, a rate that falls to 0 along a cosine.",
        "",
        f"| subject | chance | {' | '.join(cores)} |",
        "|---|---|" + "---|" * len(cores),
    ]
    for subject in dict.fromkeys(cell.subject for cell in cells):
        of_subject = [cell for cell in cells if cell.subject == subject]
        shown = [_shown([cell for cell in of_subject if cell.core == core]) for core in cores]
        lines.append(f"| {subject} | {of_subject[0].chance:.1f} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def _shown(cells: list[Cell]) -> str:
    if not cells:
        return ""
    means = [
        statistics.mean(values) for values in zip(*((cell.validation, cell.doubled) for cell in cells), strict=True)
    ]
    wiped = [cell.wiped for cell in cells if cell.wiped is not None]
    found = " / ".join(f"**{mean:.1f}**" if mean >= SOLVED else f"{mean:.1f}" for mean in means)
    return f"{found} ({statistics.mean(wiped):.1f})" if wiped else found


def draw(cells: list[Cell], path: Path) -> None:
    """A panel a subject: percent right on the validation split against the bytes of the state, a point a core."""
    subjects = list(dict.fromkeys(cell.subject for cell in cells))
    columns = min(4, len(subjects))
    rows = -(-len(subjects) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.4 * rows), layout="constrained")
    for place, subject in enumerate(subjects, 1):
        axes = figure.add_subplot(rows, columns, place)
        of_subject = [cell for cell in cells if cell.subject == subject]
        for core in dict.fromkeys(cell.core for cell in of_subject):
            mine = [cell for cell in of_subject if cell.core == core]
            spot = mine[0].state, statistics.mean(cell.validation for cell in mine)
            axes.plot(*spot, "o", markersize=4)
            axes.annotate(core, spot, fontsize=6, xytext=(3, 3), textcoords="offset points")
        axes.axhline(of_subject[0].chance, color="grey", linewidth=0.8, linestyle=":", label="chance")
        axes.set(title=subject, xscale="log", ylim=(-3, 106), xlabel="bytes of a row's state", ylabel="right, %")
    figure.savefig(path, dpi=120)
