"""Environments of several agents in the form that RLlib knows."""

from __future__ import annotations

from typing import Any

from ray.rllib.env.multi_agent_env import MultiAgentEnv

from lukasa.ground.conforming import conform


class AsMultiAgentEnv(MultiAgentEnv):
    """An ``lukasa.envs.many_agents.ManyAgents`` as RLlib's ``MultiAgentEnv``.

    Args:
        env: whose episodes end when it has no agents left.
    """

    def __init__(self, env: Any):
        super().__init__()
        self.env = env
        self.possible_agents = list(env.unwrapped.possible_agents)
        self.agents: list[Any] = []
        self.observation_spaces = dict(env.observation_space.spaces)
        self.action_spaces = dict(env.action_space.spaces)
        self.render_mode = env.render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        """As the environment's own."""
        seen, infos = self.env.reset(seed=seed, options=options)
        self.agents = list(self.env.unwrapped.agents)
        return self._conformed(seen), infos

    def step(self, action_dict: Any) -> Any:
        """As the environment's own, and whether all is over."""
        seen, rewards, terminated, truncated, infos = self.env.step(action_dict)
        self.agents = list(self.env.unwrapped.agents)
        over = not self.agents
        cut = over and any(truncated.values()) and not any(terminated.values())
        ends = {"__all__": over and not cut}, {"__all__": cut}
        return self._conformed(seen), rewards, {**terminated, **ends[0]}, {**truncated, **ends[1]}, infos

    def _conformed(self, seen: dict[Any, Any]) -> dict[Any, Any]:
        spaces: Any = self.observation_spaces
        return {agent: conform(spaces[agent], one) for agent, one in seen.items()}

    def render(self) -> Any:
        """As the environment's own."""
        return self.env.render()

    def close(self) -> None:
        """As the environment's own."""
        self.env.close()


def as_multi_agent(env: Any) -> MultiAgentEnv:
    """An environment of several agents as RLlib knows it, whichever of both forms it has."""
    return env.unwrapped if isinstance(env.unwrapped, MultiAgentEnv) else AsMultiAgentEnv(env)


def spaces_by_agent(env: MultiAgentEnv) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """The observation spaces and action spaces of its agents."""
    agents = env.possible_agents
    return {one: env.get_observation_space(one) for one in agents}, {one: env.get_action_space(one) for one in agents}
