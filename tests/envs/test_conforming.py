import warnings

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple

from lukasa.envs import ObservationError, conform

VECTOR = Box(-1.0, 1.0, (3,), np.float32)
INSIDE = [
    (VECTOR, [0, 0.5, 1], np.array([0, 0.5, 1], np.float32)),
    (VECTOR, (0, 0.5, 1), np.array([0, 0.5, 1], np.float32)),
    (VECTOR, np.array([0, 0.5, 7.0]), np.array([0, 0.5, 7], np.float32)),
    (VECTOR, torch.tensor([0, 0.5, 1]), np.array([0, 0.5, 1], np.float32)),
    (VECTOR, np.array([[0, 0.5, 1]]), np.array([0, 0.5, 1], np.float32)),
    (Box(-1.0, 1.0, ()), 0.5, np.array(0.5, np.float32)),
    (Box(-1.0, 1.0, (1,)), 0.5, np.array([0.5], np.float32)),
    (Box(0, 255, (2,), np.uint8), [3.0, 4.0], np.array([3, 4], np.uint8)),
    (Discrete(4), 3, np.int64(3)),
    (Discrete(4), np.array(3), np.int64(3)),
    (Discrete(4), np.array([3], np.uint8), np.int64(3)),
    (Discrete(4), 3.0, np.int64(3)),
    (Discrete(2), True, np.int64(1)),
    (Discrete(4, start=-2), -2, np.int64(-2)),
    (MultiDiscrete([2, 3]), [1, 2], np.array([1, 2])),
    (MultiBinary(3), [True, False, 1], np.array([1, 0, 1], np.int8)),
]


@pytest.mark.parametrize(("space", "value", "expected"), INSIDE, ids=lambda one: " ".join(str(one).split()))
def test_values_take_the_form_of_their_space(space, value, expected):
    found = conform(space, value)
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)
    assert found.shape == space.shape


def test_parts_come_in_the_order_of_the_space_and_others_are_left_out():
    space = Dict(a=Discrete(2), b=Tuple([Discrete(3), VECTOR]), c=Text(4))
    found = conform(space, {"more": 1, "c": "word", "b": [2, [0, 0, 0]], "a": 1})
    assert list(found) == ["a", "b", "c"]
    assert isinstance(found["b"], tuple)
    assert found in space


@pytest.mark.parametrize(
    ("space", "value", "expected"),
    [
        (VECTOR, [0.0, 1.0], r"expects shape \(3,\), and its shape is \(2,\)"),
        (VECTOR, None, "expects numbers of shape"),
        (VECTOR, [[0.0], [1.0, 2.0]], "expects numbers of shape"),
        (VECTOR, ["a", "b", "c"], "expects numbers of shape"),
        (Box(0, 255, (2,), np.uint8), [0.5, 1], "expects whole numbers that uint8 can hold"),
        (Box(0, 255, (2,), np.uint8), [-1, 300], "expects whole numbers that uint8 can hold"),
        (Discrete(3, start=1), 4, "expects a whole number from 1 to 3"),
        (Discrete(3), 0.5, "expects whole numbers"),
        (MultiDiscrete([2, 3]), [1, 3], "expects each number within its range"),
        (Dict(a=Discrete(2), b=Discrete(2)), {"a": 1}, "expects a dict with 'a', 'b'"),
        (Dict(a=Tuple([VECTOR])), {"a": [[0.0]]}, r"observation at \['a'\]\[0\] is \[0.0\]"),
        (Tuple([Discrete(2)]), (1, 1), "expects a tuple of 1"),
    ],
    ids=str,
)
def test_values_that_are_none_of_the_space_are_refused_in_one_sentence(space, value, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ObservationError, match=expected) as refusal:
            conform(space, value)
    assert "\n" not in str(refusal.value)


def test_made_environments_conform_alone_and_side_by_side():
    class Lists(gym.Env):
        observation_space, action_space = Tuple([VECTOR, Discrete(2)]), Discrete(2)

        def reset(self, *, seed=None, options=None):
            return [[0, 0, 1], np.array([1])], {}

        def step(self, action):
            return [[0, 1, 0], 0], 0.0, False, False, {}

    from lukasa import envs

    gym.register("Lists-v0", entry_point=Lists)
    try:
        env, many = envs.make("Lists-v0"), envs.make_vec("Lists-v0", 2)
        assert env.reset()[0] in env.observation_space
        assert env.step(0)[0] in env.observation_space
        assert many.reset()[0] in many.observation_space
    finally:
        del gym.registry["Lists-v0"]
