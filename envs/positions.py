"""The position that an environment knows, as a part of its observation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict

from lukasa.ground.settings import check_whole


class AddPosition(gym.ObservationWrapper[Any, Any, Any]):
    """Shows where the agent is: a Dict of the ``observation`` and the ``position``, row and column from 0 to 1.

    The part ``position`` is what a ``neural_map`` writes at. Nothing is read from ``info``, so the first observation of
    an episode has it as well.

    Args:
        env: the environment. A Dict observation keeps its parts, beside which ``position`` is put.
        where: row and column of the agent, of the innermost environment; None for grids that have ``agent_pos``,
            ``height`` and ``width``, as all of MiniGrid's have.
        field: cells that positions are measured by; None for the larger of height and width.

    Raises:
        ValueError: nobody says where the agent is, or how large the field is.

    Example:
        >>> from lukasa import envs
        >>> env = envs.AddPosition(envs.make("CliffWalking-v1"), lambda cliff: divmod(int(cliff.s), 12), field=12)
        >>> env.reset(seed=0)[0]["position"].tolist()  # the lower left corner of 4 by 12 cells
        [0.2916666567325592, 0.0416666679084301]
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        where: Callable[[Any], tuple[float, float]] | None = None,
        field: int | None = None,
    ):
        super().__init__(env)
        own: Any = env.unwrapped
        named = type(own).__name__
        if where is None and not hasattr(own, "agent_pos"):
            raise ValueError(f"AddPosition: {named} has no agent_pos: give where=, which says its row and column")
        if field is None and not (hasattr(own, "height") and hasattr(own, "width")):
            raise ValueError(f"AddPosition: {named} has no height and width: give field=, the cells that it is wide")
        self.field = max(own.height, own.width) if field is None else field
        check_whole("AddPosition", "field", self.field, 1)
        self._where = where or _of_grid
        space = env.observation_space
        self._parts = isinstance(space, Dict)
        parts: dict[str, gym.Space[Any]] = dict(space.items()) if isinstance(space, Dict) else {"observation": space}
        if "position" in parts:
            raise ValueError(f"AddPosition: observations of {named} have a part 'position' already: drop the wrapper")
        self.observation_space = Dict({**parts, "position": Box(0.0, 1.0, (2,), np.float32)})

    def observation(self, observation: Any) -> dict[str, Any]:
        """The observation with the position of now."""
        place = (np.asarray(self._where(self.env.unwrapped), np.float64) + 0.5) / self.field
        parts = observation if self._parts else {"observation": observation}
        return {**parts, "position": np.clip(place, 0, 1).astype(np.float32)}


def _of_grid(env: Any) -> tuple[float, float]:
    """MiniGrid says column and row."""
    column, row = env.agent_pos
    return row, column
