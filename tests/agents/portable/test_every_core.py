"""An agent plays from its file as it did in RLlib, with every core."""

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, Tuple

from lukasa import memory
from lukasa.agents.rllib import rollout
from tests.agents.portable.playing import Drawn, agent_module, episode, exported, same
from tests.memory.core_rows import ROWS

SEEN = Box(-np.inf, np.inf, (3,), np.float32)
SPACES = SEEN, Tuple([Discrete(5), Box(-np.inf, np.inf, (2,), np.float32)])
FIRST = {row.core: row.options for row in reversed(ROWS.values())}


def test_the_table_has_every_core():
    assert FIRST.keys() == memory.CORES.keys()


@pytest.mark.parametrize("core", memory.CORES)
def test_every_core_acts_from_its_file_as_in_rllib(core, tmp_path):
    settings = {"previous_action": True, "previous_reward": True, "normalize_observations": True}
    module = agent_module(*SPACES, core, FIRST[core], **settings)
    agent = exported(module, tmp_path / "agent.lukasa")
    env = Drawn(*SPACES, length=12)
    expected = rollout(module, env, 2, seed=3)
    for number, one in enumerate(expected):
        actions, rewards = episode(agent, env, 3, number)
        choices, numbers = zip(*actions, strict=True)
        assert np.array_equal(choices, one.actions[0])
        np.testing.assert_allclose(numbers, one.actions[1], rtol=1e-5, atol=1e-6)
        assert len(np.unique(numbers)) > len(numbers)
        assert rewards == list(one.rewards)


@pytest.mark.parametrize("core", memory.CORES)
def test_sessions_of_every_core_are_saved_mixed_and_wiped_apart(core, tmp_path):
    module = agent_module(SEEN, Discrete(5), core, FIRST[core], previous_action=True)
    agent = exported(module, tmp_path / "agent.lukasa", explore=True, seed=1)
    shown = np.random.default_rng(0).normal(size=(10, 4, 3)).astype(np.float32)
    alone = [episode_of(agent, shown[:, row]) for row in range(4)]
    fresh = exported(module, tmp_path / "agent.lukasa", explore=True, seed=1)
    sessions, found = fresh.begin(4), []
    for step, observations in enumerate(shown):
        if step == 3:  # through a file, and in another order
            sessions.save(tmp_path / "sessions")
            sessions = fresh.restore(tmp_path / "sessions")
        if step == 5:  # one by one through bytes, and together again
            sessions = [fresh.restore(one.to_bytes()) for one in sessions]
        if step == 7:  # two and two
            halves = [sessions[[2, 0]], sessions[[1, 3]]]
            (first, one), (second, other) = [
                fresh.act(observations[rows], half) for rows, half in zip(([2, 0], [1, 3]), halves, strict=True)
            ]
            actions, sessions = (
                np.array([first[1], second[0], first[0], second[1]]),
                [one[1], other[0], one[0], other[1]],
            )
        else:
            actions, sessions = fresh.act(observations, sessions)
        found.append(actions)
    assert np.array_equal(np.stack(found, 1), alone)
    if agent.sparse or not list(memory.state_parts(agent.core)):
        return
    begun = fresh.begin(2)
    _, later = fresh.act(shown[0, :2], begun)
    assert same(fresh.act(shown[1, :2], later)[0], fresh.act(shown[1, :2], later)[0])


def episode_of(agent, observations):
    session, actions = None, []
    for observation in observations:
        action, session = agent.act(observation, session)
        actions.append(action)
    return actions
