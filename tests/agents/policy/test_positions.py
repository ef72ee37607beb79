"""A position goes from the observation to the end of the core's input as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

from lukasa import envs
from lukasa.agents.policy.network import PolicyNetwork
from lukasa.agents.policy.positions import PositionPart, core_reads_position
from lukasa.agents.policy.settings import MemorySettings
from lukasa.agents.rllib import rollout
from tests.agents.portable.playing import agent_module, episode, exported

PLACE = Box(np.array([-5.0, 0.0], np.float32), np.array([5.0, 100.0], np.float32))
SPACE = Dict({"seen": Box(-np.inf, np.inf, (3,)), "position": PLACE})
MAP: dict[str, Any] = {"height": 4, "width": 4, "word_size": 3, "filters": 2}


def network(space: gym.Space[Any] = SPACE, core: str = "neural_map", **options: Any) -> PolicyNetwork:
    torch.manual_seed(0)
    how: dict[str, Any] = {"previous_action": True, "previous_reward": True, "normalize_observations": True}
    return PolicyNetwork(space, Discrete(2), MemorySettings(core=core, core_options=options, embedding_size=8, **how))


def inputs_of(made: PolicyNetwork, space: gym.Space[Any], position: Any) -> torch.Tensor:
    """What the core of a network sees at one step, with an action and a reward before it."""
    space.seed(0)
    observation: Any = space.sample()
    observation["position"] = position
    step = {name: torch.as_tensor(np.asarray(part))[None, None] for name, part in observation.items()}
    return made.inputs(step, torch.ones(1, 1, 2), torch.full((1, 1, 1), 7.0))[0, 0]


def test_position_is_the_last_of_what_the_core_sees_neither_embedded_nor_normalised():
    made = network(**MAP)
    seen = inputs_of(made, SPACE, np.array([-2.5, 80.0], np.float32))
    assert made.core.given
    assert len(seen) == made.core.input_size == 8 + 2 + 1 + 2
    assert seen[-2:].tolist() == pytest.approx([0.25, 0.8])
    assert seen[8:10].tolist() == [1, 1], "the action stays where it was"


@pytest.mark.parametrize(
    ("part", "position", "expected"),
    [
        (MultiDiscrete([4, 10]), [0, 9], [0.125, 0.95]),
        (MultiDiscrete([4, 10], start=[1, -5]), [4, -5], [0.875, 0.05]),
        (Box(0, 3, (2,), np.int64), [3, 1], [0.875, 0.375]),
        (Box(0, 255, (2,), np.uint8), [0, 255], [0.5 / 256, 255.5 / 256]),
        (Box(0.0, 1.0, (2,), np.float64), [2.0, -1.0], [1.0, 0.0]),
    ],
)
def test_every_kind_of_position_is_from_0_to_1(part: Any, position: list[float], expected: list[float]):
    space = Dict({"position": part, "seen": Discrete(3)})
    values = torch.as_tensor(np.asarray(position, part.dtype))[None, None]
    found = PositionPart(space)({"position": values})
    assert found.shape == (1, 1, 2)
    assert found[0, 0].tolist() == pytest.approx(expected)


def test_position_is_no_part_of_what_is_saved():
    assert not any("lowest" in name for name in network(**MAP).state_dict())


def test_core_that_reads_none_gets_none_and_is_as_wide_as_ever():
    for made in (network(core="gru"), network(position="predicted", **MAP)):
        assert made.position is None
        assert made.core.input_size == 8 + 2 + 1


@pytest.mark.parametrize("egocentric", [False, True])
def test_map_is_written_where_the_agent_walks_in_rllib_and_from_its_file(egocentric: bool, tmp_path: Path):
    env = envs.make("IMaze-v0", position=True, field=16, lengths=[3], step_limit=9)
    options = {**MAP, "height": 16, "width": 16, "egocentric": egocentric}
    module = agent_module(env.observation_space, env.action_space, "neural_map", options, normalize_observations=True)
    (played,) = rollout(module, env, 1, seed=3, record=True)
    places = (played.observations["position"][: played.length] * 16).astype(int)
    written = [np.argwhere(step)[0].tolist() for step in played.weights["map_write"]]
    assert written == ([[8, 8]] * played.length if egocentric else places.tolist())
    actions, _ = episode(exported(module, tmp_path / "agent.lukasa"), env, 3)
    assert list(actions) == list(played.actions)


@pytest.mark.parametrize(
    "space",
    [
        Box(0, 1, (3,)),
        Dict({"seen": Discrete(3)}),
        Dict({"position": Box(0, 1, (3,))}),
        Dict({"position": Box(-np.inf, np.inf, (2,))}),
        Dict({"position": Discrete(9)}),
        Dict({"deep": Dict({"position": PLACE})}),
    ],
)
def test_without_a_position_a_map_predicts_one_or_says_what_is_missing(space: gym.Space[Any]):
    assert not core_reads_position("neural_map", {}, space)
    assert not network(space, **MAP).core.given
    with pytest.raises(ValueError, match=r"has no part 'position' of two bounded numbers: use an environment that"):
        network(space, position="input", **MAP)
