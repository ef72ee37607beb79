"""SAM's access in one autograd function against the one that makes every operation on its own.

Legend: B batch, H heads, C slots that a head reads, W word size, P width of the interface vector.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lukasa.memory.kernels.sparse_access import Access, access, access_reference
from lukasa.memory.sparse import SparseMemory
from tests.memory.samples import Sampler

B, H, C, W = 3, 2, 2, 3
CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}
Function = Callable[[SparseMemory, Tensor, Tensor, Tensor], Access]


class Run:
    """Some steps on an empty memory of a few slots, so that heads share them, re-use them and at first find too few.

    With gates that are nearly shut, the same slots stay the oldest.
    """

    def __init__(self, function: Function, seed: int, slots: int = 5, steps: int = 8):
        sampler = Sampler(seed)
        self.interfaces = [(2 * sampler.normal(B, 2 * H * W + 3 * H)).requires_grad_() for _ in range(steps)]
        self.start = sampler.distribution(B, H, C).requires_grad_()
        memory = SparseMemory.empty(B, slots, W, dtype=torch.float64, index="exact")
        memory = memory.write(torch.zeros(B, 1).long(), torch.ones(B, 1), sampler.normal(B, 1, W))
        slots_read, weights = torch.zeros(B, H, C).long(), self.start
        self.results: list[Access] = []
        for time, interface in enumerate(self.interfaces):
            if time == steps // 2:
                memory = memory.reset(torch.tensor([True, False, False]))
                slots_read = slots_read.index_fill(0, torch.tensor([0]), -1)
            after = function(memory, interface, slots_read, weights)
            memory, slots_read, weights = after.memory, after.read_slots, after.read_weights
            self.results.append(after)
        self.rows = memory.tensors()["rows"]
        self.leaves = [self.start, *self.interfaces]

    def outputs(self) -> list[Tensor]:
        return [self.rows, *(tensor.detach() for after in self.results for tensor in after[1:])]

    def gradients(self, *losses: str) -> list[Tensor]:
        """Of random sums over some of the results: ``reads``, ``read_weights`` or ``rows``."""
        sampler, loss = Sampler(99), torch.zeros((), dtype=torch.float64)
        for name in losses:
            parts = [self.rows] if name == "rows" else [getattr(after, name) for after in self.results]
            loss = loss + sum((sampler.normal(*part.shape) * part).sum() for part in parts)
        return list(torch.autograd.grad(loss, self.leaves, retain_graph=True, materialize_grads=True))


@pytest.mark.parametrize("seed", range(6))
def test_results_and_gradients_equal_the_reference(seed: int):
    found, expected = Run(access, seed), Run(access_reference, seed)
    torch.testing.assert_close(found.outputs(), expected.outputs(), **CLOSE)
    for losses in (("reads", "read_weights", "rows"), ("reads",), ("read_weights",), ("rows",)):
        torch.testing.assert_close(found.gradients(*losses), expected.gradients(*losses), **CLOSE)


def test_a_loss_on_one_step_alone_equals_the_reference():
    """A pass that begins in the middle of the tape, a second one after it."""
    found, expected = Run(access, 7), Run(access_reference, 7)
    for time in (5, 2, 7):
        losses = [run.results[time].reads.square().sum() for run in (found, expected)]
        pairs = zip(losses, (found, expected), strict=True)
        grads = [torch.autograd.grad(one, run.leaves, retain_graph=True, materialize_grads=True) for one, run in pairs]
        torch.testing.assert_close(*grads, **CLOSE)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradient_the_results_are_the_same_and_no_tape_is_kept(mode: Any):
    with mode():
        found = Run(access, 3)
    torch.testing.assert_close(found.outputs(), [one.detach() for one in Run(access, 3).outputs()], rtol=0, atol=0)
    assert not found.results[-1].memory._tape.slots
