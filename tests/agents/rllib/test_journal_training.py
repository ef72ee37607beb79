"""Agents with a sparse memory of a million slots, trained, saved and played as a user does."""

import math

import numpy as np
import pytest
from ray.rllib.core import DEFAULT_MODULE_ID

from lukasa import envs
from lukasa.agents.rllib import MemoryAPPOConfig, MemoryPPOConfig, register_environment, rollout
from tests.agents.rllib.test_journal import MANY, SMALL, sparse_ppo

pytestmark = pytest.mark.ray


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """All of these start runners or learners."""


def total_loss(result):
    return result["learners"]["default_policy"]["total_loss"]


def test_million_slots_train_and_play_the_same_from_a_checkpoint(tmp_path):
    algorithm = sparse_ppo(fragment=30).build_algo()
    try:
        before = algorithm.get_module().get_state()
        losses = [total_loss(algorithm.train()) for _ in range(2)]
        after = algorithm.get_module().get_state()
        env = envs.make("RepeatPrevious-k1-v0", length=25)
        played = rollout(algorithm, env, 2, seed=0, explore=True, record=True)
        algorithm.save_to_path(tmp_path)
    finally:
        algorithm.stop()
    assert all(map(math.isfinite, losses))
    assert all(not np.array_equal(before[name], after[name]) for name in before)
    again = rollout(tmp_path, env, 2, seed=0, explore=True)
    for first, second in zip(played, again, strict=True):
        assert np.array_equal(first.actions, second.actions)
        assert first.length == 25
    assert played[0].weights["read_slots"].shape == (25, 2, 2)
    # a memory that began empty at each episode: two slots a step, and the first step finds its own two
    assert [episode.weights["read_slots"][0].max() for episode in played] == [1, 1]


@pytest.mark.slow
def test_two_learners_lose_no_journal_and_stay_equal():
    config = sparse_ppo(fragment=24, copies=3, max_seq_len=9).learners(num_learners=2)
    config.training(train_batch_size_per_learner=36, num_epochs=2, minibatch_size=12)
    algorithm = config.build_algo()
    try:
        for _ in range(3):
            algorithm.train()
        results = algorithm.learner_group.foreach_learner(
            lambda learner: learner.module[DEFAULT_MODULE_ID].unwrapped().get_state()
        )
        first, second = (result.get() for result in results)
        assert all(np.array_equal(first[name], second[name]) for name in first)
    finally:
        algorithm.stop()


@pytest.mark.slow
def test_journals_reach_an_asynchronous_learner():
    config = MemoryAPPOConfig().environment(register_environment("RepeatPrevious-k1-v0", length=25))
    config.env_runners(num_env_runners=1, num_envs_per_env_runner=4, rollout_fragment_length=10)
    config.learners(num_learners=0, num_aggregator_actors_per_learner=0)
    config.training(train_batch_size_per_learner=80, lr=1e-3)
    config.reporting(min_time_s_per_iteration=0, min_sample_timesteps_per_iteration=400)
    algorithm = config.memory(core="sdnc", slots=MANY, **SMALL, max_seq_len=6).build_algo()
    try:
        for _ in range(6):
            result = algorithm.train()
            if result["learners"]["default_policy"].get("num_module_steps_trained_lifetime", 0) > 400:
                break
    finally:
        algorithm.stop()
    assert math.isfinite(total_loss(result))


@pytest.mark.slow
def test_sparse_memory_learns_to_recall():
    name = register_environment("RepeatPrevious-k1-v0", length=21)
    config = MemoryPPOConfig().environment(name).debugging(seed=0)
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=32, gym_env_vectorize_mode="vector_entry_point")
    config.training(train_batch_size_per_learner=1344, minibatch_size=336, num_epochs=6, lr=3e-3, gamma=0.7)
    config.memory(core="sam", slots=MANY, word_size=8, heads=1, controller_size=32, max_seq_len=22)
    algorithm = config.build_algo()
    for _ in range(8):
        result = algorithm.train()
    algorithm.stop()
    assert result["env_runners"]["episode_return_mean"] > 0.2
