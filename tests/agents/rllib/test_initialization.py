from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from ray.rllib.core.columns import Columns

from lukasa import memory
from lukasa.agents.policy.initialization import make_orthogonal
from lukasa.agents.rllib import MemoryRLModule, MemorySettings
from lukasa.agents.rllib.module import EPISODE_START
from tests.agents.rllib.test_module import OwnCore

OWN = f"{OwnCore.__module__}:OwnCore"
IMAGES = Box(0, 255, (42, 42, 3), np.uint8)


def module(core="gru", orthogonal=True, space: gym.Space | None = None, **options) -> MemoryRLModule:
    torch.manual_seed(0)
    settings = MemorySettings(core=core, core_options=options, orthogonal=orthogonal)
    return MemoryRLModule(
        observation_space=space or Box(-np.inf, np.inf, (6,), np.float32),
        action_space=Discrete(3),
        model_config={**settings.to_dict(), "max_seq_len": 8},
    )


def spread(agent: MemoryRLModule) -> float:
    """How far apart the features of different observations are, at an episode's first step."""
    starts = {EPISODE_START: torch.ones(500, dtype=torch.bool)}
    batch = {Columns.OBS: torch.randn(500, 1, 6), Columns.STATE_IN: starts}
    with torch.no_grad():
        return float(agent.net(batch).std(0).mean())


@pytest.mark.parametrize("core", ["gru", "lstm", "feedforward", "ntm", "dnc"])
def test_features_differ_as_far_as_observations_do(core):
    plain, orthogonal = spread(module(core, orthogonal=False)), spread(module(core))
    assert orthogonal > 2.4 * plain


@pytest.mark.parametrize(("core", "gates"), [("gru", 3), ("lstm", 4)])
def test_every_gate_is_orthogonal_and_unbiased(core, gates):
    controller: Any = module(core, layers=2).core.controller
    for name, weights in controller.layers.named_parameters():
        if "bias" in name:
            assert not weights.any()
            continue
        for gate in weights.detach().chunk(gates):
            columns = gate.T @ gate if gate.shape[1] < gate.shape[0] else gate @ gate.T
            torch.testing.assert_close(columns, torch.eye(len(columns)), atol=1e-5, rtol=0)


def test_images_are_encoded_orthogonally():
    kernels = [layer for layer in module(space=IMAGES).net.encoder.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert kernels
    for kernel in kernels:
        rows = kernel.weight.detach().flatten(1)
        products = rows @ rows.T if rows.shape[0] < rows.shape[1] else rows.T @ rows
        torch.testing.assert_close(products, 2 * torch.eye(len(products)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("core", sorted(memory.CORES))
def test_heads_of_a_memory_begin_as_they_are_meant_to(core):
    options: Any = {"slots": 32} if "slots" in memory.core_options(core) else {}
    plain, orthogonal = (module(core, kind, **options).core.state_dict() for kind in (False, True))
    changed = {name for name in plain if not torch.equal(plain[name], orthogonal[name])}
    assert {name for name in plain if name.startswith("output.")} <= changed
    inside = (name.removeprefix("core.") for name in changed)  # of the core inside another
    assert all(name.startswith(("controller.", "output.", "input.")) for name in inside)


def test_core_inside_another_begins_as_it_would_alone():
    inner = module("act", True, core_options={"size": 8}).core.core
    for gate in inner.controller.layers.weight_hh_l0.chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(8), atol=1e-4, rtol=0)
    assert inner.output.bias.count_nonzero() == 0
    own = memory.make_core("act", input_size=3, output_size=2, core=OWN, core_options={"size": 8})
    before = {name: one.clone() for name, one in own.state_dict().items()}
    make_orthogonal(torch.nn.Identity(), own, torch.nn.Linear(2, 2))
    changed = {name for name, one in own.state_dict().items() if not torch.equal(one, before[name])}
    assert changed == {"output.weight", "output.bias"}


def test_core_of_ones_own_begins_as_it_was_made():
    plain, orthogonal = (module(OWN, kind, size=8).core.state_dict() for kind in (False, True))
    assert all(torch.equal(plain[name], orthogonal[name]) for name in plain)
