"""Runners and learners without an algorithm around them, for tests that look inside."""

import pickle

import torch
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner

from lukasa.agents.rllib import MemoryPPOConfig, register_environment
from lukasa.agents.rllib.config import PPO_DEFAULTS

NTM = {"core": "ntm", "slots": 8, "word_size": 4, "controller_size": 16}


def ppo(env=None, *, fragment=10, copies=3, max_seq_len=4, base=MemoryPPOConfig):
    """PPO on an environment whose episodes (25 steps) are longer than the fragments and no multiple of them."""
    name = env or register_environment("RepeatPrevious-k1-v0", length=25)
    config = base().environment(name)
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=copies, rollout_fragment_length=fragment)
    config.training(**PPO_DEFAULTS)
    config.training(train_batch_size_per_learner=fragment * copies, minibatch_size=fragment + 1, num_epochs=1, lr=1e-3)
    config.debugging(seed=0)
    if base is MemoryPPOConfig:
        config.memory(**NTM, max_seq_len=max_seq_len)
    return config


def make_runner(config, seed=0):
    torch.manual_seed(seed)
    return SingleAgentEnvRunner(config=config)


def make_learner(config, runner, seed=0):
    torch.manual_seed(seed)
    learner = config.build_learner(spaces=runner.get_spaces())
    learner.module[DEFAULT_MODULE_ID].set_state(runner.module.get_state())
    return learner


def ship(episodes):
    """What a remote runner's episodes go through."""
    return pickle.loads(pickle.dumps(episodes))


def learner_batch(learner, episodes):
    """The train batch of PPO's whole learner pipeline."""
    batch = learner._learner_connector(
        rl_module=learner.module, batch={}, episodes=episodes, shared_data={}, metrics=None
    )
    return batch[DEFAULT_MODULE_ID]
