"""An environment that can be filmed."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np


class Shown(gym.Env[Any, Any]):
    """Five steps, each a picture of its own shade.

    Args:
        render_mode: of Gymnasium.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 5}
    observation_space = gym.spaces.Discrete(5)
    action_space = gym.spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None):
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.time = 0
        return 0, {}

    def step(self, action: Any) -> Any:
        self.time += 1
        return min(self.time, 4), float(action), self.time >= 5, False, {}

    def render(self) -> Any:
        return np.full((32, 48, 3), 40 * self.time, np.uint8)
