"""MiniGrid's symbolic view as one flat vector that any network can read."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box

OBJECTS, COLORS, STATES, DIRECTIONS = 11, 6, 3, 4
"""How many kinds MiniGrid knows of each; its numbers in between mean nothing as numbers, hence the one-hot form."""


class SymbolicGrid(gym.ObservationWrapper[np.ndarray, Any, dict[str, Any]]):
    """One-hot form of MiniGrid's observation; the mission text is left out.

    Each cell of the view becomes ``OBJECTS + COLORS + STATES`` = 20 numbers, of which three are 1, and the four of the
    direction follow: 7 x 7 x 20 + 4 = 984 numbers, float32. Use it where the mission never changes, as in
    ``MiniGrid-MemoryS7-v0``: where it does, the agent would not know what it is asked.

    Args:
        env: an environment whose observation is a dict with ``image`` [H, W, 3] and ``direction``.

    Raises:
        ValueError: the environment's observation is of another form.
    """

    def __init__(self, env: gym.Env[dict[str, Any], Any]):
        super().__init__(env)
        spaces = env.observation_space
        if not (isinstance(spaces, gym.spaces.Dict) and {"image", "direction"} <= set(spaces)):
            raise ValueError(f"SymbolicGrid: expected a dict observation with image and direction, not {spaces}")
        height, width, _ = spaces["image"].shape or (0, 0, 0)
        size = height * width * (OBJECTS + COLORS + STATES) + DIRECTIONS
        self.observation_space = Box(0.0, 1.0, (size,), np.float32)

    def observation(self, observation: dict[str, Any]) -> np.ndarray:
        """Encode one observation."""
        image = observation["image"]
        cells = [_one_hot(image[..., channel], kinds) for channel, kinds in enumerate((OBJECTS, COLORS, STATES))]
        direction = _one_hot(observation["direction"], DIRECTIONS)
        return np.concatenate([np.concatenate(cells, axis=-1).ravel(), direction])

    def observation_picture(self, observation: np.ndarray, tile: int = 16) -> np.ndarray:
        """What an encoded observation shows, drawn by MiniGrid: bytes [H * tile, W * tile, 3], the agent looking up."""
        from minigrid.core.grid import Grid

        height, width, _ = self.env.observation_space["image"].shape  # type: ignore[index]
        cells = observation[:-DIRECTIONS].reshape(height, width, -1)
        parts = np.split(cells, [OBJECTS, OBJECTS + COLORS], axis=2)
        grid, visible = Grid.decode(np.stack([part.argmax(2) for part in parts], 2))
        return grid.render(tile, agent_pos=(height // 2, width - 1), agent_dir=3, highlight_mask=visible)


def _one_hot(indices: Any, kinds: int) -> np.ndarray:
    return np.eye(kinds, dtype=np.float32)[indices]
