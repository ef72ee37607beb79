"""The previous action and reward are the same in runner, learner and rollout, across the cuts between fragments."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from ray.rllib.core.columns import Columns

from lukasa.agents.rllib import MemoryRLModule, rollout
from lukasa.agents.rllib.module import PREVIOUS_ACTION, PREVIOUS_REWARD
from tests.agents.rllib.sampling import learner_batch, make_learner, make_runner, ppo, ship

SPACES = {
    "discrete": (Discrete(3), 3),
    "multi-discrete": (MultiDiscrete([2, 3]), 5),
    "continuous": (Box(-1.0, 1.0, (2,), np.float32), 2),
}


class Counting(gym.Env):
    """Episodes of 13 steps; the reward of step t (from 0) is t + 1, so that every reward is told apart."""

    observation_space = Discrete(14)

    def __init__(self, config=None):
        self.action_space = SPACES[(config or {}).get("actions", "discrete")][0]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time = 0
        return 0, {}

    def step(self, action):
        self.time += 1
        return self.time, float(self.time), self.time == 13, False, {}


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """RLlib's learners measure themselves through Ray."""


def counting_config(actions, **settings):
    config = ppo(Counting, fragment=5, copies=2, max_seq_len=3)
    config.environment(env_config={"actions": actions})
    return config.memory(
        core="gru", size=8, max_seq_len=3, **{"previous_action": True, "previous_reward": True} | settings
    )


def encoded(space, action):
    if isinstance(space, Discrete):
        return np.eye(space.n)[int(action)]
    if isinstance(space, MultiDiscrete):
        return np.concatenate([np.eye(n)[part] for n, part in zip(space.nvec, action, strict=True)])
    return action


def spy_on_columns(runner):
    seen = {}
    pipeline = runner._env_to_module

    def spied(*, episodes, **kwargs):
        batch = pipeline(episodes=episodes, **kwargs)
        for row, episode in enumerate(episodes):
            seen[episode.id_, episode.t] = (batch[PREVIOUS_ACTION][row, 0], batch[PREVIOUS_REWARD][row, 0])
        return batch

    runner._env_to_module = spied
    return seen


@pytest.mark.ray
@pytest.mark.parametrize("actions", SPACES)
def test_runner_and_learner_see_the_step_before_across_cuts(actions):
    space, width = SPACES[actions]
    config = counting_config(actions)
    runner = make_runner(config)
    learner = make_learner(config, runner)
    seen = spy_on_columns(runner)
    taken, compared = {}, 0
    for _ in range(7):
        fragments = ship(runner.sample())
        for fragment in fragments:
            for offset, action in enumerate(fragment.get_actions()):
                taken[fragment.id_, fragment.t_started + offset] = action
        rows = [(f.id_, t) for f in fragments for t in range(f.t_started, f.t + 1, 3)]
        lengths = {f.id_: f.t for f in fragments}
        batch = learner_batch(learner, fragments)
        assert batch[PREVIOUS_ACTION].shape == (len(rows), 3, width)
        for row, (episode, start) in enumerate(rows):
            for offset in range(min(3, lengths[episode] + 1 - start)):
                step = start + offset
                action, reward = batch[PREVIOUS_ACTION][row, offset], batch[PREVIOUS_REWARD][row, offset]
                expected = encoded(space, taken[episode, step - 1]) if step else np.zeros(width)
                assert np.allclose(action, expected), (episode, step)
                assert reward.item() == step
                assert torch.equal(action, seen[episode, step][0])
                assert torch.equal(reward, seen[episode, step][1])
                compared += 1
    assert compared > 70


def watched(encode, seen):
    """What a network encodes is noted as well."""

    def noting(batch):
        seen.append(batch)
        return encode(batch)

    return noting


@pytest.mark.ray
@pytest.mark.parametrize("actions", SPACES)
def test_rollout_sees_the_step_before(actions, monkeypatch):
    space, width = SPACES[actions]
    runner = make_runner(counting_config(actions))
    module: MemoryRLModule = runner.module
    seen = []
    monkeypatch.setattr(module.net, "encode", watched(module.net.encode, seen))
    (episode,) = rollout(module, Counting({"actions": actions}), 1, explore=True, seed=0)
    assert np.array_equal([batch[PREVIOUS_REWARD].item() for batch in seen], range(13))
    assert not seen[0][PREVIOUS_ACTION].any()
    if actions != "continuous":  # there RLlib stores what it drew, and the environment gets it clipped to the bounds
        for batch, action in zip(seen[1:], episode.actions, strict=False):
            assert np.array_equal(batch[PREVIOUS_ACTION][0, 0], encoded(space, action))
    assert seen[0][PREVIOUS_ACTION].shape == (1, 1, width)


@pytest.mark.ray
def test_columns_come_only_where_they_are_asked_for(monkeypatch):
    runner = make_runner(counting_config("discrete", previous_action=False))
    seen = []
    monkeypatch.setattr(runner.module.net, "encode", watched(runner.module.net.encode, seen))
    runner.sample()
    assert set(seen[0]) == {Columns.OBS, Columns.STATE_IN, PREVIOUS_REWARD}


@pytest.mark.ray
def test_fragment_that_forgot_the_step_before_raises():
    config = counting_config("discrete")
    config.env_runners(episode_lookback_horizon=0)
    runner = make_runner(config)
    learner = make_learner(config, runner)
    runner.sample()
    with pytest.raises(RuntimeError, match="without the step before its first one"):
        learner_batch(learner, ship(runner.sample()))
