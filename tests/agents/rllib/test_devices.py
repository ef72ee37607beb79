"""RLlib's learner on a GPU: the loss and the gradients of a batch are those of the CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip("ray", reason="reinforcement learning needs Ray, which is not installed")
pytest.importorskip("gymnasium", reason="reinforcement learning needs Gymnasium, which is not installed")

from ray.rllib.core import DEFAULT_MODULE_ID
from torch.utils._pytree import tree_map

from lukasa import memory
from tests.agents.rllib.sampling import learner_batch, make_learner, make_runner, ppo


def moved(batch: Any, where: torch.device | str) -> Any:
    return tree_map(lambda one: torch.as_tensor(one).to(where), batch)


@pytest.mark.parametrize("core", ["ntm", "sam"])
def test_module_learns_from_a_batch_on_a_device_as_on_the_cpu(core: str, device: torch.device):
    config = ppo()
    if core == "sam":
        config.memory(core="sam", slots=16, word_size=4, controller_size=8, max_seq_len=4)
    with memory.step_by_step():
        runner = make_runner(config)
        learner = make_learner(config, runner)
        batch = learner_batch(learner, runner.sample(num_timesteps=30, random_actions=False))
        found = []
        for where in ("cpu", device):
            module = learner.module[DEFAULT_MODULE_ID].unwrapped().to(where)
            outputs = module.forward_train(moved(dict(batch), where))
            values = outputs["action_dist_inputs"]
            assert values.device.type == torch.device(where).type
            module.zero_grad()
            values.square().sum().backward()
            norms = [float(one.grad.norm()) for one in module.parameters() if one.grad is not None]
            found.append(torch.tensor([float(values.detach().norm()), *norms]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-3, atol=1e-5)
