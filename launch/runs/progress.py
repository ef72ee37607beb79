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

    def update(self, done: int, score: float | None, rate: float, chance: float | None = None, stage: str = "") -> None:
        """Show steps done, mean score, steps per second, what guessing would score, and the lesson of a curriculum."""
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
            TextColumn(f"{{task.fields[done]}}/{show_count(total)} {unit}"),
            TextColumn(f"{score} {{task.fields[score]}}"),
            TextColumn(f"{{task.fields[rate]}} {unit}/s"),
            TimeElapsedColumn(),
            TextColumn("left {task.fields[left]}"),
        )
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._task = self._progress.add_task(
            "", total=total, completed=done, done=show_count(done), score="-", rate="-", left="-"
        )
        self._total = total

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def update(self, done: int, score: float | None, rate: float, chance: float | None = None, stage: str = "") -> None:
        """Redraw."""
        self._progress.update(
            self._task,
            completed=min(done, self._total),
            done=show_count(done),
            score=beside_chance(score, chance, stage),
            rate=show_rate(rate),
            left=time_left(done, self._total, rate),
        )


class Silence:
    """Shows nothing: for a process that others speak for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def update(self, done: int, score: float | None, rate: float, chance: float | None = None, stage: str = "") -> None:
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

    def update(self, done: int, score: float | None, rate: float, chance: float | None = None, stage: str = "") -> None:
        """Print a line when the last one is a few seconds old."""
        self._pending = (
            f"{show_count(done)}/{show_count(self._total)} {self._unit}  "
            f"{self._score} {beside_chance(score, chance, stage)}  "
            f"{show_rate(rate)} {self._unit}/s  left {time_left(done, self._total, rate)}"
        )
        if time.monotonic() - self._last_time >= self._seconds:
            print(self._pending, file=sys.stderr, flush=True)
            self._last_time, self._pending = time.monotonic(), None


def beside_chance(score: float | None, chance: float | None, stage: str = "") -> str:
    """A score, what guessing would score, and the lesson it is of.

    Example:
        >>> beside_chance(0.3141, -0.5, "lesson 2 of 4")
        '0.314 (chance -0.5)  lesson 2 of 4'
    """
    shown = show_score(score) + ("" if chance is None else f" (chance {chance:.3g})")
    return f"{shown}  {stage}" if stage else shown


def show_score(score: float | None) -> str:
    """A score for people: three significant digits, a dash when none is known.

    Example:
        >>> [show_score(score) for score in (0.99614, 97.25, 100.0, -1234.5, 0.0, None)]
        ['0.996', '97.2', '100', '-1,234', '0.00', '-']
    """
    if score is None or score != score:
        return "-"
    return f"{score:,.0f}" if abs(score) >= 999.5 else f"{score:#.3g}".rstrip(".")


def show_count(steps: int) -> str:
    """A number of steps for people.

    Example:
        >>> show_count(20_480), show_count(1_234_567), show_count(4_000_000)
        ('20,480', '1.23 M', '4 M')
    """
    return (
        f"{steps / 1e6:,.4g} M"
        if steps >= 10_000_000
        else f"{steps / 1e6:.3g} M"
        if steps >= 1_000_000
        else f"{steps:,}"
    )


def show_rate(rate: float) -> str:
    """How many a second for people, a dash when none have come.

    Example:
        >>> show_rate(1234.5), show_rate(0.25), show_rate(0.0)
        ('1,234', '0.25', '-')
    """
    if rate <= 0:
        return "-"
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def show_time(seconds: float) -> str:
    """Hours, minutes and seconds.

    Example:
        >>> show_time(43.2), show_time(3725)
        ('0:00:43', '1:02:05')
    """
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def time_left(done: int, total: int, rate: float) -> str:
    """The time until the total is reached at this rate (steps per second).

    Example:
        >>> time_left(1000, 4000, 50.0)
        '0:01:00'
    """
    return show_time(max(0, total - done) / rate) if rate > 0 else "-"
