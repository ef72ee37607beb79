"""Environments whose agents act now and then, leave, and are followed by others: states that were mixed would show."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.env.multi_agent_env import MultiAgentEnv

CUES = 4


class ComingAndGoing(MultiAgentEnv):
    """Each agent sees its own cue once, and is to name it whenever it is shown anything from then on.

    Args:
        length: steps of an episode.
        agents: how many there are at a time.
        lifetime: mean number of steps until an agent leaves, and one of another name comes.
        acting: share of the steps at which an agent is shown something.
        odd_spaces: whether agents of an odd number see and answer in spaces of their own.
    """

    def __init__(
        self,
        length: int = 23,
        agents: int = 3,
        lifetime: float = 9.0,
        acting: float = 0.6,
        odd_spaces: bool = False,
        **_: Any,
    ):
        super().__init__()
        self.length, self.count, self.lifetime, self.acting = length, agents, lifetime, acting
        self.possible_agents = [f"agent{number}" for number in range(agents + length * agents)]
        self.agents = []
        plain, odd = gym.spaces.Box(-1.0, 1.0, (CUES + 2,)), gym.spaces.Box(-2.0, 2.0, (CUES + 3,))
        choice, pair = gym.spaces.Discrete(CUES), gym.spaces.Tuple([gym.spaces.Discrete(CUES), gym.spaces.Discrete(2)])
        self.odd = odd_spaces
        self.observation_spaces = {name: odd if self._is_odd(name) else plain for name in self.possible_agents}
        self.action_spaces = {name: pair if self._is_odd(name) else choice for name in self.possible_agents}
        self.random = np.random.default_rng()

    def _is_odd(self, name: str) -> bool:
        return self.odd and int(name[5:]) % 2 == 1

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        if seed is not None:
            self.random = np.random.default_rng(seed)
        self.time, self.number, self.cues = 0, 0, {}
        self.agents = []
        return {self._come(): self._see(self.agents[-1], first=True) for _ in range(self.count)}, {}

    def _come(self) -> str:
        name = f"agent{self.number}"
        self.number += 1
        self.agents.append(name)
        self.cues[name] = int(self.random.integers(CUES))
        return name

    def _see(self, name: str, *, first: bool) -> np.ndarray:
        (width,) = self.observation_spaces[name].shape
        seen = np.zeros(width, np.float32)
        if first:
            seen[self.cues[name]] = 1.0
        seen[CUES] = 1.0 - first
        seen[CUES + 1 :] = self.random.uniform(-1, 1, width - CUES - 1)
        return seen

    def step(self, action_dict: dict[str, Any]) -> Any:
        self.time += 1
        over = self.time >= self.length
        rewards = {name: self._reward(name, action) for name, action in action_dict.items()}
        seen, gone = {}, {}
        for name in list(self.agents):
            leaves = name in action_dict and not over and self.random.random() < 1 / self.lifetime
            if leaves:
                self.agents.remove(name)
                gone[name] = True
            if over or leaves or self.random.random() < self.acting:
                seen[name] = self._see(name, first=False)
        while len(self.agents) < self.count and not over:
            name = self._come()
            seen[name] = self._see(name, first=True)
        for name in seen:
            rewards.setdefault(name, 0.0)
        return seen, rewards, {**gone, "__all__": False}, {"__all__": over}, {}

    def _reward(self, name: str, action: Any) -> float:
        assert self.action_spaces[name].contains(action), (name, action)
        return float(np.ravel(action[0] if isinstance(action, tuple) else action)[0] == self.cues[name])
