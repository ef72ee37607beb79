"""Live progress on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import sys
import time
from typing import Protocol, Self


class Reporter(Protocol):
    """Shows how far a run is."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(self, *error: object) -> None:
        """Stop showing."""
        ...

    def update(self, done: int, score: float | None, rate: float) -> None:
        """Show steps done, mean score and steps per second."""
        ...


def make_reporter(total: int, done: int = 0, unit: str = "steps", score: str = "return") -> Reporter:
    """A live bar when stderr is a terminal, else one line every few seconds.

    Args:
        total: steps asked for.
        done: steps already there when a run resumes.
        unit: what is counted.
        score: what the score is.
    """
    if sys.stderr.isatty():
        return LiveBar(total, done, unit, score)
    return PlainLines(total, unit, score)


class LiveBar:
    """One line that updates in place."""

    def __init__(self, total: int, done: int, unit: str, score: str):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn(f"{{task.completed:,.0f}}/{{task.total:,.0f}} {unit}"),
            TextColumn(f"{score} {{task.fields[score]}}"),
            TextColumn(f"{{task.fields[rate]}} {unit}/s"),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
        )
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task("", total=total, completed=done, score="-", rate="-", left="-")
        self._total = total

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def update(self, done: int, score: float | None, rate: float) -> None:
        """Redraw."""
        left = time_left(done, self._total, rate)
        self._progress.update(
            self._task, completed=min(done, self._total), score=show_score(score), rate=f"{rate:,.0f}", left=left
        )


class Silence:
    """Shows nothing: for a process that others speak for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def update(self, done: int, score: float | None, rate: float) -> None:
        """Nothing."""


class PlainLines:
    """Lines for logs: the first and the last update, and one every few seconds between."""

    def __init__(self, total: int, unit: str, score: str, seconds: float = 5.0):
        self._total, self._unit, self._score, self._seconds = total, unit, score, seconds
        self._last_time = -float("inf")
        self._pending: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pending:
            print(self._pending, file=sys.stderr, flush=True)

    def update(self, done: int, score: float | None, rate: float) -> None:
        """Print a line when the last one is a few seconds old."""
        self._pending = (
            f"{done:,}/{self._total:,} {self._unit}  {self._score} {show_score(score)}  "
            f"{rate:,.0f} {self._unit}/s  left {time_left(done, self._total, rate)}"
        )
        if time.monotonic() - self._last_time >= self._seconds:
            print(self._pending, file=sys.stderr, flush=True)
            self._last_time, self._pending = time.monotonic(), None


def show_score(score: float | None) -> str:
    """A score for people: three digits after the point, a dash when none is known."""
    return "-" if score is None else f"{score:.3f}"


def time_left(done: int, total: int, rate: float) -> str:
    """Minutes and seconds until the total is reached at this rate (steps per second).

    Example:
        >>> time_left(1000, 4000, 50.0)
        '1:00'
        >>> time_left(0, 360000, 50.0)
        '2:00:00'
    """
    if rate <= 0:
        return "-"
    seconds = round(max(0, total - done) / rate)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
