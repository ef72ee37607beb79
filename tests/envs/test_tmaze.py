import gymnasium as gym
import numpy as np
import pytest

from lukasa.envs import TMaze
from lukasa.envs.tmaze import EAST, NORTH, SOUTH, WEST


def walk(env, actions):
    """Step through the actions: list of (observation, reward, terminated, truncated, info)."""
    return [env.step(action) for action in actions]


def play(env, policy, episodes):
    """(return, success, steps) of whole episodes under policy(env)."""
    results = []
    for episode in range(episodes):
        env.reset(seed=episode)
        total, steps, over, info = 0.0, 0, False, {}
        while not over:
            _, reward, terminated, truncated, info = env.step(policy(env))
            total, steps, over = total + reward, steps + 1, terminated or truncated
        results.append((total, info["success"], steps))
    return results


def test_first_observation_tells_the_cue():
    env = TMaze(corridor=3)
    seen = set()
    for seed in range(20):
        observation, _ = env.reset(seed=seed)
        assert observation.tolist() == ([1, 0, 1, 0] if env.cue_is_up else [0, 1, 1, 0])
        seen.add(env.cue_is_up)
    assert seen == {True, False}


def test_corridor_and_junction_look_the_same_whatever_the_cue():
    env = TMaze(corridor=3)
    for seed in range(6):
        env.reset(seed=seed)
        observations = [step[0].tolist() for step in walk(env, [EAST] * 4)]
        assert observations == [[0, 0, 1, 0]] * 3 + [[0, 0, 0, 1]]


def test_back_in_the_start_cell_the_cue_is_not_shown_again():
    env = TMaze(corridor=3)
    env.reset(seed=0)
    assert walk(env, [EAST, WEST])[-1][0].tolist() == [0, 0, 1, 0]
    env.reset(seed=0)
    assert walk(env, [NORTH])[-1][0].tolist() == [0, 0, 1, 0]


def test_arm_shows_nothing():
    env = TMaze(corridor=1)
    env.reset(seed=0)
    assert walk(env, [EAST, EAST, NORTH])[-1][0].tolist() == [0, 0, 0, 0]


def test_arm_of_the_cue_earns_1_and_the_other_0():
    env = TMaze(corridor=2)
    for seed in range(6):
        for arm in (NORTH, SOUTH):
            env.reset(seed=seed)
            right = (arm == NORTH) == env.cue_is_up
            _, reward, terminated, truncated, info = walk(env, [EAST] * 3 + [arm])[-1]
            assert (reward, terminated, truncated, info) == (float(right), True, False, {"success": right})


def test_steps_that_reach_no_new_cell_cost_one_corridorth():
    env = TMaze(corridor=4, step_limit=50)
    env.reset(seed=0)
    costs = {action: -0.25 for action in (NORTH, SOUTH, WEST)}
    assert [env.step(action)[1] for action in costs] == list(costs.values())  # bumps in the start cell
    assert [step[1] for step in walk(env, [EAST, EAST, WEST, EAST, EAST])] == [0, 0, -0.25, -0.25, 0]
    assert [step[1] for step in walk(env, [EAST, EAST, EAST, WEST, EAST])] == [0, 0, -0.25, -0.25, -0.25]


def test_oracle_earns_1_in_the_fewest_steps():
    assert play(TMaze(), lambda env: env.oracle(), 5) == [(1.0, True, 52)] * 5


def test_oracle_of_the_previous_episode_earns_chance():
    env, cues = TMaze(corridor=3), [False]

    def policy(env):
        if env._time == 0:
            cues.append(env.cue_is_up)
        return (NORTH if cues[-2] else SOUTH) if env.at_junction else EAST

    results = play(env, policy, 400)
    assert np.mean([success for _, success, _ in results]) == pytest.approx(0.5, abs=0.1)  # four standard errors


def test_oracle_one_step_late_bumps_once_and_succeeds():
    # The choice comes one step after the junction is reached, which costs one bump and nothing else.
    env = TMaze(corridor=10)
    late = play(env, lambda env: env.oracle() if env._time > 11 else EAST, 5)
    assert [success for _, success, _ in late] == [True] * 5
    assert [total for total, _, _ in late] == pytest.approx([0.9] * 5)


def test_truncates_at_twice_the_fewest_steps_without_success():
    results = play(TMaze(), lambda env: WEST, 2)
    assert [(success, steps) for _, success, steps in results] == [(False, 104)] * 2
    assert results[0][0] == pytest.approx(-104 / 50)


def test_step_limit_is_an_option_and_entering_an_arm_at_the_limit_terminates():
    env = TMaze(corridor=2, step_limit=4)
    env.reset(seed=0)
    *_, last = walk(env, [EAST] * 3 + [NORTH if env.cue_is_up else SOUTH])
    assert (last[2], last[3]) == (True, False)
    env.reset(seed=0)
    *before, last = walk(env, [EAST] * 4)
    assert (last[2], last[3], last[4]) == (False, True, {"success": False})
    assert all(info == {} for *_, info in before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"corridor": 0}, "corridor is 0, expected a whole number of at least 1"),
        ({"corridor": 1.5}, "corridor is 1.5, expected a whole number"),
        ({"corridor": 10, "step_limit": 11}, "step_limit is 11, expected a whole number of at least 12"),
    ],
)
def test_setting_out_of_range_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        gym.make("TMaze-L50-v0", **settings)
    with pytest.raises(ValueError, match=message):
        gym.make_vec("TMaze-L50-v0", num_envs=2, **settings)


def test_step_after_the_end_asks_for_reset():
    env = TMaze(corridor=1)
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(EAST)
    env.reset(seed=0)
    walk(env, [EAST, EAST, NORTH])
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(EAST)


def test_action_that_is_no_direction_is_refused():
    env = TMaze()
    env.reset(seed=0)
    with pytest.raises(ValueError, match="action 4 is not 0"):
        env.step(4)
