"""Several trainers that take turns, as one: each task learned by a learner of its own, in one run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Generic

from lukasa.agents.learning.trainer import LearnerType, SourceType, StepResult, Trainer
from lukasa.tasks import Score


class SideBySide(Generic[LearnerType, SourceType]):
    """Trainers that each take one batch a step.

    Args:
        trainers: by name, at least one, each of the same number of examples a batch.

    Attributes:
        trainers: by name.
    """

    def __init__(self, trainers: Mapping[str, Trainer[LearnerType, SourceType]]):
        self.trainers = dict(trainers)

    @property
    def first(self) -> Trainer[LearnerType, SourceType]:
        """One of them: what all have in common can be read from it."""
        return next(iter(self.trainers.values()))

    @property
    def done(self) -> int:
        """Examples that each has been trained on so far."""
        return self.first.done

    @property
    def batches(self) -> int:
        """Batches that each has learned from."""
        return self.first.batches

    def step(self) -> StepResult:
        """One batch of each; losses are means over all, scores count together, and so do squared gradients.

        Raises:
            DivergenceError: the loss or a gradient of one is not finite.
        """
        results = [trainer.step() for trainer in self.trainers.values()]
        count = len(results)
        names = dict.fromkeys(name for one in results for name in one.norms)
        return StepResult(
            sum(one.loss for one in results) / count,
            sum((one.score for one in results), Score(0.0, 0)),
            results[0].lr,
            results[0].level,
            {name: math.hypot(*(one.norms.get(name, 0.0) for one in results)) for name in names},
            sum(one.draw_wait for one in results) / count,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides about the steps to come, by name."""
        return {name: trainer.state_dict() for name, trainer in self.trainers.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state: the steps to come are those that would have come then, bit for bit."""
        for name, trainer in self.trainers.items():
            trainer.load_state_dict(state[name])
