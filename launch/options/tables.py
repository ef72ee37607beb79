"""Tables for people on stdout."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

WIDEST = 10_000
"""Columns of the widest table that is still printed whole."""


def print_table(table: Table) -> None:
    """Print a table with every cell whole: where it is wider than the terminal, its lines are.

    Rich would leave out what has no room, the name of a run among it, and a program that reads the table has none to
    widen.
    """
    console = Console(soft_wrap=True)
    whole = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    console.width = max(console.width, whole)
    console.print(table)
