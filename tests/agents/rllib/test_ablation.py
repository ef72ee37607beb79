"""Agents that play with a part of their memory wiped."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from lukasa import envs
from lukasa.agents.rllib import rollout
from lukasa.agents.rllib.ablation import ablated
from lukasa.memory.ablation import PARTS, Without
from tests.agents.rllib.test_rollout import module_for

SMALL = {"slots": 8, "word_size": 4, "controller_size": 16}
CORES = {
    "ntm": SMALL,
    "dnc": {**SMALL, "read_heads": 2},
    "sam": {**SMALL, "heads": 2, "reads": 2},
    "sdnc": {**SMALL, "heads": 2, "reads": 2},
}
EVERY_CORE = pytest.mark.parametrize("core", CORES)


def lively(env: gym.Env, core: str):
    """A module whose actions depend on what it carries."""
    module = module_for(env, core, CORES[core])
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_(generator=torch.Generator().manual_seed(weight.numel()))
    return module


def choices(module, env, without: str | None) -> tuple[np.ndarray, np.ndarray]:
    """What was seen and done after it, over three episodes."""
    episodes = rollout(module, env, 3, seed=0, without=without)
    seen = np.concatenate([one.observations[:-1] for one in episodes])
    return seen, np.concatenate([one.actions for one in episodes])


@EVERY_CORE
def test_agent_that_carries_nothing_does_the_same_whenever_it_sees_the_same(core: str):
    env = envs.make("RepeatPrevious-k1-v0")
    module = lively(env, core)
    for part, different in (("both", False), (None, True)):
        seen, done = choices(module, env, part)
        assert any(len(set(done[seen == symbol])) > 1 for symbol in range(4)) is different, part


@EVERY_CORE
def test_each_part_matters_to_an_agent_that_uses_both(core: str):
    env = envs.make("RepeatPrevious-k1-v0")
    module = lively(env, core)
    played = {part: choices(module, env, part)[1] for part in (None, *PARTS)}
    for part in PARTS:
        assert np.mean(played[part] == played[None]) < 0.95, part


@EVERY_CORE
@pytest.mark.parametrize("part", PARTS)
def test_copies_side_by_side_are_wiped_as_one_is(core: str, part: str):
    """Of different lengths, so that rows begin anew at different steps."""
    module = lively(gym.make("CartPole-v1"), core)
    one = rollout(module, gym.make("CartPole-v1"), 4, seed=0, without=part)
    several = rollout(module, [gym.make("CartPole-v1") for _ in range(3)], 4, seed=0, without=part)
    for alone, beside in zip(one, several, strict=True):
        assert np.array_equal(alone.actions, beside.actions)


def test_recording_sees_a_wiped_memory():
    env = envs.make("RepeatPrevious-k1-v0")
    module = lively(env, "ntm")
    (episode,) = rollout(module, env, 1, seed=0, record=True, without="both")
    for symbol in range(4):
        same = episode.weights["read"][episode.observations[:-1] == symbol]
        assert np.array_equal(same, np.broadcast_to(same[0], same.shape))


@EVERY_CORE
def test_module_is_afterwards_as_it_was(core: str):
    env = envs.make("RepeatPrevious-k1-v0")
    module = lively(env, core)
    intact, before = module.core, choices(module, env, None)[1]
    rollout(module, env, 1, without="memory")
    with ablated(module, "memory"):
        assert isinstance(module.core, Without)
    assert module.core is intact
    with pytest.raises(ValueError, match="environment"):  # a CartPole is no environment of this agent
        rollout(module, gym.make("CartPole-v1"), 1, without="memory")
    assert module.core is intact
    assert np.array_equal(choices(module, env, None)[1], before)


@pytest.mark.parametrize(
    ("core", "part", "told"),
    [("gru", "controller", "core GRU has no controller beside"), ("ntm", "memori", "did you mean 'memory'")],
)
def test_part_that_is_not_there_is_refused(core: str, part: str, told: str):
    env = envs.make("RepeatPrevious-k1-v0")
    with pytest.raises(ValueError, match=told):
        rollout(module_for(env, core), env, 1, without=part)
