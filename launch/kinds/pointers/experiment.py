"""What a run of ``lukasa train pointers`` is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.kinds.running import ByBatch
from lukasa.launch.options.described import rows

MOST_POINTS = 1000
"""Points of the largest set that is drawn: beyond, a batch of answers leaves a machine's memory."""


@dataclass(frozen=True, kw_only=True)
class PointerExperiment(ByBatch):
    """A model, the sets of points it learns to answer, and how.

    Attributes:
        model: name of the model; lukasa list pointers names them all.
        options: options of the model; its defaults for those that are not given.
        task: what is answered about each set; lukasa list pointing names them all. Your own goes by
            package.module:Class.
        points: points of a set, such as 10, or a range from which each set draws its size, such as 5-20.
        steps: sets to train on; no set comes twice.
        stop_at: stop earlier, when the score of a line of metrics is at least this good.
        batch_size: sets of one gradient step.
        validate_every: sets after which the next line of metrics has the score of greedy answers to new sets as well;
            never by default.
    """

    model: str = "pointer_network"
    options: Mapping[str, Any] = field(default_factory=dict)
    task: str = "convex_hull"
    points: str = "5"
    steps: int = 1_000_000
    batch_size: int = 128
    report_every: int = 12_800

    @property
    def about(self) -> str:
        """What is trained on what, for people."""
        return f"{self.model} on {self.task_title}"

    @property
    def name(self) -> str:
        """What a run of it is called when nobody says."""
        return f"{self.task}_{self.points}-{self.model}".replace(":", ".")

    @property
    def task_title(self) -> str:
        """What is answered, and about how many points."""
        described = rows("pointing").get(self.task)
        title = described["title"] if described else self.task.rpartition(":")[2]
        return f"{title} of {self.points.replace('-', ' to ')} points"


def read_range(text: str) -> tuple[int, int]:
    """The points of the smallest and of the largest set.

    Raises:
        UserError: the text is no range of numbers.

    Example:
        >>> read_range("5-20"), read_range("10")
        ((5, 20), (10, 10))
    """
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise UserError(f"option --points is {text!r}: expected a number of points such as 10 or a range such as 5-20")
    least, most = int(first), int(last or first)
    if most < least:
        raise UserError(f"option --points is {text!r}: expected the smaller number first")
    if most > MOST_POINTS:
        raise UserError(f"option --points is {text!r}: expected at most {MOST_POINTS:,} points")
    return least, most
