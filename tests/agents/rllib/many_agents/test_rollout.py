"""Episodes of several agents outside of training."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from lukasa.agents.rllib import MemoryPPOConfig
from lukasa.agents.rllib.many_agents.environments import spaces_by_agent
from lukasa.agents.rllib.many_agents.rollout import rollout_many_agents

PLAIN = gym.spaces.Discrete(2)


class InTurn(MultiAgentEnv):
    """Two agents whose ids are numbers act in turn; each action earns what it is.

    Args:
        action: space of both agents' actions.
    """

    def __init__(self, action: gym.Space[Any] = PLAIN):
        super().__init__()
        self.possible_agents: Any = [0, 1]
        self.agents = self.possible_agents
        self.observation_spaces = {agent: gym.spaces.Box(0.0, 9.0, (1,)) for agent in self.possible_agents}
        self.action_spaces = dict.fromkeys(self.possible_agents, action)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        self.time = 0
        return {0: np.zeros(1, np.float32)}, {}

    def step(self, action_dict: Any) -> Any:
        self.time += 1
        assert list(action_dict) == [(self.time - 1) % 2]
        rewards = {agent: float(np.ravel(action)[0]) for agent, action in action_dict.items()}
        seen = {self.time % 2: np.full(1, self.time, np.float32)}
        return seen, rewards, {"__all__": self.time == 6}, {"__all__": False}, {}


@pytest.mark.parametrize("action", [PLAIN, gym.spaces.Box(-1.0, 1.0, (1,)), gym.spaces.MultiBinary(1)])
def test_agents_may_be_named_by_numbers(action):
    env, mapping = InTurn(action), lambda agent, *_, **__: f"policy{agent}"
    config = MemoryPPOConfig().environment(InTurn).memory("gru", size=4)
    config.multi_agent(policies={"policy0", "policy1"}, policy_mapping_fn=mapping)
    observed, acts = spaces_by_agent(env)
    torch.manual_seed(0)
    spaces: Any = {f"policy{agent}": (observed[agent], acts[agent]) for agent in (0, 1)}
    module = config.get_multi_rl_module_spec(spaces=spaces).build()
    found = rollout_many_agents(config, module, [env], 2, name="in_turn", seed=0, explore=True)
    assert [one.length for one in found] == [6, 6]
    assert all(set(one.returns) == {0, 1} for one in found)
