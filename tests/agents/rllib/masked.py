"""Environments that say which actions they allow, and refuse all others."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from lukasa.agents.policy.actions import ActionLayout

SPACES = {
    "discrete": gym.spaces.Discrete(5),
    "shifted": gym.spaces.Discrete(4, start=2),
    "multi": gym.spaces.MultiDiscrete([3, 2]),
    "binary": gym.spaces.MultiBinary(3),
    "mixed": gym.spaces.Tuple([gym.spaces.Discrete(3), gym.spaces.Box(-1, 1, (2,)), gym.spaces.Discrete(2)]),
}


class Masked(gym.Env[Any, Any]):
    """Each step allows a random part of the options; the first allowed one is rewarded.

    Args:
        actions: which space, a key of ``SPACES``.
        length: steps of an episode.
        empty_at: step whose mask allows nothing.
        kind: of the mask's space.
    """

    def __init__(self, actions: str = "discrete", length: int = 9, empty_at: int = -1, kind: str = "binary"):
        self.action_space: Any = SPACES[actions]
        self.layout, self.length, self.empty_at = ActionLayout(self.action_space), length, empty_at
        width = sum(self.layout.options)
        mask = gym.spaces.MultiBinary(width) if kind == "binary" else gym.spaces.Box(0.0, 1.0, (width,))
        self.observation_space = gym.spaces.Dict({"action_mask": mask, "observations": gym.spaces.Box(-1, 1, (3,))})

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.time = 0
        return self._see(), {}

    def _see(self) -> Any:
        over = self.time >= self.length
        parts = [self.np_random.random(count) < 0.5 for count in self.layout.options]
        for part in parts:
            part[self.np_random.integers(len(part))] = True
        self.parts = parts
        mask = np.concatenate(parts).astype(self.observation_space["action_mask"].dtype)
        if over or self.time == self.empty_at:
            mask[:] = 0
        return {"action_mask": mask, "observations": self.np_random.uniform(-1, 1, 3).astype(np.float32)}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action), action
        chosen = []
        for leaf, one in zip(self.layout.leaves, action if isinstance(action, tuple) else [action], strict=True):
            if leaf.options:
                start = getattr(leaf.space, "start", 0)
                chosen += (np.ravel(one) - np.ravel(start)).astype(int).tolist()
        assert all(part[option] for part, option in zip(self.parts, chosen, strict=True)), (self.parts, chosen)
        first = [int(np.flatnonzero(part)[0]) for part in self.parts]
        self.time += 1
        return self._see(), float(chosen == first), self.time >= self.length, False, {}


class MaskedMany(MultiAgentEnv):
    """Two of them, each agent's own."""

    def __init__(self, **settings: Any):
        super().__init__()
        self.both = {"a": Masked(**settings), "b": Masked(**{**settings, "empty_at": -1})}
        self.possible_agents = list(self.both)
        self.agents = list(self.both)
        self.observation_spaces = {name: env.observation_space for name, env in self.both.items()}
        self.action_spaces = {name: env.action_space for name, env in self.both.items()}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        return {name: env.reset(seed=seed)[0] for name, env in self.both.items()}, {}

    def step(self, action_dict: Any) -> Any:
        steps = {name: self.both[name].step(action) for name, action in action_dict.items()}
        seen, rewards = ({name: step[part] for name, step in steps.items()} for part in (0, 1))
        over = all(step[2] for step in steps.values())
        return seen, rewards, {"__all__": over}, {"__all__": False}, {}
