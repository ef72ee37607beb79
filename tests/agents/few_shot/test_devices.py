"""Few-shot learning on a GPU: every learner answers, learns and goes on as on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Generator

from lukasa import memory
from lukasa.agents.few_shot import ClassAgent, episode_trainer
from lukasa.agents.learning import make_optimizer
from lukasa.launch.runs.checkpoints import from_plain, to_plain
from lukasa.tasks.episodes import Shots
from lukasa.tasks.examples import Examples
from tests.agents.few_shot.rows import ROWS, SHAPE, Row, make, random_episode

CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-8}
MANN = Row("sequence", {"channels": 4, "core": "mann", "core_options": {"slots": 8, "word_size": 4}})
EVERY = pytest.mark.parametrize("row", [*ROWS.values(), MANN], ids=[*ROWS, "sequence-mann"])


@pytest.fixture(autouse=True)
def stepwise() -> Iterator[None]:
    with memory.step_by_step():
        yield


def need(name: str) -> None:
    """Skip what a device cannot show that only pretends: torch.func takes its operations apart in Python."""
    if name == "maml" and not torch.zeros(0).cuda().is_cuda:
        pytest.skip("torch.func sees through a device that only pretends")


@EVERY
@pytest.mark.parametrize("training", [True, False])
def test_learner_on_a_device_answers_as_on_the_cpu(row: Row, training: bool, device: torch.device):
    need(row.learner)
    support, queries, targets = random_episode()

    def answered(where: torch.device | str) -> dict[str, torch.Tensor]:
        learner = make(row).to(where).train(training)
        answers = learner(support.to(where), queries.to(where))
        found = {"answers": answers.detach().cpu()}
        if answers.requires_grad:
            F.cross_entropy(answers.flatten(0, 1), targets.flatten().to(where)).backward()
            grads = {name: one.grad for name, one in learner.named_parameters() if one.grad is not None}
            found |= {name: one.cpu() for name, one in grads.items()}
        return found

    torch.testing.assert_close(answered(device), answered("cpu"), **CLOSE)


@pytest.mark.parametrize("back", [False, True], ids=["from the CPU to a device", "from a device to the CPU"])
@pytest.mark.parametrize("name", ["prototypical", "maml", "sequence-lstm"])
def test_training_goes_on_on_another_device(name: str, back: bool, device: torch.device):
    need(name)
    first, then = (device, "cpu") if back else ("cpu", device)

    def trainer_on(where: torch.device | str) -> Any:
        values = torch.rand(12, 6, *SHAPE, generator=Generator().manual_seed(0))
        shots = Shots(examples=Examples(values, "noise"), ways=3, shots=1, queries=2)
        learner = make(ROWS[name]).to(where)
        optimizer = make_optimizer("adam", learner.parameters(), 1e-2)
        return episode_trainer(learner, shots, optimizer, Generator().manual_seed(5), batch_size=2)

    trainer, resumed = trainer_on(first), trainer_on(then)
    trainer.step()
    resumed.load_state_dict(to_plain(from_plain(to_plain(trainer.state_dict()))))
    for _ in range(2):
        assert resumed.step().loss == pytest.approx(trainer.step().loss, rel=1e-5)


@pytest.mark.parametrize("adapted", [True, False])
def test_agent_and_memory_of_classes_on_a_device(adapted: bool, device: torch.device):
    drawings = torch.rand(6, *SHAPE, generator=Generator().manual_seed(0))
    agents = [ClassAgent(make(ROWS["prototypical"]).float().to(where)) for where in (device, "cpu")]
    if adapted:
        for agent, where in zip(agents, (device, "cpu"), strict=True):
            agent.adapt(drawings.to(where), list("aabbcc"))
        assert agents[0].predict(drawings) == agents[1].predict(drawings)
        return
    memories = [agent.class_memory(16) for agent in agents]
    found = []
    for held in memories:
        held.learn(drawings, torch.tensor([0, 0, 1, 1, 2, 2]))
        found.append(held.nearest(drawings + 0.01).classes.cpu())
    assert memories[0].memory.device == device
    torch.testing.assert_close(found[0], found[1])
