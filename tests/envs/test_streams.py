"""Streams of episodes: the same seed gives the same data, and no two of seed, runner, copy and sitting coincide."""

import itertools
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from lukasa import envs

VECTOR_PROGRAMS = ["Bandit-N10-K5-v0", "TabularMDP-N10-v0", "RepeatPrevious-k4-v0", "TMaze-L50-v0"]


class OldGenerator(gym.Env[np.ndarray, int]):
    """Draws from NumPy's old generator, which refuses seeds of more than 32 bits."""

    def __init__(self) -> None:
        self.observation_space, self.action_space = Box(0, 1, (2,), np.float64), Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        if seed is not None:
            self._random = np.random.RandomState(seed)
        return self._random.uniform(size=2), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        return self._random.uniform(size=2), 0.0, False, False, {}


gym.register("OldGenerator-v0", OldGenerator)


class Counting(gym.vector.VectorEnv):
    """A vector program that takes one seed, as programs of others may."""

    def __init__(self, num_envs: int = 1) -> None:
        self.num_envs, self.seeds = num_envs, []
        self.single_observation_space, self.single_action_space = Box(0, 1, (1,)), Discrete(2)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, num_envs)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)
        self.metadata = {"autoreset_mode": gym.vector.AutoresetMode.NEXT_STEP}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        assert seed is None or isinstance(seed, int)
        self.seeds.append(seed)
        return np.zeros((self.num_envs, 1), np.float32), {}


gym.register("Counting-v0", lambda: None, vector_entry_point=Counting)


def test_streams_of_seeds_sittings_runners_and_copies_are_pairwise_different():
    seeds = [
        seed
        for user, sitting, runner in itertools.product(range(40), (0, 1, 2, 3000, 6000), range(8))
        for seed in envs.copy_seeds(user, 32, sitting, runner, 0, 0)
    ]
    seeds += [seed for user in range(40) for seed in envs.copy_seeds(user, 32)]
    seeds += [envs.stream_seed(user, episode) for user in (0, 1, 2, 1_000_000) for episode in range(100, 1000)]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 0
    assert max(seeds) < 1 << 63


def test_copys_stream_does_not_depend_on_how_many_copies_there_are():
    assert envs.copy_seeds(3, 4, 1, 2) == envs.copy_seeds(3, 9, 1, 2)[:4]
    assert envs.copy_seeds(3, 1, 1, 2) == [envs.stream_seed(3, 1, 2, 0)]


@pytest.mark.parametrize("env_id", [*VECTOR_PROGRAMS, "CartPole-v1", "Acrobot-v1", "OldGenerator-v0"])
def test_no_copy_of_neighbouring_seeds_plays_the_same_episodes(env_id):
    def play(seed):
        env = envs.make_vec(env_id, 8)
        still = np.zeros(8, dtype=int)
        seen = [env.reset(seed=seed)[0]] + [np.append(*map(np.ravel, env.step(still)[:2])) for _ in range(40)]
        first, rest = seen[0].reshape(8, -1), [part.reshape(-1, 8) for part in (step[-8:] for step in seen[1:])]
        return np.concatenate([first, np.concatenate(rest).T], 1), seen

    for left, right in zip(play(5)[1], play(5)[1], strict=True):
        np.testing.assert_array_equal(left, right)  # the same seed
    if env_id in ("CartPole-v1", "Acrobot-v1", "OldGenerator-v0"):
        rows = np.concatenate([play(seed)[0] for seed in range(4)])
        assert len(np.unique(rows, axis=0)) == 4 * 8


@pytest.mark.parametrize("env_id", VECTOR_PROGRAMS)
def test_copies_of_vector_programs_draw_from_streams_of_their_own(env_id):
    drawn = []
    for seed in range(4):
        env = envs.make_vec(env_id, 9)
        env.reset(seed=seed)
        drawn += [env._generators[row].bit_generator.state["state"]["state"] for row in range(9)]
    assert len(set(drawn)) == 4 * 9


@pytest.mark.parametrize("env_id", [*VECTOR_PROGRAMS, "Acrobot-v1"])
def test_copy_of_a_vector_equals_one_environment_with_its_seed(env_id):
    copies, _ = envs.make_vec(env_id, 3).reset(seed=7)
    for row, seed in enumerate(envs.copy_seeds(7, 3)):
        np.testing.assert_array_equal(copies[row], envs.make(env_id).reset(seed=seed)[0])


def test_one_environment_keeps_the_seed_that_it_is_given():
    ours, theirs = envs.make("CartPole-v1"), gym.make("CartPole-v1")
    np.testing.assert_array_equal(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])


def test_environment_that_refuses_long_seeds_gets_their_upper_bits():
    first, again = (envs.reset_seeded(envs.make("OldGenerator-v0"), envs.stream_seed(2, 1))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other, _ = envs.reset_seeded(envs.make("OldGenerator-v0"), envs.stream_seed(2, 2))
    assert not np.array_equal(first, other)


def test_program_of_others_gets_one_seed_far_from_its_neighbours():
    env = envs.make_vec("Counting-v0", 4)
    for seed in (0, 1, None):
        env.reset(seed=seed)
    first, second, third = env.unwrapped.seeds
    assert abs(first - second) > 1000
    assert third is None


def test_environment_that_fails_whatever_the_seed_says_so():
    class Broken(OldGenerator):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            raise ValueError("the simulator did not start")

    with pytest.raises(ValueError, match="did not start"):
        envs.reset_seeded(Broken(), 1 << 62)
