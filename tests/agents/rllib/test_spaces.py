"""Every space that Gymnasium can build trains, plays and acts inside itself, or is refused in one sentence."""

import warnings

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ray.rllib.core import DEFAULT_MODULE_ID

from lukasa import envs
from lukasa.agents.rllib import register_environment, rollout
from tests.agents.rllib.drawn_spaces import FORMS, Drawn, is_usual, spaces
from tests.agents.rllib.sampling import make_learner, make_runner, ppo, ship


@pytest.fixture(autouse=True)
def _ray(ray_cluster):
    """RLlib's learners measure themselves through Ray."""


def drawn_ppo(observation_space, action_space, form, **memory):
    """PPO on an environment of these spaces."""
    Drawn.cases.append((observation_space, action_space, form))
    name = register_environment("Drawn-v0", case=len(Drawn.cases) - 1)
    config = ppo(name, fragment=6, copies=2, max_seq_len=4)
    config.env_runners(gym_env_vectorize_mode="vector_entry_point")
    return config.memory(core="gru", size=8, embedding_size=8, output_size=8, max_seq_len=4, **memory)


def trains_and_plays(observation_space, action_space, form, previous):
    """Sample, learn from the samples, and play; every action is checked by the environment."""
    config = drawn_ppo(observation_space, action_space, form, previous_action=previous, previous_reward=previous)
    runner = make_runner(config)
    learner = make_learner(config, runner)
    learner.config.freeze()
    weights = [one.detach().clone() for one in learner.module[DEFAULT_MODULE_ID].parameters()]
    for _ in range(2):
        found = learner.update(episodes=ship(runner.sample(num_timesteps=12, explore=True)), num_epochs=1)
        assert found is not None
    after = list(learner.module[DEFAULT_MODULE_ID].parameters())
    assert all(bool(one.isfinite().all()) for one in after)
    assert any(not torch.equal(one, other) for one, other in zip(weights, after, strict=True))
    module = runner.module
    env = envs.make("Drawn-v0", case=len(Drawn.cases) - 1)
    for explore in (False, True):
        (episode,) = rollout(module, env.unwrapped, 1, explore=explore, seed=3)
        assert episode.length == 4


def refusal(observation_space, action_space, form, previous):
    """Why the spaces are refused; None where they are not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            trains_and_plays(observation_space, action_space, form, previous)
        except ValueError as error:
            return str(error)
    return None


KNOWN = [
    (Box(0.0, 1.0, (8, 8, 12)), Box(-1.0, 1.0, ()), "as the space says"),
    (Box(-1.0, 1.0, ()), Discrete(3, start=-1), "lists"),
    (Box(-1.0, 1.0, (3,)), Dict(a=MultiDiscrete([[2, 3]]), b=Tuple([Box(0, 9, (2,), np.int64)])), "lists"),
    (Dict(a=Discrete(3, start=-4), b=Tuple([MultiBinary(2)])), MultiBinary((2, 2)), "another order"),
]


@pytest.mark.ray
@pytest.mark.parametrize(("observation_space", "action_space", "form"), KNOWN)
def test_spaces_that_once_failed_train_and_play(observation_space, action_space, form):
    check(observation_space, action_space, form)


def check(observation_space, action_space, form, previous=True):
    """Usual spaces train and play, and others are refused in one sentence that names the space."""
    message = refusal(observation_space, action_space, form, previous)
    usual = is_usual(observation_space) and is_usual(action_space, as_actions=True)
    assert (message is None) == usual, message
    if message is not None:
        assert "space" in message
        assert "\n" not in message
        assert len(message) < 900


@pytest.mark.ray
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces, spaces, st.sampled_from(FORMS), st.booleans())
def test_any_spaces_train_and_play_or_are_refused(observation_space, action_space, form, previous):
    check(observation_space, action_space, form, previous)
