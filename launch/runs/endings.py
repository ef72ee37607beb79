"""How a sitting of training begins and ends, whatever is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lukasa.launch.runs.checkpoints import Checkpoint
from lukasa.launch.runs.progress import show_score, show_time

Resume = tuple[Checkpoint, dict[str, Any]]
"""The checkpoint that training continues from, and its state."""


@dataclass(frozen=True)
class Outcome:
    """How training ended.

    Attributes:
        steps: environment steps or sequences trained, of all sittings.
        counted: what the steps are.
        seconds: seconds trained, of all sittings.
        score: mean score of late.
        unit: what the score is.
        signal: the signal that stopped it, None when it ended by itself.
        report: what else was found out about what was trained, lines for people.
    """

    steps: int
    counted: str
    seconds: float
    score: float | None
    unit: str
    signal: int | None
    report: str = ""

    def summary(self) -> str:
        """One line for people."""
        took = f"{self.steps:,} {self.counted} in {show_time(self.seconds)}"
        return f"mean {self.unit} {show_score(self.score)} after {took}"
