"""PPO, APPO and IMPALA as a user runs them, and Tune around them."""

import math

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box
from ray import tune

from lukasa import envs
from lukasa.agents.rllib import MemoryAPPOConfig, MemoryIMPALAConfig, MemoryPPOConfig, register_environment, rollout
from tests.agents.rllib.sampling import NTM, ppo

pytestmark = pytest.mark.ray


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """All of these start runners or learners."""


def losses(result):
    return result["learners"]["default_policy"]


class Steering(gym.Env):
    """Twelve steps; the reward is highest where the action repeats what was shown at the step before."""

    observation_space = Box(-1.0, 1.0, (2,), np.float32)
    action_space = Box(-1.0, 1.0, (2,), np.float32)

    def __init__(self, config=None):
        self.time = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.shown = 0, self._draw()
        return self.shown, {}

    def step(self, action):
        self.time += 1
        reward = -float(np.square(action - self.shown).sum())
        self.shown = self._draw()
        return self.shown, reward, False, self.time == 12, {}

    def _draw(self):
        return self.np_random.uniform(-1, 1, 2).astype(np.float32)


def test_continuous_actions_train():
    algorithm = ppo(Steering).build_algo()
    before = algorithm.get_module().get_state()
    for _ in range(2):
        result = algorithm.train()
    after = algorithm.get_module().get_state()
    algorithm.stop()
    assert math.isfinite(losses(result)["total_loss"])
    assert all(not np.array_equal(before[name], after[name]) for name in before)


def test_remote_runners_find_core_and_environment():
    config = ppo(register_environment("RepeatPrevious-k1-v0", length=25))
    config.env_runners(num_env_runners=1, gym_env_vectorize_mode="vector_entry_point")
    config.memory(core="tests.agents.rllib.test_module:OwnCore", size=8, previous_action=True)
    algorithm = config.build_algo()
    try:
        results = [algorithm.train() for _ in range(3)]
    finally:
        algorithm.stop()
    assert results[-1]["env_runners"]["episode_len_mean"] == 25
    assert all(math.isfinite(losses(result)["total_loss"]) for result in results)


@pytest.mark.slow
@pytest.mark.parametrize("config_class", [MemoryAPPOConfig, MemoryIMPALAConfig])
def test_asynchronous_algorithms_train(config_class):
    config = config_class().environment(register_environment("RepeatPrevious-k1-v0", length=25))
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=4, rollout_fragment_length=10)
    config.learners(num_learners=0, num_aggregator_actors_per_learner=0)
    config.training(train_batch_size_per_learner=80, lr=1e-3)
    config.reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=400)
    algorithm = config.memory(**NTM, max_seq_len=6, previous_reward=True).build_algo()
    before = algorithm.learner_group.get_weights()["default_policy"]
    try:
        for _ in range(6):
            result = algorithm.train()
            if losses(result).get("num_module_steps_trained_lifetime", 0) > 400:
                break
        after = algorithm.learner_group.get_weights()["default_policy"]
        episodes = rollout(algorithm, envs.make("RepeatPrevious-k1-v0", length=25), 1)
    finally:
        algorithm.stop()
    assert math.isfinite(losses(result)["total_loss"])
    learned = [name for name in before if "target" not in name]
    assert all(not np.array_equal(before[name], after[name]) for name in learned)
    assert episodes[0].length == 25


@pytest.mark.slow
def test_tune_takes_the_config(tmp_path):
    config = ppo()
    config.memory(core="ntm", word_size=4, controller_size=16, slots=tune.grid_search([4, 6]), max_seq_len=4)
    tuner = tune.Tuner(
        config.algo_class,
        param_space=config,
        run_config=tune.RunConfig(stop={"training_iteration": 1}, storage_path=str(tmp_path), verbose=0),
    )
    results = tuner.fit()
    assert not results.errors
    slots = {result.config["memory_settings"]["core_options"]["slots"] for result in results}
    assert slots == {4, 6}
    assert all(math.isfinite(losses(result.metrics)["total_loss"]) for result in results)


@pytest.mark.slow
def test_memory_learns_to_recall_what_a_memoryless_network_cannot():
    def final_return(core, iterations, **options):
        name = register_environment("RepeatPrevious-k1-v0", length=21)
        config = MemoryPPOConfig().environment(name).debugging(seed=0)
        config.env_runners(num_env_runners=0, num_envs_per_env_runner=32, gym_env_vectorize_mode="vector_entry_point")
        config.training(train_batch_size_per_learner=1344, minibatch_size=336, num_epochs=6, lr=3e-3)
        config.training(gamma=0.7, lambda_=0.9)
        algorithm = config.memory(core=core, max_seq_len=22, **options).build_algo()
        for _ in range(iterations):
            result = algorithm.train()
        algorithm.stop()
        return result["env_runners"]["episode_return_mean"]

    assert final_return("feedforward", 8, size=32) < -0.3
    assert final_return("ntm", 8, slots=8, word_size=8, controller_size=32) > 0.2
