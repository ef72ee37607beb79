"""Every environment of our own through the same checks."""

import copy
import pickle
import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import MultiDiscrete
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

from lukasa import envs

OWN = [environment.id for environment in envs.ENVIRONMENTS.values() if not environment.extra]

# Where chance pays, the best is a mean over trials; test_players.py measures it.
# What a goal pays is never more than nothing; test_goals.py plays for them.
CERTAIN = [env_id for env_id in OWN if not env_id.startswith(("Bandit-", "TabularMDP-", "BitFlipping-", "Reach-"))]

# Short episodes, so that every copy starts over several times.
SHORT = {
    "RepeatPrevious-k4-v0": {"k": 2, "symbols": 3, "length": 6},
    "TMaze-L50-v0": {"corridor": 2, "step_limit": 7},
    "IMaze-v0": {"lengths": [1, 2], "step_limit": 7},
    "PatternMatching-v0": {"patterns": "test", "corridor": 3, "position": True, "step_limit": 7},
    "GoalSearch-S7-11-v0": {"sizes": 7, "count": 2, "position": True, "step_limit": 7},
    "BitFlipping-N10-v0": {"bits": 3},
    "KeyDoor-S4-v0": {"size": 2, "step_limit": 7},
    "TapeCopy-L10-v0": {"length": 3, "symbols": 2},
    "TapeForwardReverse-L10-v0": {"length": 2, "symbols": 2},
    "TapeAddition-R3-L5-v0": {"length": 1},
    "Bandit-N10-K5-v0": {"pulls": 4, "arms": 3},
    "TabularMDP-N10-v0": {"episodes": 2, "horizon": 3, "states": 4, "actions": 2},
}


def episode(env, seed=None, rng=None):
    """One episode as a list of (observation, reward, terminated, truncated); oracle actions unless an rng is given."""
    observation, _ = env.reset(seed=seed)
    steps, over = [(observation, 0.0, False, False)], False
    while not over:
        action = env.unwrapped.oracle() if rng is None else drawn(env.action_space, rng)
        steps.append(env.step(action)[:4])
        over = steps[-1][2] or steps[-1][3]
    return steps


def drawn(space, rng, copies=None):
    """An action at random, or one for each of several copies."""
    if isinstance(space, MultiDiscrete):
        return rng.integers(space.nvec, size=None if copies is None else (copies, len(space.nvec)))
    return int(rng.integers(space.n)) if copies is None else rng.integers(space.n, size=copies)


def assert_same(left, right):
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        for x, y in zip(a, b, strict=True):
            assert_equal(np.asarray(x), np.asarray(y)) if not isinstance(x, dict) else assert_equal(x, y)


def assert_equal(left, right):
    """Arrays of the same numbers and dtype, or dicts of them."""
    parts = [(left[name], right[name]) for name in left | right] if isinstance(left, dict) else [(left, right)]
    for x, y in parts:
        np.testing.assert_array_equal(x, y)
        assert x.dtype == y.dtype


@pytest.mark.parametrize("env_id", OWN)
def test_gymnasium_checker_passes_without_a_warning(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(env_id).unwrapped)


@pytest.mark.parametrize("env_id", CERTAIN)
def test_oracle_earns_the_listed_best(env_id):
    env = gym.make(env_id)
    total = sum(step[1] for step in episode(env, seed=0))
    assert total == pytest.approx(1.0)
    assert envs.episode_score(env_id, total, {}) == pytest.approx(envs.ENVIRONMENTS[env_id].best)


@pytest.mark.parametrize("env_id", OWN)
def test_same_seed_gives_the_same_episodes(env_id):
    first, second = gym.make(env_id), gym.make(env_id)
    assert_same(episode(first, 7, np.random.default_rng(0)), episode(second, 7, np.random.default_rng(0)))
    assert_same(episode(first), episode(second))  # and the episode after, unseeded


@pytest.mark.parametrize("env_id", SHORT)
def test_vector_version_equals_sync_vector_env(env_id):
    # 60 steps over episodes of at most 7: ends by termination, by truncation and several at once.
    vector = gym.make_vec(env_id, num_envs=5, vectorization_mode="vector_entry_point", **SHORT[env_id])
    single = gym.make_vec(env_id, num_envs=5, vectorization_mode="sync", **SHORT[env_id])
    assert type(vector) is not type(single)
    assert vector.observation_space == single.observation_space
    assert vector.action_space == single.action_space
    assert_equal(vector.reset(seed=11)[0], single.reset(seed=envs.copy_seeds(11, 5))[0])
    rng, ends = np.random.default_rng(0), 0
    for _ in range(60):
        # Mostly east, so that in the maze both arms and the step limit are reached.
        actions = drawn(vector.single_action_space, rng, 5)
        if actions.ndim == 1:
            actions = np.where(rng.random(5) < 0.6, 1, actions)
        *left, left_info = vector.step(actions)
        *right, right_info = single.step(actions)
        for x, y in zip(left, right, strict=True):
            assert_equal(x, y)
        assert sorted(left_info) == sorted(right_info)
        for key in left_info:
            np.testing.assert_array_equal(left_info[key], right_info[key])
            assert left_info[key].dtype == right_info[key].dtype
        ends += int((left[2] | left[3]).sum())
    assert ends > 30


@pytest.mark.parametrize("env_id", OWN)
def test_vector_version_gives_the_same_data_for_the_same_seed(env_id):
    def run(copies):
        env = envs.make_vec(env_id, copies)
        rng = np.random.default_rng(0)
        actions = rng.integers(4, size=(150, 4))[:, :copies]
        if isinstance(env.unwrapped.single_action_space, MultiDiscrete):
            actions = np.stack([drawn(env.unwrapped.single_action_space, rng, 4)[:copies] for _ in range(150)])
        observations = [env.reset(seed=5)[0]] + [env.step(action)[0] for action in actions]
        parts = zip(*(one.values() if isinstance(one, dict) else (one,) for one in observations), strict=True)
        return np.concatenate([np.stack(part)[:, :3].reshape(151, 3, -1) for part in parts], -1)

    np.testing.assert_array_equal(run(3), run(3))
    np.testing.assert_array_equal(run(4), run(3))  # whatever the number of copies


def test_vector_reset_without_a_seed_goes_on_with_the_same_generators():
    vector = gym.make_vec("RepeatPrevious-k4-v0", num_envs=3)
    single = gym.make_vec("RepeatPrevious-k4-v0", num_envs=3, vectorization_mode="sync")
    for seed in ([1, 2, 3], None, [4, None, 9], None):
        vector.reset(seed=seed)
        single.reset(seed=seed)
        for _ in range(20):
            actions = np.zeros(3, dtype=int)
            np.testing.assert_array_equal(vector.step(actions)[0], single.step(actions)[0])


def test_vector_reset_refuses_too_few_seeds():
    env = gym.make_vec("TMaze-L50-v0", num_envs=3)
    with pytest.raises(ValueError, match="2 seeds for 3 environments"):
        env.reset(seed=[1, 2])


@pytest.mark.parametrize("env_id", SHORT)
@pytest.mark.parametrize("actions", [np.array([0, 1]), np.array([0, 1, 99])])
def test_vector_step_refuses_a_wrong_number_of_actions_or_an_unknown_one(env_id, actions):
    env = envs.make_vec(env_id, 3)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="expected 3 actions"):
        env.step(actions)


@pytest.mark.parametrize("env_id", OWN)
def test_vector_version_declares_next_step_autoreset(env_id):
    assert envs.make_vec(env_id, 2).metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


@pytest.mark.parametrize("env_id", SHORT)
def test_observations_handed_out_do_not_change_later(env_id):
    env = envs.make_vec(env_id, 4, **SHORT[env_id])
    first, _ = env.reset(seed=0)
    ones = np.ones(np.shape(env.action_space.sample()), dtype=int)
    second, rewards, terminated, truncated, _ = env.step(ones)
    kept = copy.deepcopy((first, second, rewards, terminated, truncated))
    for _ in range(12):
        env.step(ones)
    for then, now in zip(kept, (first, second, rewards, terminated, truncated), strict=True):
        assert_equal(then, now)


@pytest.mark.parametrize("env_id", OWN)
def test_spec_survives_pickling(env_id):
    spec = pickle.loads(pickle.dumps(gym.spec(env_id)))
    assert gym.make(spec).reset(seed=0) is not None


def test_listed_settings_are_those_in_the_id():
    assert gym.make("RepeatPrevious-k32-v0").unwrapped.k == 32
    assert gym.make("TMaze-L500-v0").unwrapped.corridor == 500
    env = gym.make("RepeatPrevious-k4-v0", k=7, symbols=5, length=51).unwrapped
    assert (env.k, env.symbols, env.length) == (7, 5, 51)


def test_import_needs_gymnasium_and_numpy_only():
    program = (
        "import sys\nfrom lukasa import envs\n"
        "others = {'torch', 'ray', 'popgym', 'minigrid', 'lukasa.memory', 'lukasa.agents', 'lukasa.launch'}\n"
        "others &= set(sys.modules)\n"
        "assert not others, others"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
