import itertools

import gymnasium as gym
import numpy as np
import pytest

from lukasa.envs import TabularMDP
from lukasa.envs.tabular import plan


def walk(env, actions, seed=0):
    """Observations (the first one too) and rewards of one trial."""
    steps = [(env.reset(seed=seed)[0], 0.0)]
    steps += [env.step(action)[:2] for action in actions]
    return np.stack([step[0] for step in steps]), np.array([step[1] for step in steps])


def random_actions(count, actions=5):
    return np.random.default_rng(0).integers(actions, size=count).tolist()


def test_observation_shows_state_action_reward_and_the_end_of_an_episode():
    actions = random_actions(30)
    observations, rewards = walk(TabularMDP(episodes=3, horizon=10), actions)
    assert observations.shape == (31, 17)
    np.testing.assert_array_equal(observations[:, :10].sum(-1), 1)
    np.testing.assert_array_equal(observations[0, 10:], 0)
    np.testing.assert_array_equal(observations[1:, 10:15], np.eye(5)[actions])
    np.testing.assert_array_equal(observations[:, 15], rewards.astype(np.float32))
    np.testing.assert_array_equal(np.flatnonzero(observations[:, 16]), [10, 20, 30])


def test_every_episode_begins_in_the_first_state():
    observations, _ = walk(TabularMDP(episodes=5, horizon=4), random_actions(20))
    states = observations[:, :10].argmax(-1)
    np.testing.assert_array_equal(states[::4], 0)
    assert len(set(states)) > 4


def test_world_stays_for_the_trial_and_is_new_in_the_next():
    env = TabularMDP(episodes=2, horizon=3)
    env.reset(seed=0)
    before = env._world.transitions.copy()
    for action in random_actions(6):
        env.step(action)
    np.testing.assert_array_equal(env._world.transitions, before)
    env.reset()
    assert not np.array_equal(env._world.transitions, before)


def test_next_state_and_reward_follow_the_hidden_world():
    env = TabularMDP(episodes=4000, horizon=2, states=3, actions=2)
    observations, rewards = walk(env, [1] * 8000)
    following = observations[1::2, :3].argmax(-1)  # after the first step of each episode, from state 0
    shares = np.bincount(following, minlength=3) / 4000
    np.testing.assert_allclose(shares, env._world.transitions[0, 1], atol=0.032)  # four standard errors
    first = rewards[1::2]
    assert first.mean() == pytest.approx(env._world.rewards[0, 1], abs=0.064)
    assert first.std() == pytest.approx(1.0, abs=0.05)


def test_worlds_are_drawn_from_normal_rewards_and_flat_dirichlet_transitions():
    env = TabularMDP(episodes=1)
    worlds = []
    for seed in range(100):
        env.reset(seed=seed)
        worlds.append(env._world)
    rewards = np.stack([world.rewards for world in worlds])
    assert rewards.mean() == pytest.approx(1, abs=0.06)
    assert rewards.std() == pytest.approx(1, abs=0.04)
    transitions = np.stack([world.transitions for world in worlds])
    np.testing.assert_allclose(transitions.sum(-1), 1)
    assert transitions.var() == pytest.approx(0.09 / 11, rel=0.05)  # of one share of a flat Dirichlet over ten


def expected_return(transitions, rewards, policy):
    """Expected return from each state, by a loop over the time left; policy [H][S]."""
    values = np.zeros(len(rewards))
    for choice in reversed(policy):
        following = [sum(p * v for p, v in zip(transitions[s, a], values, strict=True)) for s, a in enumerate(choice)]
        values = np.array([rewards[s, a] + following[s] for s, a in enumerate(choice)])
    return values


def test_plan_is_the_best_of_all_policies():
    rng = np.random.default_rng(1)
    for _ in range(3):
        transitions, rewards = rng.dirichlet(np.ones(2) * 0.3, size=(2, 2)), rng.normal(size=(2, 2))
        planned = plan(transitions[None], rewards[None], 3)[0]
        every = itertools.product(itertools.product(range(2), repeat=2), repeat=3)
        best = np.max([expected_return(transitions, rewards, policy) for policy in every], axis=0)
        np.testing.assert_allclose(expected_return(transitions, rewards, planned), best)


def test_oracle_follows_the_plan_of_its_world_step_by_step():
    # State 1 pays, action 1 leads there, and in the last step only the reward at hand counts.
    env = TabularMDP(episodes=2, horizon=3, states=2, actions=2)
    env.reset(seed=0)
    env._world.transitions[:] = [[[1, 0], [0, 1]], [[1, 0], [0, 1]]]
    env._world.rewards[:] = [[0.5, 0.0], [2.0, 1.0]]
    actions = []
    for _ in range(6):
        actions.append(env.oracle())
        env.step(actions[-1])
    assert actions == [1, 1, 0] * 2


def test_oracle_needs_a_world():
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        TabularMDP().oracle()


def test_trial_terminates_after_all_episodes():
    env = TabularMDP(episodes=3, horizon=2)
    env.reset(seed=0)
    assert [env.step(0)[2:4] for _ in range(6)] == [(False, False)] * 5 + [(True, False)]
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(0)


@pytest.mark.parametrize("setting", ["episodes", "horizon", "states", "actions"])
def test_setting_out_of_range_is_refused(setting):
    message = f"TabularMDP: {setting} is 0, expected a whole number of at least"
    with pytest.raises(ValueError, match=message):
        gym.make("TabularMDP-N10-v0", **{setting: 0})
    with pytest.raises(ValueError, match=message):
        gym.make_vec("TabularMDP-N10-v0", num_envs=2, **{setting: 0})


@pytest.mark.parametrize("action", [5, -1, 0.5])
def test_action_that_there_is_not_is_refused(action):
    env = TabularMDP()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="is not a whole number from 0 to 4"):
        env.step(action)
