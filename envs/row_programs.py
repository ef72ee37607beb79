"""Many copies of an environment in one NumPy program: what all such programs do alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from lukasa.envs.row_generators import RowGenerators
from lukasa.envs.streams import SpreadsSeeds
from lukasa.ground.settings import check_whole


class RowProgram(SpreadsSeeds, gym.vector.VectorEnv[Any, np.ndarray, np.ndarray]):
    """Copies that start over at the step after their last one (next-step autoreset).

    A program has ``step``, ``_start`` and ``_observe``, and keeps in ``_over`` which copies ended in the step before.

    Args:
        name: in messages.
        num_envs: B, number of copies.
        observation_space, action_space: of one copy.

    Raises:
        ValueError: ``num_envs`` is no number from 1 on.
    """

    def __init__(self, name: str, num_envs: int, observation_space: gym.Space[Any], action_space: gym.Space[Any]):
        check_whole(name, "num_envs", num_envs, 1)
        self.metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}
        self.num_envs = num_envs
        self.single_observation_space, self.single_action_space = observation_space, action_space
        self.observation_space = batch_space(observation_space, num_envs)
        self.action_space = batch_space(action_space, num_envs)
        self._generators = RowGenerators(num_envs)
        self._over = np.ones(num_envs, bool)  # [B]

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start every copy over; seed s gives the copies ``envs.copy_seeds(s, num_envs)``."""
        self._generators.seed(seed)
        self._over = np.zeros(self.num_envs, bool)
        self._start(~self._over)
        return self._observe(), {}

    def _start(self, starting: np.ndarray) -> None:
        """Draw an episode for the copies that start, bool [B], from their own generators."""
        raise NotImplementedError

    def _observe(self) -> Any:
        """What each copy shows, [B, ...]."""
        raise NotImplementedError
