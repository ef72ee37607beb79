import gymnasium as gym
import numpy as np
import pytest

from lukasa.envs import RepeatPrevious


def play(env, policy, episodes, seed=0):
    """Returns of whole episodes under policy(env, observation)."""
    returns = []
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed + episode)
        total, over = 0.0, False
        while not over:
            observation, reward, terminated, truncated, _ = env.step(policy(env, observation))
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    return returns


def test_with_k_1_the_answer_is_the_previous_symbol():
    env = RepeatPrevious(k=1, symbols=4, length=30)
    shown, _ = env.reset(seed=0)
    _, reward, *_ = env.step(shown)
    assert reward == 0.0  # step 0 has nothing to repeat
    previous, over = shown, False
    shown = int(env._shown[1])
    while not over:
        asked = previous
        previous = shown
        shown, reward, over, _, _ = env.step(asked)
        assert reward == pytest.approx(1 / 29)


def test_answer_is_the_symbol_observed_k_steps_ago():
    k, length = 3, 20
    env = RepeatPrevious(k=k, symbols=5, length=length)
    history = [env.reset(seed=3)[0]]
    for time in range(length):
        answer = history[time - k] if time >= k else 0
        observation, reward, *_ = env.step(answer)
        assert reward == (pytest.approx(1 / (length - k)) if time >= k else 0.0)
        history.append(observation)


@pytest.mark.parametrize("settings", [{}, {"k": 1, "length": 5}, {"k": 9, "symbols": 2, "length": 40}])
def test_oracle_earns_1(settings):
    assert play(RepeatPrevious(**settings), lambda env, _: env.oracle(), 5) == pytest.approx([1.0] * 5)


def test_always_wrong_earns_minus_1():
    wrong = play(RepeatPrevious(), lambda env, _: (env.oracle() + 1) % 4, 5)
    assert wrong == pytest.approx([-1.0] * 5)


@pytest.mark.parametrize("off", [-1, 1])
def test_oracle_one_step_off_earns_chance(off):
    env = RepeatPrevious(k=4, length=54)
    returns = play(env, lambda env, _: env.symbol_shown(env.k + off) or 0, 100)
    assert np.mean(returns) == pytest.approx(-0.5, abs=0.05)  # four standard errors of 5000 answers


@pytest.mark.parametrize("symbols", [2, 4, 8])
def test_repeating_the_symbol_on_show_earns_chance(symbols):
    env = RepeatPrevious(k=4, symbols=symbols, length=54)
    returns = play(env, lambda _, observation: observation, 100)
    assert np.mean(returns) == pytest.approx(2 / symbols - 1, abs=0.06)


def test_episode_has_length_steps_and_terminates():
    env = RepeatPrevious(length=7)
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(7)]
    assert ends == [(False, False)] * 6 + [(True, False)]


def test_episodes_of_one_generator_differ():
    env = RepeatPrevious()
    env.reset(seed=0)
    first = env._shown.copy()
    env.reset()
    assert not np.array_equal(first, env._shown)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k is 0, expected a whole number of at least 1"),
        ({"k": 2.5}, "k is 2.5, expected a whole number"),
        ({"k": True}, "k is True, expected a whole number"),
        ({"symbols": 1}, "symbols is 1, expected a whole number of at least 2"),
        ({"length": "52"}, "length is '52', expected a whole number"),
        ({"k": 4, "length": 4}, "length is 4 and k is 4, so no step would be scored; choose a length of at least 5"),
    ],
)
def test_setting_out_of_range_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        gym.make("RepeatPrevious-k4-v0", **settings)
    with pytest.raises(ValueError, match=message):
        gym.make_vec("RepeatPrevious-k4-v0", num_envs=2, **settings)


def test_step_after_the_end_asks_for_reset():
    env = RepeatPrevious(length=5)
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(0)


@pytest.mark.parametrize("action", [4, -1, 0.5])
def test_action_that_is_no_symbol_is_refused(action):
    env = RepeatPrevious()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="is not a whole number from 0 to 3"):
        env.step(action)
