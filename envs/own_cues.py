"""Several agents, each of which is to remember its own cue."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from lukasa.envs.many_agents import ManyAgents
from lukasa.ground.settings import check_whole


class OwnCues(ManyAgents):
    """Description
        Each agent is shown a cue of its own, then now and then a cue of another agent, and is at last asked for its
        own. Agents are not shown something at every step, and act only when they are: a memory that is one step late,
        or another agent's, answers wrongly.

    Observation
        Discrete, for each agent: 0 for nothing, 1 to ``cues`` for its own cue, then as many for that of another, and
        the last number for the question.

    Action
        Discrete, one of the ``cues``; only the answer to the question counts.

    Reward
        1 for an agent's own cue as the answer, 0 for another and at all other steps.

    Termination and truncation
        All agents are done once they have answered. Nothing is truncated.

    Score
        Return, summed over the agents: ``best`` with a memory for each, ``chance`` without.

    Version history
        First version.

    Args:
        agents: how many.
        cues: how many there are to tell apart.
        delay: steps between cue and question.
        absent: share of these steps at which an agent is shown nothing and does not act.
    """  # noqa: D205

    def __init__(self, agents: int = 2, cues: int = 4, delay: int = 6, absent: float = 0.25):
        for name, value, least in (("agents", agents, 1), ("cues", cues, 2), ("delay", delay, 0)):
            check_whole("OwnCues", name, value, least)
        if not 0 <= absent <= 1:
            raise ValueError(f"environment 'OwnCues': absent is {absent}, expected a share from 0 to 1")
        self.possible_agents = [f"agent{number}" for number in range(agents)]
        self.agents = []
        self.count, self.delay, self.absent = cues, delay, absent
        seen, acts = gym.spaces.Discrete(2 * cues + 2), gym.spaces.Discrete(cues)
        self.observation_space = gym.spaces.Dict(dict.fromkeys(self.possible_agents, seen))
        self.action_space = gym.spaces.Dict(dict.fromkeys(self.possible_agents, acts))

    @property
    def best(self) -> float:
        """Return of agents that remember."""
        return float(len(self.possible_agents))

    @property
    def chance(self) -> float:
        """Return of agents that guess."""
        return len(self.possible_agents) / self.count

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Draw the cues and show each agent its own."""
        super().reset(seed=seed)
        self.agents, self.time = list(self.possible_agents), 0
        drawn = self.np_random.integers(self.count, size=len(self.agents))
        self.cues = dict(zip(self.agents, map(int, drawn), strict=True))
        return {agent: np.int64(1 + cue) for agent, cue in self.cues.items()}, {}

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Show the next; judge the answers at last."""
        self.time += 1
        if self.time > self.delay + 1:
            rewards = {agent: float(answer == self.cues[agent]) for agent, answer in action.items()}
            ended, self.agents = self.agents, []
            nothing = {agent: np.int64(0) for agent in ended}
            return nothing, rewards, dict.fromkeys(ended, True), dict.fromkeys(ended, False), {}
        asked = self.time == self.delay + 1
        seen = {agent: self._shown(agent, asked) for agent in self.agents if asked or self._is_there()}
        rewards = dict.fromkeys({*action, *seen}, 0.0)
        return seen, rewards, dict.fromkeys(seen, False), dict.fromkeys(seen, False), {}

    def _is_there(self) -> bool:
        return bool(self.np_random.random() >= self.absent)

    def _shown(self, agent: str, asked: bool) -> np.int64:
        others = [one for one in self.agents if one != agent]
        if asked:
            return np.int64(2 * self.count + 1)
        if not others or self.np_random.random() < 0.5:
            return np.int64(0)
        return np.int64(1 + self.count + self.cues[others[self.np_random.integers(len(others))]])


def remember(env: OwnCues, seen: dict[str, Any]) -> dict[str, int]:
    """The actions of agents that know their cues."""
    return {agent: env.cues[agent] for agent in seen}


def guess(env: OwnCues, seen: dict[str, Any]) -> dict[str, int]:
    """The actions of agents that have forgotten them."""
    return {agent: int(env.np_random.integers(env.count)) for agent in seen}
