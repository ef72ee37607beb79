"""The position that an environment knows, shown beside its observation."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from lukasa import envs


def test_position_of_a_minigrid_is_row_and_column_over_its_size():
    env = envs.AddPosition(envs.make("MiniGrid-MemoryS7-v0"))
    observation, _ = env.reset(seed=0)
    grid = env.unwrapped
    for action in (2, 1, 2, 0, 2):
        column, row = grid.agent_pos
        expected = [(row + 0.5) / grid.width, (column + 0.5) / grid.width]
        np.testing.assert_allclose(observation["position"], expected, rtol=1e-6)
        assert observation in env.observation_space
        observation = env.step(action)[0]


def test_parts_of_a_dict_stay_beside_the_position():
    inner = envs.make("CliffWalking-v1")
    shown = gym.wrappers.TransformObservation(
        inner, lambda seen: {"state": seen}, gym.spaces.Dict({"state": inner.observation_space})
    )
    env = envs.AddPosition(shown, lambda cliff: divmod(int(cliff.s), 12), field=12)
    observation, _ = env.reset(seed=0)
    assert set(observation) == set(env.observation_space) == {"state", "position"}
    np.testing.assert_allclose(env.step(0)[0]["position"], [2.5 / 12, 0.5 / 12], rtol=1e-6)


@pytest.mark.parametrize(
    ("env_id", "settings", "message"),
    [
        ("CliffWalking-v1", {}, "CliffWalkingEnv has no agent_pos: give where="),
        ("CliffWalking-v1", {"where": lambda env: (0, 0)}, "has no height and width: give field="),
        (
            "CliffWalking-v1",
            {"where": lambda env: (0, 0), "field": 0},
            "field is 0, expected a whole number of at least 1",
        ),
    ],
)
def test_what_nobody_says_is_asked_for(env_id, settings, message):
    with pytest.raises(ValueError, match=message):
        envs.AddPosition(envs.make(env_id), **settings)


def test_second_position_is_refused():
    env = envs.make("IMaze-v0", position=True)
    with pytest.raises(ValueError, match="IMaze have a part 'position' already"):
        envs.AddPosition(env, lambda env: (0, 0), field=9)
