"""What a memory is for: DQN learns with one what it cannot learn without."""

import numpy as np
import pytest

from lukasa import envs
from lukasa.agents.rllib import MemoryDQNConfig, register_environment, rollout

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.mark.parametrize(("core", "learns"), [("gru", True), ("feedforward", False)])
def test_symbol_of_the_step_before_is_learned_with_memory_alone(ray_cluster, core, learns):
    settings = {"k": 1, "symbols": 2, "length": 12}
    config = MemoryDQNConfig().environment(register_environment("RepeatPrevious-k1-v0", **settings))
    config.env_runners(num_envs_per_env_runner=8).reporting(min_sample_timesteps_per_iteration=1000)
    config.training(lr=3e-3, gamma=0.0, n_step=1, grad_clip=10.0, burn_in=2, fragment=13, replay_sequences=16)
    config.training(num_steps_sampled_before_learning_starts=200, replay_ratio=8.0, target_network_update_freq=200)
    config.training(epsilon=[[0, 1.0], [3000, 0.05]])
    config.memory(core=core, size=16, embedding_size=16, output_size=16, max_seq_len=12).debugging(seed=0)
    algorithm = config.build_algo()
    for _ in range(5):
        algorithm.train()
    env = envs.make("RepeatPrevious-k1-v0", **settings)
    returns = [episode.episode_return for episode in rollout(algorithm, env, 30, seed=1)]
    algorithm.stop()
    # best 1, chance 0: nothing without memory does better
    assert np.mean(returns) > 0.9 if learns else abs(np.mean(returns)) < 0.3
