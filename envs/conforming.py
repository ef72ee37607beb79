"""Observations in the form of their space, whatever an environment wrote them as.

Gymnasium's vector environments copy observations into arrays of the space's dtype as they collect them; single ones
hand over lists, Python numbers or other dtypes as they come. Both look alike once ``conform`` has seen them.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym

from lukasa.ground.conforming import ObservationError, conform

__all__ = ["Conforming", "ObservationError", "conform"]


class Conforming(gym.Wrapper[Any, Any, Any, Any]):
    """Has every observation of an environment in the form of its space.

    Args:
        env: the environment.

    Raises:
        ObservationError: by ``reset`` and ``step``, of an observation that is not one of the space.
    """

    def __init__(self, env: gym.Env[Any, Any]):
        super().__init__(env)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As the environment's own."""
        observation, info = self.env.reset(seed=seed, options=options)
        return conform(self.observation_space, observation), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """As the environment's own."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return conform(self.observation_space, observation), reward, terminated, truncated, info
