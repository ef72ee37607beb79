"""A listener hears all that a core asks of a memory and does to it, and may answer in its place.

Legend: B batch, H heads, C slots that a head reads, W word size, P width of the interface vector.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.kernels.sparse_access import access, access_reference
from lukasa.memory.sparse import SparseMemory, StaleStateError
from lukasa.memory.sparse.links import SparseLinks
from tests.memory.samples import Sampler, lively_core
from tests.memory.sparse.dense import DenseSlots

B, H, C, W, N = 2, 2, 2, 3, 5
SAME: dict[str, Any] = {"rtol": 0, "atol": 0}
CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}


class Notes:
    """Writes down what it hears; answers what it was given, and asks the memory where that ends."""

    def __init__(self, answers: tuple[Tensor, ...] = ()):
        self.heard: list[tuple[str, Any]] = []
        self.answers = list(answers)
        self.asked = 0

    def choose(self, shape: tuple[int, ...], own: Callable[[], Tensor]) -> Tensor:
        self.asked += not self.answers
        slots = self.answers.pop(0) if self.answers else own()
        assert slots.shape == shape
        self.heard.append(("chose", slots.tolist()))
        return slots

    def wrote(self, slots: Tensor) -> None:
        self.heard.append(("wrote", slots.tolist()))

    def accessed(self, slots: Tensor) -> None:
        self.heard.append(("accessed", slots.tolist()))

    def choices(self) -> tuple[Tensor, ...]:
        return tuple(torch.tensor(slots) for what, slots in self.heard if what == "chose")


def interfaces(steps: int = 8) -> list[Tensor]:
    sampler = Sampler(0)
    return [2 * sampler.normal(B, 2 * H * W + 3 * H) for _ in range(steps)]


def run(function: Any, one: Any, told: list[Tensor]) -> tuple[Any, Tensor]:
    """The memory after some accesses, and what was read, [B, T, H, W]."""
    slots, weights = torch.full((B, H, C), -1), torch.zeros(B, H, C).double()
    reads = []
    for interface in told:
        after = function(one, interface, slots, weights)
        one, slots, weights = after.memory, after.read_slots, after.read_weights
        reads.append(after.reads)
    return one, torch.stack(reads, 1)


def empty(index: str = "exact") -> SparseMemory:
    return SparseMemory.empty(B, N, W, dtype=torch.float64, index=index)


@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("function", [access, access_reference])
def test_every_question_and_every_change_of_an_access_is_heard_in_order(function: Any, gradient: bool):
    notes, one = Notes(), empty()
    one.store.listener = notes
    told = [interface.requires_grad_(gradient) for interface in interfaces(3)]
    after = function(one, told[0], torch.full((B, H, C), -1), torch.zeros(B, H, C).double())
    shown = [what for what, _ in notes.heard]
    assert shown == ["chose", "wrote", "chose", "accessed"]
    assert notes.heard[0][1] == [[0, 1]] * B
    assert notes.heard[1][1] == after.write_slots.flatten(1).tolist()
    assert notes.heard[2][1] == after.read_slots.tolist()
    weights = torch.cat([after.write_weights, after.read_weights], 2).flatten(1)
    slots = torch.cat([after.write_slots, after.read_slots], 2).flatten(1)
    assert notes.heard[3][1] == slots.masked_fill(~(weights > one.store.layout.delta), -1).tolist()


def test_kernel_and_reference_are_heard_to_do_the_same():
    heard = []
    for function in (access, access_reference):
        notes, one = Notes(), empty()
        one.store.listener = notes
        run(function, one, interfaces())
        heard.append(notes.heard)
    assert heard[0] == heard[1]
    assert len(heard[0]) == 4 * 8


@pytest.mark.parametrize("name", ["sam", "sdnc"])
def test_somebody_who_listens_changes_no_number(name: str):
    core = lively_core(name, slots=N, word_size=W, heads=H, reads=C, controller_size=4, index="exact")
    inputs = Sampler(1).normal(B, 9, 3)
    with memory.step_by_step():  # which such a listener asks for too
        expected, last = memory.unroll(core, inputs)
    followed = core.initial_state(B)
    followed.memory.store.listener = notes = Notes()
    outputs, state = memory.unroll(core, inputs, followed)
    torch.testing.assert_close(outputs, expected, **SAME)
    torch.testing.assert_close(memory.state_to_dict(state), memory.state_to_dict(last), **SAME)
    parameters = list(core.parameters())
    grads = [torch.autograd.grad(one.square().sum(), parameters) for one in (outputs, expected)]
    torch.testing.assert_close(*grads, **SAME)
    assert len(notes.heard) == 4 * 9


def test_answers_of_a_listener_are_what_is_read_and_written_and_the_index_is_not_asked():
    told = [interface.requires_grad_() for interface in interfaces()]
    one, notes = empty(), Notes()
    one.store.listener = notes
    last, expected = run(access, one, told)

    other, replay = empty(index="lsh"), Notes(notes.choices())
    other.store.listener = replay
    again, found = run(access, other, told)
    torch.testing.assert_close(found, expected, **SAME)
    torch.testing.assert_close(again.tensors(), last.tensors(), **SAME)
    grads = [torch.autograd.grad(reads.square().sum(), told) for reads in (found, expected)]
    torch.testing.assert_close(*grads, **SAME)
    assert replay.asked == 0


def test_copies_are_followed_by_nobody_and_stale_handles_stay_stale():
    one = empty()
    one.store.listener = Notes()
    told = interfaces(2)
    last, _ = run(access, one, told)
    assert last.store.listener is not None
    assert last.fork().store.listener is None
    with pytest.raises(StaleStateError):
        one.search(torch.zeros(B, H, W), C)


def test_an_update_of_links_tells_all_rows_that_change():
    links, notes = SparseLinks.empty(1, 9, entries=2), Notes()
    links.tables.listener = notes
    nothing, one = torch.full((1, 1), -1), torch.ones(1, 1)
    before = links.tensors()
    for slot in (4, 6):
        links = links.update(torch.tensor([[slot]]), one, nothing)
    after = links.tensors()
    (_, first), (_, second) = notes.heard
    assert set(first[0]) >= {4}
    assert set(second[0]) >= {4, 6}
    changed = {s for s in range(7) if s >= before["names"].shape[1] and after["names"][0, s].any()}
    assert changed <= {4, 6}


def test_equations_of_an_access_hold_for_any_memory_of_slots():
    """A dense memory that autograd follows by itself, under the reference, against the kernel on the sparse one."""
    told = [interface.requires_grad_() for interface in interfaces()]
    last, found = run(access, empty(), told)
    dense, expected = run(access_reference, DenseSlots.empty(B, N, W), told)
    torch.testing.assert_close(found, expected, **CLOSE)
    torch.testing.assert_close(last.tensors()["rows"], dense.rows, **CLOSE)
    grads = [torch.autograd.grad(reads.square().sum(), told) for reads in (found, expected)]
    torch.testing.assert_close(*grads, **CLOSE)
