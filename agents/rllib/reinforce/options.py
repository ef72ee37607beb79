"""What Reinforce takes beside what all algorithms take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

Baseline = Literal["shared", "detached", "mean", "none"]


@dataclass(frozen=True)
class ReinforceOptions:
    """What Reinforce takes: of Williams 1992 and Zaremba & Sutskever 2015.

    Attributes:
        baseline: what returns are held against: a head on the core's features that learns them by squared error and
            teaches the core too (shared) or not (detached), their mean over the batch (mean), or nothing (none).
        discount_steps: weigh the gradient of step t by gamma to the power t, as the derivative of the discounted return
            asks; without it late steps count as much as early ones.

    Raises:
        ValueError: there is no such baseline.
    """

    baseline: Baseline = "shared"
    discount_steps: bool = False

    def __post_init__(self):
        """Refuse what is not there."""
        if self.baseline not in get_args(Baseline):
            raise ValueError(f"baseline is {self.baseline!r}: choose one of {', '.join(get_args(Baseline))}")

    def training(self, learners: int) -> dict[str, Any]:
        """By the config's names."""
        return {"baseline": self.baseline, "discount_steps": self.discount_steps}
