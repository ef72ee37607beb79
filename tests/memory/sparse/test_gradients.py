"""Random programs of reads, writes and resets: contents and every gradient equal those of a dense memory.

Legend: B batch, N slots, W word size, S slots of one operation.
"""

import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lukasa.memory.sparse import SparseMemory
from tests.memory.samples import Sampler
from tests.memory.sparse import dense

B, N, W = 2, 5, 3
CLOSE: dict[str, Any] = {"rtol": 0, "atol": 1e-10}
many_programs = settings(derandomize=True, deadline=None, max_examples=200, database=None)


class Program:
    """A program run on a sparse and on a dense memory side by side."""

    def __init__(self, seed: int):
        self.random, self.sampler = random.Random(seed), Sampler(seed)
        first = self.random.randint(0, 3)
        self.start = self.sampler.normal(B, first, W).requires_grad_()
        used = [self.random.randint(0, first) for _ in range(B)]
        written = torch.arange(first) < torch.tensor(used).unsqueeze(1)
        order = torch.full((B, 0), -1)
        empty = SparseMemory.empty(B, N, W, dtype=torch.float64, index="exact")
        self.memory = empty.from_tensors({"rows": self.start, "used": torch.tensor(used), "order": order})
        self.dense = torch.nn.functional.pad(self.start * written.unsqueeze(2), (0, 0, 0, N - first))
        self.leaves: list[Tensor] = [self.start]
        self.loss = self.dense_loss = 0 * self.start.sum()

    def run(self, length: int) -> None:
        for _ in range(length):
            self.random.choice([self.read, self.write, self.write, self.read_all, self.reset, self.access])()

    def slots(self) -> list[list[int]]:
        """Written ones and -1, with duplicates."""
        width = self.random.randint(1, 4)
        return [[self.random.randint(-1, used - 1) for _ in range(width)] for used in self.memory.used.tolist()]

    def read(self) -> None:
        slots = self.slots()
        rows, self.memory = self.memory.read(torch.tensor(slots))
        self.compare(rows, dense.read(self.dense, slots))

    def read_all(self) -> None:
        rows = self.memory.tensors()["rows"]
        self.compare(rows, self.dense[:, : rows.shape[1]])

    def compare(self, rows: Tensor, expected: Tensor) -> None:
        torch.testing.assert_close(rows, expected, **CLOSE)
        factor = self.sampler.normal(*rows.shape)
        self.loss = self.loss + (factor * (rows + rows.square())).sum()
        self.dense_loss = self.dense_loss + (factor * (expected + expected.square())).sum()

    def write(self) -> None:
        """To the next slots, to written ones, and to both at once where one is re-used."""
        new = self.memory.least_recent(self.random.randint(1, 2)).tolist()
        slots = [old + next_ones for old, next_ones in zip(self.slots(), new, strict=True)]
        keep = [[self.random.random() < 0.6 for _ in row] for row in slots]
        words = self.sampler.normal(B, len(slots[0]), W).requires_grad_()
        self.leaves.append(words)
        self.memory = self.memory.write(torch.tensor(slots), torch.tensor(keep), words)
        self.dense = dense.write(self.dense, slots, keep, words)

    def access(self) -> None:
        slots = torch.tensor(self.slots())
        self.memory = self.memory.access(slots, torch.rand(slots.shape, generator=self.sampler.generator) - 0.5)

    def reset(self) -> None:
        mask = torch.tensor([self.random.random() < 0.4 for _ in range(B)])
        self.memory = self.memory.reset(mask)
        self.dense = torch.where(mask.view(B, 1, 1), 0, self.dense)

    def check(self) -> None:
        self.read_all()
        found = torch.autograd.grad(self.loss, self.leaves, retain_graph=True, materialize_grads=True)
        expected = torch.autograd.grad(self.dense_loss, self.leaves, retain_graph=True, materialize_grads=True)
        torch.testing.assert_close(found, expected, **CLOSE)


@many_programs
@given(seed=st.integers(0, 2**31), length=st.integers(1, 12))
def test_programs_equal_a_dense_memory_in_contents_and_gradients(seed: int, length: int):
    program = Program(seed)
    program.run(length)
    program.check()


@pytest.mark.parametrize("seed", range(5))
def test_two_backward_passes_and_losses_of_a_prefix_give_what_they_should(seed: int):
    """The tape goes on after the first pass, and a pass may begin in its middle."""
    program = Program(seed)
    program.run(8)
    program.check()
    middle, dense_middle, leaves = program.loss, program.dense_loss, list(program.leaves)
    program.run(8)
    program.check()
    found = torch.autograd.grad(middle, leaves, retain_graph=True, materialize_grads=True)
    expected = torch.autograd.grad(dense_middle, leaves, retain_graph=True, materialize_grads=True)
    torch.testing.assert_close(found, expected, **CLOSE)
    program.check()


@pytest.mark.parametrize("seed", range(5))
def test_gradient_of_one_write_alone_is_found(seed: int):
    """Autograd leaves out what does not lead to it; the order of the others must still hold."""
    program = Program(seed)
    program.run(12)
    program.read_all()
    for leaf in program.leaves:
        found = torch.autograd.grad(program.loss, [leaf], retain_graph=True, materialize_grads=True)
        expected = torch.autograd.grad(program.dense_loss, [leaf], retain_graph=True, materialize_grads=True)
        torch.testing.assert_close(found, expected, **CLOSE)


def test_fork_passes_gradients_back_and_its_writes_stay_its_own():
    words = Sampler(0).normal(1, 2, W).requires_grad_()
    memory = SparseMemory.empty(1, N, W, dtype=torch.float64, index="exact").write(
        torch.tensor([[0, 1]]), torch.zeros(1, 2, dtype=torch.bool), words
    )
    twin = memory.fork()
    twin = twin.write(torch.tensor([[0]]), torch.zeros(1, 1, dtype=torch.bool), torch.ones(1, 1, W).double())
    original, _ = memory.read(torch.tensor([[0, 1]]))
    torch.testing.assert_close(original, words, rtol=0, atol=0)
    copied, _ = twin.read(torch.tensor([[0, 1]]))
    (gradient,) = torch.autograd.grad(copied.sum() + 10 * original.sum(), words)
    assert gradient[0].tolist() == [[10] * W, [11] * W]


def test_detached_memory_keeps_its_contents_and_lets_no_gradient_through():
    words = Sampler(0).normal(1, 1, W).requires_grad_()
    memory = SparseMemory.empty(1, N, W, dtype=torch.float64, index="exact")
    memory = memory.write(torch.tensor([[0]]), torch.ones(1, 1), words).detach()
    rows, _ = memory.read(torch.tensor([[0]]))
    assert not rows.requires_grad
    torch.testing.assert_close(rows, words.detach(), rtol=0, atol=0)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradient_no_tape_is_kept_and_the_memory_serves_on(mode: Any):
    memory = SparseMemory.empty(1, N, W, dtype=torch.float64, index="exact")
    parameter = torch.ones(1, 1, W, dtype=torch.float64, requires_grad=True)
    with mode():
        for slot in range(3):
            memory = memory.write(torch.tensor([[slot]]), torch.ones(1, 1), parameter * slot)
            _, memory = memory.read(torch.tensor([[slot]]))
            memory = memory.access(torch.tensor([[slot]]), torch.ones(1, 1))
    assert not memory._tape.slots
    memory = memory.write(torch.tensor([[3, 1]]), torch.tensor([[False, True]]), parameter.expand(1, 2, W))
    rows, _ = memory.read(torch.tensor([[1, 2, 3]]))
    assert rows[0, :, 0].tolist() == [2, 2, 1]
    (gradient,) = torch.autograd.grad(rows.sum(), parameter)
    assert gradient.flatten().tolist() == [2] * W


def test_words_of_a_reset_row_survive_neither_in_contents_nor_in_gradients():
    """Not even where the gradient that comes back is NaN; a NaN itself cannot be written, see test_bounds.py."""
    words = torch.full((2, 1, W), 1e9, dtype=torch.float64, requires_grad=True)
    memory = SparseMemory.empty(2, N, W, dtype=torch.float64, index="exact")
    memory = memory.write(torch.zeros(2, 1).long(), torch.ones(2, 1), words)
    memory = memory.reset(torch.tensor([True, True]))
    memory = memory.write(torch.zeros(2, 1).long(), torch.ones(2, 1), torch.ones(2, 1, W).double().requires_grad_())
    rows, _ = memory.read(torch.zeros(2, 1).long())
    assert rows.unique().tolist() == [1]
    (gradient,) = torch.autograd.grad((rows * torch.nan).sum(), words)
    assert gradient.count_nonzero() == 0
