"""Agents of every space play from their file as they did in RLlib, alone and side by side."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple

from lukasa.agents.policy.actions import ActionLayout
from lukasa.agents.portable.space_records import from_record, to_record
from lukasa.agents.rllib import rollout
from tests.agents.portable.playing import Drawn, agent_module, episode, exported, same

REALS = Box(-np.inf, np.inf, (3,), np.float32)
OBSERVED = [
    Box(np.array([-1, 0, -12], np.float32), np.array([1, 1, 12], np.float32)),
    Box(-5, 5, (), np.float64),
    Box(0, 255, (12, 12, 3), np.uint8),
    Box(0, 2**62, (2,), np.uint64),
    Discrete(4, start=-2),
    MultiDiscrete([[2, 3], [4, 2]], start=[[0, -3], [5, 1]]),
    MultiBinary((2, 2)),
    Tuple([Discrete(3), Tuple([REALS, MultiBinary(2)])]),
    Dict(where=Box(-1.0, 1.0, (2,), np.float32), inside=Dict(what=Discrete(3), far=REALS)),
]
TAKEN = [
    Discrete(5),
    Discrete(3, start=7),
    MultiDiscrete([3, 4]),
    MultiDiscrete([[2, 3], [2, 2]], start=[[1, 0], [0, 5]]),
    MultiBinary(3),
    Box(-2.0, 5.0, (2,), np.float32),
    Box(-2.0, 5.0, (2,), np.float64),
    Box(-np.inf, np.inf, (2,), np.float64),
    Box(0, 100, (2, 2), np.int16),
    Box(0, 2**64 - 1, (1,), np.uint64),
    Tuple([Discrete(3), Box(-1.0, 1.0, ())]),
    Dict(gear=Discrete(3, start=-1), lights=Tuple([MultiBinary(2), MultiDiscrete([2, 3])])),
]
PAIRS = [(one, Discrete(3)) for one in OBSERVED] + [(REALS, one) for one in TAKEN]


@pytest.mark.parametrize(("observed", "taken"), PAIRS, ids=lambda space: str(space)[:40])
def test_every_space_plays_as_in_rllib(observed, taken, tmp_path):
    settings = {"previous_action": True, "normalize_observations": True}
    module = agent_module(observed, taken, **settings)
    agent, env = exported(module, tmp_path / "agent.lukasa"), Drawn(observed, taken)
    (expected,) = rollout(module, env, 1, seed=2)
    actions, rewards = episode(agent, env, 2)
    for step, action in enumerate(actions):
        assert same(action, at(expected.actions, step))
    assert rewards == list(expected.rewards)
    agent.explore = True
    actions, _ = agent.act([env.observation_space.sample() for _ in range(50)], agent.begin(50))
    assert all(at(actions, row) in taken for row in range(50))


def at(actions, step):
    if isinstance(actions, dict):
        return {name: at(one, step) for name, one in actions.items()}
    return tuple(at(one, step) for one in actions) if isinstance(actions, tuple) else actions[step]


@pytest.mark.parametrize("space", [*OBSERVED, *TAKEN], ids=lambda space: str(space)[:40])
def test_spaces_survive_their_records(space):
    again = from_record(to_record(space))
    assert to_record(again) == to_record(space)
    assert ActionLayout(again).options == ActionLayout(space).options
    assert same(ActionLayout(again).decode(layout_zeros(space)), ActionLayout(space).decode(layout_zeros(space)))


def layout_zeros(space):
    layout = ActionLayout(space)
    return np.zeros(len(layout.options) + layout.numbers)


def test_batches_and_lists_of_observations_are_the_same(tmp_path):
    space = OBSERVED[-1]
    agent = exported(agent_module(space, Discrete(9)), tmp_path / "agent.lukasa")
    space.seed(0)
    each = [space.sample() for _ in range(6)]
    batch = {
        "where": np.stack([one["where"] for one in each]),
        "inside": {name: np.stack([one["inside"][name] for one in each]) for name in ("what", "far")},
    }
    listed, _ = agent.act(each, agent.begin(6))
    batched, _ = agent.act(batch, [None] * 6)
    single = [agent.act(one)[0] for one in each]
    assert list(listed) == list(batched) == single
    assert len(set(single)) > 1
