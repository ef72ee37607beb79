"""When reinforcement learning saves, and what is fit to be saved when it fails."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from lukasa import envs
from lukasa.agents.rllib.runner import RunnerFailedError
from lukasa.launch.kinds.rl.algorithms import capture_state, present_weights
from lukasa.launch.runs.checkpoints import save_checkpoint
from lukasa.launch.runs.directory import Run

Weights = dict[str, Any]


class Saver:
    """Takes the checkpoints of one sitting: after the first iteration of a run, every so often, and at the end.

    Args:
        run: where.
        algorithm: whose.
        recent: outcomes of the last episodes, as they become known.
        every: seconds between two checkpoints.
        step: of the checkpoint that the sitting begins with; 0 where there is none.
    """

    def __init__(self, run: Run, algorithm: Any, recent: Sequence[tuple[float, ...]], every: float, step: int):
        self._run, self._algorithm, self._recent, self._every = run, algorithm, recent, every
        self._step = step
        self._due = time.monotonic() + every if step else 0.0

    def save_if_due(self, step: int, played: Weights, score: float | None) -> None:
        """Save where the last checkpoint is old enough, or there is none.

        Args:
            step: environment steps so far.
            played: the weights that the last episodes were played with.
            score: their mean score.
        """
        if step != self._step and time.monotonic() >= self._due:
            self._save(step, played, score)

    def save_rest(self, step: int, played: Weights, score: float | None) -> None:
        """Save what is not saved yet."""
        if step != self._step:
            self._save(step, played, score)

    @contextmanager
    def on_failure(self, step: int, played: Weights, score: float | None) -> Iterator[None]:
        """Save the state from before an iteration that fails, where nothing of the iteration was learned."""
        try:
            yield
        except Exception as error:
            if self._is_whole(error, played):
                with suppress(Exception):  # what failed first is what the user should hear of
                    self.save_rest(step, played, score)
            raise

    def _save(self, step: int, played: Weights, score: float | None) -> None:
        save_checkpoint(self._run.checkpoints, step, capture_state(self._algorithm, self._recent, played), score)
        self._step, self._due = step, time.monotonic() + self._every

    def _is_whole(self, error: Exception, before: Weights) -> bool:
        if isinstance(error, envs.EnvironmentFailedError | RunnerFailedError):
            return True  # it was to be sampled
        with suppress(Exception):
            present = present_weights(self._algorithm)
            return all(np.array_equal(before[name], present[name]) for name in before)
        return False
