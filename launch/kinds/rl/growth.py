"""A curriculum over the length of episodes: inputs grow as soon as those of now are mastered."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from lukasa import envs
from lukasa.ground.mistakes import UserError, as_user_error
from lukasa.launch.kinds.rl.experiment import EPISODES_IN_MEAN, RLExperiment


class Growth:
    """Which length the episodes of now have (Zaremba & Sutskever 2015, "Curriculum learning").

    One step longer whenever the mean score of the last 100 episodes of that length reaches ``curriculum_mastery``.

    Args:
        experiment: whose ``curriculum_from`` says where it begins; None for no curriculum.

    Attributes:
        length: of the longest inputs of now; None where nothing grows.
    """

    def __init__(self, experiment: RLExperiment):
        self.length, self._mastery = experiment.curriculum_from, experiment.curriculum_mastery
        self._full = full_length(experiment) if self.length is not None else None
        self._scores: deque[float] = deque(maxlen=EPISODES_IN_MEAN)

    @property
    def is_full(self) -> bool:
        """Whether episodes are as long as the environment's settings have them."""
        return self.length == self._full

    def apply(self, algorithm: Any) -> None:
        """Tell all runners, those too that took the place of others."""
        if self.length is not None:
            length = self.length
            algorithm.env_runner_group.foreach_env_runner(lambda runner: grow(runner, length))

    def look(self, scores: Iterable[float]) -> bool:
        """Hear of the episodes that ended; whether the next ones are longer."""
        if self.length is None or self.is_full:
            return False
        self._scores.extend(scores)
        whole = len(self._scores) == EPISODES_IN_MEAN
        if not whole or sum(self._scores) / EPISODES_IN_MEAN < self._mastery:
            return False
        self.length += 1
        self._scores.clear()
        return True

    def state(self) -> dict[str, Any]:
        """Where it stands."""
        return {"length": self.length, "scores": list(self._scores)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.length = state["length"]
        self._scores = deque(state["scores"], EPISODES_IN_MEAN)


def grow(runner: Any, length: int) -> None:
    """Have the environments of a runner draw inputs of at most a length."""
    if runner.env is not None:
        env = runner.env.unwrapped
        for one in getattr(env, "envs", [env]):
            one.unwrapped.grow(length)


def full_length(experiment: RLExperiment) -> int:
    """The length that the environment's settings allow.

    Raises:
        UserError: it has none that can grow, or the curriculum begins beyond it.
    """
    if not 0 < experiment.curriculum_mastery <= 1:
        raise UserError(
            f"option --curriculum-mastery is {experiment.curriculum_mastery:g}: expected more than 0 and at most 1"
        )
    env = envs.make(experiment.env, **experiment.env_settings)
    try:
        own: Any = env.unwrapped
        if not hasattr(own, "grow") or envs.score_unit(experiment.env) != "success rate":
            raise UserError(
                f"option --curriculum-from is for environments whose inputs can grow, and {experiment.env!r} has none: "
                "leave it out, or choose one that has a method grow, such as TapeCopy-L10-v0"
            )
        with as_user_error("option --curriculum-from: "):
            own.grow(experiment.curriculum_from)
        return own.full_length
    finally:
        with suppress(Exception):
            env.close()
