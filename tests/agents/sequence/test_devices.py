"""Supervised training on a GPU: the losses of the CPU, checkpoints that change devices, mixed precision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from lukasa import memory
from lukasa.agents.sequence import CoreAgent, evaluate, state_gradients
from lukasa.launch.runs.checkpoints import from_plain, to_plain
from tests.agents.sequence.batches import fixed, make_core, make_trainer

CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-8}  # what Adam divides by amplifies the last bits
WAYS: dict[str, dict[str, Any]] = {
    "whole sequences": {},
    "chunks": {"chunk": 3},
    "rewarded use of slots": {"memory_use": 0.5},
    "own answers": {"task": "binary_addition", "teacher_forcing": 0.5},
}


@pytest.fixture(autouse=True)
def stepwise() -> Iterator[None]:
    """The equations on the CPU too: native code would first be compiled for each of these cores."""
    with memory.step_by_step():
        yield


def trainer_on(where: torch.device | str, name: str = "ntm", task: str = "copy", **options: Any) -> Any:
    settings = {"max_length": 3} if task == "copy" else {"max_digits": 2}
    sampler = fixed(task, **settings)
    core = make_core(sampler.spec, name, dtype=torch.float64).to(where)
    return make_trainer(sampler, core=core, **options)


def losses(trainer: Any, steps: int = 2) -> list[float]:
    return [trainer.step().loss for _ in range(steps)]


@pytest.mark.parametrize("name", ["ntm", "mann", "sam", "lstm"])
def test_core_learns_on_a_device_as_on_the_cpu(name: str, device: torch.device):
    trainer = trainer_on(device, name)
    torch.testing.assert_close(losses(trainer), losses(trainer_on("cpu", name)), **CLOSE)
    assert next(trainer.learner.core.parameters()).device == device


@pytest.mark.parametrize("way", [way for way in WAYS if way != "whole sequences"])
def test_every_way_of_training_runs_on_a_device(way: str, device: torch.device):
    torch.testing.assert_close(losses(trainer_on(device, **WAYS[way])), losses(trainer_on("cpu", **WAYS[way])), **CLOSE)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.parametrize("back", [False, True], ids=["from the CPU to a device", "from a device to the CPU"])
def test_checkpoint_goes_on_on_another_device(optimizer: str, back: bool, device: torch.device):
    first, then = (device, "cpu") if back else ("cpu", device)
    trainer = trainer_on(first, optimizer=optimizer)
    losses(trainer)
    saved = to_plain(trainer.state_dict())
    assert all(tensor.device.type == "cpu" for tensor in saved["core"].values())
    resumed = trainer_on(then, optimizer=optimizer)
    resumed.load_state_dict(to_plain(from_plain(saved)))
    torch.testing.assert_close(losses(resumed), losses(trainer), **CLOSE)


def test_what_is_trained_is_scored_watched_and_played_on_a_device(device: torch.device):
    sampler = fixed("copy", max_length=4)
    there, here = (make_core(sampler.spec, dtype=torch.float64).to(where) for where in (device, "cpu"))
    batches = [sampler.batch]
    found, expected = (evaluate(core, sampler.spec, batches).score for core in (there, here))
    assert found == pytest.approx(expected, rel=1e-9)
    flows, expected_flows = (state_gradients(core, sampler.spec, sampler.batch) for core in (there, here))
    for name, flow in flows.items():
        torch.testing.assert_close(flow.cpu(), expected_flows[name].cpu(), rtol=1e-6, atol=1e-9)
    shown = sampler.batch.inputs[:2].double()
    agents = [(CoreAgent(core, sampler.spec, copies=2), where) for core, where in ((there, device), (here, "cpu"))]
    for step in shown.unbind(1):
        answers = [torch.as_tensor(agent.act(step.to(where))).cpu().double() for agent, where in agents]
        torch.testing.assert_close(*answers, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["ntm", "dnc", "mann", "dam", "sam", "sdnc", "lstm"])
def test_mixed_precision_learns_and_keeps_parameters_and_losses_whole(name: str, real_device: torch.device):
    sampler = fixed("copy", max_length=4)
    whole, mixed = (
        make_trainer(sampler, core=make_core(sampler.spec, name).to(real_device), precision=precision)
        for precision in ("float32", "bfloat16")
    )
    expected, found = losses(whole, 3), losses(mixed, 3)
    assert all(map(math.isfinite, found))
    assert found == pytest.approx(expected, rel=0.05)
    assert {one.dtype for one in mixed.learner.core.parameters()} == {torch.float32}
