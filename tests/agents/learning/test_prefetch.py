"""Batches that are drawn ahead are those that would have been drawn anyway."""

import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from lukasa.tasks import Batch, Lessons, Uniform, make_task
from tests.agents.sequence.batches import make_core, make_trainer

CURRICULA = {
    "none": lambda: None,
    "its own": lambda: Uniform({"max_length": 2}),
    "review": lambda: Lessons([{"max_length": n} for n in (2, 3, 4)], mastery=-1e9, review=0.5, window=3),
    "a lesson each batch": lambda: Lessons(
        [{"max_length": n} for n in range(2, 12)], mastery=1e9, window=1, higher_is_better=False
    ),
}


def trainer_of(curriculum: str, prefetch: bool) -> Any:
    sampler = make_task("copy", max_length=4)
    core = make_core(sampler.spec, "gru")
    return make_trainer(sampler, core=core, curriculum=CURRICULA[curriculum](), prefetch=prefetch)


@pytest.mark.parametrize("curriculum", CURRICULA)
def test_prefetching_changes_no_step(curriculum: str):
    plain, ahead = trainer_of(curriculum, prefetch=False), trainer_of(curriculum, prefetch=True)
    for _ in range(9):
        assert ahead.step() == plain.step()
        assert torch.equal(ahead.state_dict()["generator"], plain.state_dict()["generator"])
        assert ahead.state_dict()["curriculum"] == plain.state_dict()["curriculum"]


def test_a_state_that_is_loaded_drops_what_was_drawn_ahead():
    first = trainer_of("review", prefetch=True)
    first.step()
    state = first.state_dict()
    state = {**state, "core": {name: one.clone() for name, one in state["core"].items()}}
    expected = first.step()
    second = trainer_of("review", prefetch=True)
    for _ in range(3):
        second.step()
    second.load_state_dict(state)
    assert second.step().loss == expected.loss


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Notes the threads that draw; fails at a batch."""

    inner: Any
    fails_at: int = 0
    threads: list[str] = field(default_factory=list)

    @property
    def spec(self) -> Any:
        return self.inner.spec

    def sample(self, batch_size: int, generator: torch.Generator) -> Batch:
        self.threads.append(threading.current_thread().name)
        if len(self.threads) == self.fails_at:
            raise OSError("the disk is gone")
        return self.inner.sample(batch_size, generator)


@pytest.mark.parametrize("prefetch", [False, True])
def test_batches_after_the_first_are_drawn_in_a_thread_of_their_own_when_told(prefetch: bool):
    sampler = Watched(inner=make_task("copy"))
    trainer = make_trainer(sampler, "gru", prefetch=prefetch)
    for _ in range(3):
        trainer.step()
    here = threading.current_thread().name
    assert sampler.threads[:3] == [here, *(2 * [here] if not prefetch else 2 * ["prefetch_0"])]


def test_what_goes_wrong_while_drawing_ahead_is_told_by_the_step_that_needs_it():
    trainer = make_trainer(Watched(inner=make_task("copy"), fails_at=2), "gru", prefetch=True)
    trainer.step()
    with pytest.raises(OSError, match="the disk is gone"):
        trainer.step()
