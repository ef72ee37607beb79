"""One run of a campaign: what is trained, and how it is scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """One run of a campaign.

    Attributes:
        name: of its record and run directory.
        train: words after ``lukasa train``, the kind first.
        evaluate: words after ``lukasa eval RUN``.
        seed: of the training.
        start_from: name of the job whose run's weights it begins with.
    """

    name: str
    train: tuple[str, ...]
    evaluate: tuple[str, ...] = ()
    seed: int = 0
    start_from: str | None = None

    @property
    def asked(self) -> dict[str, Any]:
        """What makes it another job if it changes."""
        return {
            "train": list(self.train),
            "evaluate": list(self.evaluate),
            "seed": self.seed,
            "start_from": self.start_from,
        }
