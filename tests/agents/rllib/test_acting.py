"""Acting step by step is what ``rollout`` does, in whatever program the steps happen."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete

from lukasa import envs
from lukasa.agents.rllib import MemoryRLModule, MemorySettings, RLAgent, rollout
from lukasa.agents.rllib.acting import KEPT_STEPS
from tests.agents.portable.playing import Drawn

OPTIONS = {
    "gru": {"size": 16},
    "ntm": {"slots": 8, "word_size": 4, "controller_size": 16},
    "sam": {"slots": 64, "word_size": 4, "heads": 1, "controller_size": 16},
}


def make_module(env, core="gru", **settings):
    torch.manual_seed(0)
    config = MemorySettings(core=core, core_options=OPTIONS[core], **settings).to_dict()
    module = MemoryRLModule(
        observation_space=env.observation_space,
        action_space=env.action_space,
        model_config={**config, "max_seq_len": 9},
    )
    torch.nn.init.normal_(module.policy_head.weight, std=2.0)  # so that what it sees decides
    return module


def play(agent, env, seed):
    """One episode as a program of one's own would play it."""
    agent.reset()
    observation, _ = env.reset(seed=seed)
    actions, reward, done = [], None, False
    while not done:
        actions.append(agent.act(observation, reward))
        observation, reward, terminated, truncated, _ = env.step(actions[-1])
        done = terminated or truncated
    return np.array(actions)


@pytest.mark.parametrize("core", OPTIONS)
@pytest.mark.parametrize("explore", [False, True])
def test_steps_equal_those_of_a_rollout(core, explore):
    env = envs.make("RepeatPrevious-k4-v0", length=80)  # longer than what is remembered of an episode
    module = make_module(env, core, previous_action=True, previous_reward=True)
    agent = RLAgent(module, explore=explore, seed=3)
    (episode,) = rollout(module, env, 1, explore=explore, seed=3)
    before = torch.get_rng_state()
    assert np.array_equal(play(agent, env, seed=envs.stream_seed(3, 0)), episode.actions)
    assert torch.equal(torch.get_rng_state(), before) or not explore
    assert len(set(episode.actions.tolist())) > 1 or not explore


def test_environments_side_by_side_with_resets_of_single_rows():
    env = envs.make("RepeatPrevious-k4-v0")
    module = make_module(env, "ntm", previous_action=True)
    one, many = RLAgent(module), RLAgent(module, copies=3)
    generator = np.random.default_rng(0)
    shown = generator.integers(4, size=(3, 40))
    found = []
    for step in range(40):
        if step == 20:
            many.reset(np.array([False, True, False]))
        if step == 30:
            many.reset([2])
        found.append(many.act(shown[:, step]))
    expected = []
    for row, starts in enumerate([(0,), (0, 20), (0, 30)]):
        taken = []
        for step in range(40):
            if step in starts:
                one.reset()
            taken.append(one.act(shown[row, step]))
        expected.append(taken)
    assert np.array_equal(np.array(found).T, expected)
    assert len(np.unique(found)) > 1


def test_nested_observations_and_actions_come_in_the_forms_of_gymnasium():
    class Nested(gym.Env):
        observation_space = Dict(a=Box(-1.0, 1.0, (2,)), b=Discrete(3, start=1))
        action_space = Dict(x=Discrete(2, start=5), y=Box(0.0, np.inf, ()))

    module = make_module(Nested())
    agent, several = RLAgent(module, explore=True, seed=0), RLAgent(module, copies=2, explore=True, seed=0)
    assert agent.act({"b": 3, "a": [0, 1]}) in Nested.action_space
    batched = several.act({"a": np.zeros((2, 2), np.float32), "b": np.array([1, 3])})
    assert batched in gym.vector.utils.batch_space(Nested.action_space, 2)
    assert several.act([{"a": [0, 0], "b": 1}, {"a": (1, 0), "b": 2}]) in gym.vector.utils.batch_space(
        Nested.action_space, 2
    )


def test_seed_repeats_what_is_drawn_whatever_else_is_drawn():
    env = envs.make("RepeatPrevious-k4-v0")
    module = make_module(env)
    found = []
    for _ in range(2):
        agent = RLAgent(module, explore=True, seed=7)
        found.append([agent.act(step % 4) for step in range(12) if torch.rand(1) >= 0])
    assert found[0] == found[1]
    assert found[0] != [RLAgent(module, explore=True, seed=8).act(step % 4) for step in range(12)]


def test_agent_that_acts_for_ever_does_not_grow():
    env = envs.make("RepeatPrevious-k4-v0")
    agent = RLAgent(make_module(env, "sam"))
    for step in range(3 * KEPT_STEPS):
        agent.act(step % 4)
    (episode,) = agent._episodes
    assert episode.t == 3 * KEPT_STEPS - 1
    assert len(episode) <= KEPT_STEPS
    assert not episode.custom_data


@pytest.mark.parametrize(
    ("options", "call", "message"),
    [
        ({"copies": 0}, None, "expected at least 1"),
        ({"copies": 2}, lambda agent: agent.act(np.zeros(3, int)), "3 observations were given to an agent of 2 copies"),
        ({"copies": 2}, lambda agent: agent.reset(np.array([True])), r"expected \(2,\)"),
        ({"copies": 2}, lambda agent: agent.reset([2]), "they count from 0"),
        ({}, lambda agent: agent.act(9), "expects a whole number from 0 to 3"),
        ({}, lambda agent: [agent.act(0), agent.act(0)], "trained with previous_reward: give the reward"),
        ({}, lambda agent: [agent.act(0), agent.act(0, np.nan)], "reward 0 is nan: expected a finite number"),
        ({}, lambda agent: [agent.act(0), agent.act(0, 1e39)], r"reward 0 is 1e\+39: expected a finite number"),
        ({"copies": 2}, lambda agent: agent.act([0, 0], [0.0] * 3), r"reward is .*: expected one number, or 2"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, call, message):
    module = make_module(envs.make("RepeatPrevious-k4-v0"), previous_reward=True)
    with pytest.raises(ValueError, match=message):
        call(RLAgent(module, **options))


def test_numbers_that_are_not_finite_are_refused():
    space = Dict({"seen": Box(-np.inf, np.inf, (2,)), "kind": Discrete(3)})
    agent = RLAgent(make_module(Drawn(space, Discrete(2))), copies=2)
    looks = [{"seen": [0.0, 1.0], "kind": 1}, {"seen": [np.inf, 1.0], "kind": 2}]
    with pytest.raises(ValueError, match="observation 1 has the number inf: expected finite numbers"):
        agent.act(looks)
