"""Batches that several processes share."""

from dataclasses import dataclass

import pytest
import torch
import torch.multiprocessing
from torch import nn

from lukasa import memory, tasks
from lukasa.agents.learning import ALONE, ProcessGroup
from lukasa.agents.sequence import sequence_trainer


def make_trainer(sharing=ALONE, batch_size: int = 6):
    """An NTM that copies."""
    torch.manual_seed(0)
    task = tasks.make_task("copy", bits=2, max_length=4)
    sizes = {"input_size": task.spec.input_size, "output_size": task.spec.output_size}
    core = memory.make_core("ntm", **sizes, slots=5, word_size=4, controller_size=8)
    optimizer = torch.optim.SGD(core.parameters(), lr=0.1)
    return sequence_trainer(
        core, task, optimizer, torch.Generator().manual_seed(1), batch_size=batch_size, sharing=sharing
    )


@dataclass
class Place:
    """A place among others that are not there."""

    rank: int
    workers: int

    def average_gradients(self, parameters):
        """Nobody to average with."""

    def totals(self, values):
        return [value * self.workers for value in values]


def learned_from(sharing):
    """The sequences that a trainer's first step learns from."""
    trainer, batches = make_trainer(sharing), []
    learn = trainer.learner.learn
    trainer.learner.learn = lambda shown: batches.append(shown.batch) or learn(shown)
    trainer.step()
    return batches[0]


def test_shares_are_the_whole_batch_without_overlap():
    whole = learned_from(ALONE)
    for workers in (2, 3):
        shares = [learned_from(Place(rank, workers)) for rank in range(workers)]
        for joint, *parts in zip(whole, *shares, strict=True):
            assert torch.equal(torch.cat(parts), joint)


def test_batch_that_cannot_be_shared_evenly_is_refused():
    with pytest.raises(ValueError, match="a batch of 6 cannot be shared evenly by 4 workers"):
        make_trainer(Place(0, 4))


def test_alone_nothing_is_rounded():
    assert ALONE.totals([0.1, 1e-30]) == [0.1, 1e-30]


def learn_together(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    trainer = make_trainer(ProcessGroup())
    result = trainer.step()
    unused = nn.Parameter(torch.ones(2))
    halves = nn.Parameter(torch.ones(2))
    halves.grad = torch.ones(2) if rank else None
    trainer.sharing.average_gradients([unused, halves])
    assert unused.grad is None
    gradients = {name: one.grad for name, one in trainer.learner.core.named_parameters()}
    numbers = {"loss": result.loss, "score": result.score.total, "count": result.score.count}
    torch.save({"gradients": gradients, "numbers": numbers, "halves": halves.grad}, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_have_the_gradient_loss_and_score_of_the_joint_batch(tmp_path):
    torch.multiprocessing.spawn(learn_together, (str(tmp_path),), nprocs=2)  # pyright: ignore
    alone = make_trainer()
    result = alone.step()
    for rank in (0, 1):
        learned = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert learned["numbers"]["loss"] == pytest.approx(result.loss, rel=1e-6)
        assert learned["numbers"]["score"] == pytest.approx(result.score.total, rel=1e-6)
        assert learned["numbers"]["count"] == result.score.count
        assert learned["halves"].tolist() == [0.5, 0.5]
        for name, one in alone.learner.core.named_parameters():
            torch.testing.assert_close(learned["gradients"][name], one.grad, rtol=1e-4, atol=1e-6)
