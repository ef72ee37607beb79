"""Untrained agents that are sure of what they do, an environment of any space, and both ways to play in it."""

import gymnasium as gym
import numpy as np
import torch

from lukasa import envs
from lukasa.agents import load_agent
from lukasa.agents.rllib import MemoryRLModule, MemorySettings
from lukasa.agents.rllib.exporting import export_agent


class Drawn(gym.Env):
    """Observations drawn from any space; the reward is how often an action was taken, more or less."""

    def __init__(self, observation_space, action_space, length=6):
        self.observation_space, self.action_space, self.length = observation_space, action_space, length

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        self.time = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert action in self.action_space, action
        self.time += 1
        return self.observation_space.sample(), float(self.np_random.normal()), self.time == self.length, False, {}


def agent_module(observation_space, action_space, core="gru", options=None, seed=0, kind=MemoryRLModule, **settings):
    """A module whose policy prefers some actions clearly, and whose moments are not those of nothing."""
    torch.manual_seed(seed)
    asked = MemorySettings(core=core, core_options=options or {}, embedding_size=8, output_size=8, **settings)
    module = kind(
        observation_space=observation_space,
        action_space=action_space,
        model_config={**asked.to_dict(), "max_seq_len": 8},
    )
    with torch.no_grad():
        for name, tensor in module.named_parameters():
            if name.startswith("policy_head"):
                tensor.normal_(0, 3 if name.endswith("weight") else 0.1)
        for name, tensor in module.named_buffers():
            if name.endswith(("normalizer.moments.0.mean", "reward.mean")):
                tensor.normal_()
    return module.eval()


def exported(module, path, **options):
    """The module from its file."""
    export_agent(module, path, {"env": "drawn"})
    return load_agent(path, **options)


def episode(agent, env, seed, number=0, session=None):
    """One episode with an agent out of a file: actions and rewards, as ``rollout`` would play it."""
    observation, _ = envs.reset_seeded(env, envs.stream_seed(seed, number))
    actions, rewards, over = [], [], False
    while not over:
        action, session = agent.act(observation, session, rewards[-1] if rewards else None)
        observation, reward, terminated, truncated, _ = env.step(action)
        actions.append(action)
        rewards.append(reward)
        over = terminated or truncated
    return actions, rewards


def same(one, other):
    """Whether two nested actions are equal; RLlib gives some of them in narrower dtypes than their space's."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return np.array_equal(one, other)
