import gymnasium as gym
import numpy as np
import pytest

from lukasa.envs import Bandit


def pull(env, arms):
    """What a fresh trial pays for these pulls, and the observations after each."""
    env.reset(seed=3)
    steps = [env.step(arm) for arm in arms]
    return [step[1] for step in steps], np.stack([step[0] for step in steps])


def test_first_observation_is_empty():
    env = Bandit(pulls=5, arms=3)
    np.testing.assert_array_equal(env.reset(seed=0)[0], np.zeros(5))
    env.step(1)
    np.testing.assert_array_equal(env.reset()[0], np.zeros(5))


def test_observation_shows_the_pull_before_what_it_paid_and_that_an_episode_ended():
    arms = [2, 0, 2, 1] * 5
    rewards, observations = pull(Bandit(pulls=20, arms=3), arms)
    assert {0.0, 1.0} == set(rewards)
    np.testing.assert_array_equal(observations[:, :3], np.eye(3)[arms])
    np.testing.assert_array_equal(observations[:, 3], rewards)
    np.testing.assert_array_equal(observations[:, 4], 1)


def test_arm_pays_with_its_chance():
    env = Bandit(pulls=4000, arms=3)
    for arm in range(3):
        rewards, _ = pull(env, [arm] * 4000)
        assert np.mean(rewards) == pytest.approx(env.chances[arm], abs=0.03)  # four standard errors
    assert np.ptp(env.chances) > 0.2


def test_chances_are_uniform_and_new_in_every_trial():
    env = Bandit(pulls=1, arms=50)
    env.reset(seed=0)
    trials = []
    for _ in range(40):
        trials.append(env.chances.copy())
        env.reset()
    assert len({tuple(chances) for chances in trials}) == 40
    quarters = np.histogram(trials, 4, (0, 1))[0] / 2000
    np.testing.assert_allclose(quarters, 0.25, atol=0.04)


def test_oracle_pulls_the_arm_with_the_largest_chance():
    env = Bandit(pulls=3, arms=4)
    for seed in range(5):
        env.reset(seed=seed)
        assert env.chances[env.oracle()] == max(env.chances)


def test_trial_has_as_many_steps_as_pulls_and_terminates():
    env = Bandit(pulls=4, arms=2)
    env.reset(seed=0)
    assert [env.step(0)[2:4] for _ in range(4)] == [(False, False)] * 3 + [(True, False)]
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pulls": 0}, "Bandit: pulls is 0, expected a whole number of at least 1"),
        ({"arms": 1}, "Bandit: arms is 1, expected a whole number of at least 2"),
        ({"arms": 2.5}, "Bandit: arms is 2.5, expected a whole number"),
    ],
)
def test_setting_out_of_range_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        gym.make("Bandit-N10-K5-v0", **settings)
    with pytest.raises(ValueError, match=message):
        gym.make_vec("Bandit-N10-K5-v0", num_envs=2, **settings)


@pytest.mark.parametrize("action", [3, -1, 0.5])
def test_action_that_is_no_arm_is_refused(action):
    env = Bandit(arms=3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="is not a whole number from 0 to 2"):
        env.step(action)
