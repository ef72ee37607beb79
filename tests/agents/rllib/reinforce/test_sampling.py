"""Whole episodes, none preferred for being short."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Discrete
from ray.rllib.callbacks.callbacks import RLlibCallback

from lukasa.agents.rllib import MemoryReinforceConfig
from lukasa.agents.rllib.reinforce.sampling import WholeEpisodeRunner


class Mixed(gym.Env):
    """One step or twenty, with an even chance."""

    observation_space, action_space = Discrete(2), Discrete(2)

    def __init__(self, config=None):
        self.drawn = np.random.default_rng(0)

    def reset(self, *, seed=None, options=None):
        if seed is not None:
            self.drawn = np.random.default_rng(seed)
        self.left = 1 if self.drawn.random() < 0.5 else 20
        return 0, {}

    def step(self, action):
        self.left -= 1
        return 1, 1.0, self.left == 0, False, {}


class StepByStep(RLlibCallback):
    def on_episode_step(self, **kwargs):
        pass


def runner_of(copies, *, callback=None):
    config = MemoryReinforceConfig().environment(Mixed).memory("gru", size=4).debugging(seed=0)
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=copies)
    config.training(train_batch_size_per_learner=400)
    if callback:
        config.callbacks(callback)
    return WholeEpisodeRunner(config=config)


def test_episodes_are_whole_and_short_ones_come_no_more_often_than_they_begin(ray_cluster):
    runner = runner_of(16)
    played = [episode for _ in range(30) for episode in runner.sample()]
    assert all(episode.is_done and episode.t_started == 0 for episode in played)
    assert {len(episode) for episode in played} == {1, 20}
    assert len(played) > 500
    assert np.mean([len(episode) == 1 for episode in played]) == pytest.approx(0.5, abs=0.06)


def test_samples_grow_to_the_size_of_a_batch(ray_cluster):
    runner = runner_of(16)
    runner.sample()
    assert np.mean([sum(map(len, runner.sample())) for _ in range(5)]) == pytest.approx(400, rel=0.4)


def test_every_sample_plays_other_episodes(ray_cluster):
    runner = runner_of(16)
    played = [tuple(map(len, runner.sample())) for _ in range(4)]
    assert len(set(played)) == 4


def test_one_copy_may_have_callbacks_at_every_step_and_several_are_refused(ray_cluster):
    assert [episode.is_done for episode in runner_of(1, callback=StepByStep).sample()] == [True]
    with pytest.raises(ValueError, match=r"on_episode_step is called at every step.* set \.env_runners"):
        runner_of(4, callback=StepByStep).sample()


def test_config_refuses_what_is_not_reinforce():
    config = MemoryReinforceConfig().environment(Mixed).memory("gru", size=4)
    with pytest.raises(ValueError, match="batch_mode is 'truncate_episodes': Reinforce learns from whole episodes"):
        config.copy(copy_frozen=False).env_runners(batch_mode="truncate_episodes").validate()
    with pytest.raises(ValueError, match="minibatch_size is None and num_epochs 2: Reinforce takes one step"):
        config.copy(copy_frozen=False).training(num_epochs=2).validate()
    with pytest.raises(ValueError, match="baseline is 'median': choose one of shared, detached, mean, none"):
        config.training(baseline="median")
