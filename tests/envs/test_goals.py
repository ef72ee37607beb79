"""Environments with goals: what they pay for any goal, and what a perfect and a blind player earn."""

import gymnasium as gym
import numpy as np
import pytest

from lukasa import envs
from lukasa.envs.bit_flipping import BitFlipping
from lukasa.envs.reach import NEAR, Reach

GOALS = [env_id for env_id in envs.ENVIRONMENTS if env_id.startswith(("BitFlipping-", "Reach-"))]
SETTINGS = [*((env_id, {}) for env_id in GOALS), ("Reach-v0", {"continuous": True})]


def played(env, policy, seed):
    """Observations, rewards and the end of one episode."""
    observation, _ = env.reset(seed=seed)
    seen, rewards, over = [observation], [], False
    while not over:
        observation, reward, terminated, truncated, info = env.step(policy(env))
        seen.append(observation)
        rewards.append(reward)
        over = terminated or truncated
    return seen, rewards, terminated, info


@pytest.mark.parametrize(("env_id", "settings"), SETTINGS)
def test_oracle_reaches_every_goal(env_id, settings):
    env = envs.make(env_id, **settings)
    for seed in range(20):
        _, rewards, terminated, info = played(env, lambda env: env.unwrapped.oracle(), seed)
        assert terminated
        assert rewards == [-1.0] * (len(rewards) - 1) + [0.0]
        assert envs.episode_score(env_id, sum(rewards), info) == envs.ENVIRONMENTS[env_id].best == 1


@pytest.mark.parametrize(("env_id", "settings"), SETTINGS)
def test_reward_of_a_step_is_that_of_its_goal(env_id, settings):
    env = envs.make(env_id, **settings)
    env.action_space.seed(0)
    inner = env.unwrapped
    for seed in range(5):
        seen, rewards, terminated, _ = played(env, lambda env: env.action_space.sample(), seed)
        achieved = np.stack([one["achieved_goal"] for one in seen[1:]])
        desired = np.stack([one["desired_goal"] for one in seen[1:]])
        np.testing.assert_array_equal(inner.compute_reward(achieved, desired, {}), rewards)
        assert inner.compute_terminated(achieved, desired, {})[-1] == terminated
        assert inner.compute_terminated(achieved[-1], achieved[-1], {})
        assert all(env.observation_space.contains(one) for one in seen)


@pytest.mark.parametrize(
    ("env_id", "settings", "chance"),
    [("BitFlipping-N10-v0", {}, 0.0087), ("Reach-v0", {}, 0.083), ("Reach-v0", {"continuous": True}, 0.064)],
)
def test_chance_is_as_listed(env_id, settings, chance):
    copies = 8000
    env = envs.make_vec(env_id, copies, **settings)
    env.action_space.seed(1)
    env.reset(seed=1)
    won, over = np.zeros(copies, bool), np.zeros(copies, bool)
    while not over.all():
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        won |= terminated & ~over
        over |= terminated | truncated
    assert won.mean() == pytest.approx(chance, abs=4 * (chance / copies) ** 0.5)
    if not settings:
        assert envs.ENVIRONMENTS[env_id].chance == chance


@pytest.mark.parametrize("continuous", [False, True])
def test_vector_version_of_reach_equals_sync_vector_env(continuous):
    settings = {"continuous": continuous, "step_limit": 40}
    vector = gym.make_vec("Reach-v0", num_envs=4, vectorization_mode="vector_entry_point", **settings)
    single = gym.make_vec("Reach-v0", num_envs=4, vectorization_mode="sync", **settings)
    left, right = vector.reset(seed=3)[0], single.reset(seed=envs.copy_seeds(3, 4))[0]
    vector.action_space.seed(0)
    ends = 0
    for _ in range(100):
        for name in right:
            np.testing.assert_array_equal(left[name], right[name])
        actions = vector.action_space.sample()
        (left, *mine, said), (right, *theirs, heard) = vector.step(actions), single.step(actions)
        for one, two in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(one, two)
        assert sorted(said) == sorted(heard)
        ends += int((mine[1] | mine[2]).sum())
    assert ends > 6


def test_bits_and_places_begin_away_from_their_goals():
    for seed in range(30):
        bits, _ = BitFlipping(1).reset(seed=seed)
        assert bits["achieved_goal"] != bits["desired_goal"]
        place, _ = Reach().reset(seed=seed)
        assert np.linalg.norm(place["achieved_goal"] - place["desired_goal"]) > NEAR


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: BitFlipping(bits=0), "bits is 0"),
        (lambda: Reach(step_limit=39), "step_limit is 39"),
        (lambda: _step(BitFlipping(bits=3), 3), "action 3 is not a whole number from 0 to 2"),
        (lambda: _step(Reach(), -1), "action -1 is not a whole number from 0 to 3"),
        (lambda: _step(Reach(continuous=True), np.array([2.0, 0.0], np.float32)), "not two numbers from -1 to 1"),
    ],
)
def test_what_cannot_be_done_is_refused(make, told):
    with pytest.raises(ValueError, match=told):
        make()


def _step(env, action):
    env.reset(seed=0)
    env.step(action)
