"""Shaped rewards: the same best policy, and a goal that can be found."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from lukasa import envs
from lukasa.envs.shaping import energy

SHAPED = "MountainCarContinuousShaped-v0"


def play(env_id, push, seed=0, **settings):
    """An episode's rewards, the environment's own of them, whether it terminated, and its first observation."""
    env = envs.make(env_id, **settings)
    observation, _ = env.reset(seed=seed)
    first, rewards, own = observation, [], []
    terminated = truncated = False
    while not (terminated or truncated):
        observation, reward, terminated, truncated, info = env.step(np.array([push(observation)], np.float32))
        rewards.append(reward)
        own.append(info.get("unshaped_reward", reward))
    return rewards, own, terminated, first


def along(observation):
    """Pushes the way that the car goes, which reaches the flag."""
    return 1.0 if observation[1] >= 0 else -1.0


def test_gymnasium_checker_passes():
    check_env(gym.make(SHAPED).unwrapped)


def test_weight_nothing_is_the_environment_itself():
    plain, _, _, first = play("MountainCarContinuous-v0", along)
    shaped, own, _, same = play(SHAPED, along, weight=0.0)
    np.testing.assert_array_equal(first, same)
    assert shaped == own == plain


@pytest.mark.parametrize("discount", [1.0, 0.99])
@pytest.mark.parametrize("push", [along, lambda observation: 0.7 * along(observation)])
def test_discounted_returns_change_by_the_first_potential_alone(discount, push):
    # what Ng et al. prove: no policy gains on another
    rewards, own, terminated, first = play(SHAPED, push, discount=discount)
    powers = discount ** np.arange(len(rewards))
    difference = np.dot(powers, np.subtract(rewards, own))
    assert terminated
    assert difference == pytest.approx(100 * (1 - energy(first)), abs=1e-3)


def test_standing_still_earns_nothing_and_the_flag_what_the_docs_say():
    still, _, terminated, _ = play(SHAPED, lambda _: 0.0)
    assert not terminated
    assert len(still) == 999
    assert sum(still) == pytest.approx(0, abs=1)
    rewards, own, terminated, _ = play(SHAPED, along)
    assert terminated
    assert sum(own) == pytest.approx(90, abs=2)
    assert sum(rewards) == pytest.approx(190, abs=3)


def test_energy_is_zero_at_the_bottom_and_one_at_the_flag():
    assert energy([-np.pi / 6, 0.0]) == pytest.approx(0, abs=1e-9)
    assert energy([0.45, 0.0]) == pytest.approx(1)
    assert energy([-np.pi / 6, 0.05]) > energy([-np.pi / 6, 0.01]) > 0


def test_any_environment_can_be_shaped():
    env = envs.PotentialShaping(envs.make("CartPole-v1"), lambda observation: -abs(float(observation[0])), 0.9)
    before, _ = env.reset(seed=0)
    after, reward, *_, info = env.step(1)
    assert info["unshaped_reward"] == 1.0
    assert reward == pytest.approx(1 - 0.9 * abs(after[0]) + abs(before[0]))


@pytest.mark.parametrize(
    ("settings", "message"), [({"discount": 1.1}, "between 0 and 1"), ({"weight": -1.0}, "least 0")]
)
def test_settings_that_shape_nothing_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        envs.make(SHAPED, **settings)
