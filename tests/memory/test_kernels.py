"""What the kernels have to keep beyond the battery of test_addressing.py: large sizes, blocks, uninitialised buffers.

Legend: B batch, H heads, N slots, W word size.
"""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from lukasa.memory.kernels.allocation import allocate, allocate_reference
from lukasa.memory.kernels.content import content_weights, content_weights_reference
from lukasa.memory.kernels.dnc_access import Interface, access, access_reference
from lukasa.memory.kernels.ntm_address import address, address_reference
from lukasa.memory.kernels.temporal_links import follow_links, follow_links_reference, fused
from tests.memory import oracles
from tests.memory.operations import KERNELS, as_tuple, without_allocation
from tests.memory.samples import Sampler

PAIRS = {
    "content": (content_weights, content_weights_reference),
    "allocation": (allocate, allocate_reference),
    "temporal_links": (follow_links, follow_links_reference),
    "ntm_address": (address, address_reference),
    "dnc_access": (without_allocation(access), without_allocation(access_reference)),
}
EVERY_KERNEL = pytest.mark.parametrize("name", KERNELS)


def results_and_gradients(
    function: Callable[..., Tensor | tuple[Tensor, ...]], arguments: list[Tensor]
) -> list[Tensor]:
    leaves = [argument.detach().clone().requires_grad_() for argument in arguments]
    results = as_tuple(function(*leaves))
    sampler = Sampler(0)
    upstream = [sampler.normal(*result.shape).to(result) for result in results]
    return [*results, *torch.autograd.grad(results, leaves, upstream)]


def assert_equals_reference(name: str, arguments: list[Tensor], tolerance: float) -> None:
    fast, reference = PAIRS[name]
    found, expected = results_and_gradients(fast, arguments), results_and_gradients(reference, arguments)
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, other.abs().max().item())
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * scale)


@EVERY_KERNEL
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (5, 3, 37, 11), (2, 4, 130, 20)], ids=str)
def test_results_and_gradients_equal_the_reference(name: str, sizes: tuple[int, int, int, int]):
    arguments = list(KERNELS[name].build(Sampler(1), *sizes))
    assert_equals_reference(name, arguments, 1e-11)  # sums of up to 130² terms
    # 1e-4 of the largest entry: float32 rounds at 6e-8, in sums of up to 130² terms of both signs.
    assert_equals_reference(name, [argument.float() for argument in arguments], 1e-4)


@pytest.mark.parametrize("slots", [511, 513], ids=["whole batch", "row by row"])
def test_links_on_either_side_of_the_size_worked_on_row_by_row_equal_the_reference(slots: int):
    assert (slots * slots * 4 >= fused.ROW_BY_ROW_BYTES) == (slots == 513)
    arguments = list(KERNELS["temporal_links"].build(Sampler(2), 2, 2, slots, 1))
    assert_equals_reference("temporal_links", [argument.float() for argument in arguments], 1e-4)


def test_links_row_by_row_have_the_gradient_of_finite_differences(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fused, "ROW_BY_ROW_BYTES", 1)
    arguments = [argument.requires_grad_() for argument in KERNELS["temporal_links"].build(Sampler(3), 3, 2, 4, 1)]
    assert torch.autograd.gradcheck(KERNELS["temporal_links"], arguments)


@pytest.fixture
def uninitialised_is_nan() -> Iterator[None]:
    """Memory that PyTorch allocates without filling holds NaN, so that reading any of it shows."""
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.empty(1000).isnan().all()
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@EVERY_KERNEL
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("slots", [1, 2, 9])
@pytest.mark.usefixtures("uninitialised_is_nan")
def test_nothing_uninitialised_is_read(name: str, heads: int, slots: int):
    arguments = list(KERNELS[name].build(Sampler(4), 2, heads, slots, 3))
    assert_equals_reference(name, arguments, 1e-12)


@EVERY_KERNEL
def test_an_output_without_gradient_counts_as_zero(name: str):
    arguments = [argument.requires_grad_() for argument in KERNELS[name].build(Sampler(5), 2, 2, 5, 3)]
    for alone in range(len(KERNELS[name](*arguments))):
        losses = [as_tuple(function(*arguments))[alone].square().sum() for function in PAIRS[name]]
        found, expected = (torch.autograd.grad(loss, arguments, materialize_grads=True) for loss in losses)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("gates", [None, 0.0, 1.0])
@pytest.mark.parametrize("state", ["empty", "full", "one slot written and read"])
def test_access_with_ties_and_zeros_equals_the_reference(slots: int, gates: float | None, state: str):
    """The first steps of every episode: usages of exactly 0 and 1, weightings and words of zero, gates at an end."""
    arguments = list(KERNELS["dnc_access"].build(Sampler(6), 2, 2, slots, 3))
    for field in arguments[:6]:
        field.zero_()
    if state == "full":
        arguments[1].fill_(1)
    elif state == "one slot written and read":
        for field in (arguments[1], arguments[3], arguments[4], arguments[5]):
            field[..., slots // 2] = 1
    if gates is not None:
        for gate in (arguments[10], *arguments[12:15]):
            gate.fill_(gates)
    assert_equals_reference("dnc_access", arguments, 1e-12)


def test_allocation_that_an_access_shows_is_the_one_of_its_usage_and_carries_no_gradient():
    arguments = [argument.requires_grad_() for argument in KERNELS["dnc_access"].build(Sampler(7), 2, 2, 5, 3)]
    memory, usage, links, precedence, read_weights, write_weights = arguments[:6]
    after = access(memory, usage, links, precedence, read_weights, write_weights, Interface(*arguments[6:]))
    (expected,) = oracles.by_row(oracles.allocation, after.usage.detach().numpy())
    torch.testing.assert_close(after.allocation, torch.from_numpy(expected), rtol=0, atol=1e-12)
    assert not after.allocation.requires_grad
