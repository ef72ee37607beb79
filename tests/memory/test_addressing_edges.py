"""Addressing where a formula could divide by zero, underflow, tie or lose its gradient.

Legend: B batch, H heads of one kind, N slots, W word size.
"""

import itertools
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lukasa.memory import addressing
from lukasa.memory.kernels.allocation import allocate
from lukasa.memory.kernels.content import content_weights
from lukasa.memory.kernels.ntm_address import address
from tests.memory import oracles
from tests.memory.samples import Sampler, property_test

Allocate: TypeAlias = Callable[[Tensor], Tensor]
Sharpen: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Content: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]

# Usages in which the free list, and not the values alone, decides the allocation.
TIED_USAGES = {
    "all zero": [0.0, 0.0, 0.0, 0.0],
    "all one": [1.0, 1.0, 1.0, 1.0],
    "one zero": [0.6, 0.0, 0.3, 0.9],
    "two zeros": [0.6, 0.0, 0.3, 0.0],
    "three zeros": [0.0, 0.5, 0.0, 0.0],
    "zeros and ones": [1.0, 0.0, 1.0, 0.0],
    "one slot free among full ones": [1.0, 1.0, 0.4, 1.0],
    "tied pairs": [0.7, 0.2, 0.7, 0.2],
    "all tied": [0.5, 0.5, 0.5, 0.5],
    "tied at the top": [0.9, 0.1, 0.9, 0.9],
    "one slot": [0.3],
}


def kernel_allocation(usage: Tensor) -> Tensor:
    """What the kernel allocates at this usage: nothing was written, read or freed at the step before."""
    nothing = torch.zeros_like(usage)
    return allocate(usage, nothing, nothing.unsqueeze(1), nothing[:, :1])[1]


def kernel_sharpen(weights: Tensor, sharpness: Tensor) -> Tensor:
    """What the kernel makes of weights that are neither blended with a content nor shifted."""
    batch_size, heads, slots = weights.shape
    memory, keys = weights.new_ones(batch_size, slots, 1), weights.new_ones(batch_size, heads, 1)
    flat, closed = weights.new_ones(batch_size, heads), weights.new_zeros(batch_size, heads)
    return address(memory, weights, keys, flat, closed, flat.unsqueeze(2), sharpness)


SHARPENINGS = pytest.mark.parametrize("sharpen", [addressing.sharpen, kernel_sharpen])
ALLOCATIONS = pytest.mark.parametrize("allocation", [addressing.allocation, kernel_allocation])
CONTENTS = pytest.mark.parametrize("content", [addressing.content_weights, content_weights], ids=["plain", "kernel"])


def gradients(result: Tensor, leaves: list[Tensor], seed: int = 0) -> list[Tensor]:
    return list(torch.autograd.grad(result, leaves, Sampler(seed).normal(*result.shape).to(result.dtype)))


@ALLOCATIONS
@pytest.mark.parametrize("used", TIED_USAGES.values(), ids=TIED_USAGES)
def test_allocation_of_ties_takes_the_lowest_slot_first(allocation: Allocate, used: list[float]):
    usage = torch.tensor([used], dtype=torch.float64, requires_grad=True)
    found = allocation(usage)
    np.testing.assert_allclose(found.detach().numpy()[0], oracles.allocation(np.array(used)), rtol=0, atol=1e-15)


@ALLOCATIONS
@pytest.mark.parametrize("used", TIED_USAGES.values(), ids=TIED_USAGES)
def test_gradient_of_allocation_at_ties_is_the_one_of_its_free_list(allocation: Allocate, used: list[float]):
    for seed in range(3):
        usage = torch.tensor([used], dtype=torch.float64, requires_grad=True)
        upstream = Sampler(seed).normal(1, len(used))
        (found,) = torch.autograd.grad(allocation(usage), usage, upstream)
        expected = oracles.allocation_gradient(np.array(used), upstream[0].numpy())
        np.testing.assert_allclose(found.numpy()[0], expected, rtol=0, atol=1e-12)


def test_gradient_oracle_of_allocation_agrees_with_finite_differences_where_nothing_ties():
    used, upstream = Sampler(0).distinct(1, 6)[0].numpy(), Sampler(1).normal(6).numpy()
    for slot in range(6):
        step = 1e-6 * np.eye(6)[slot]
        difference = oracles.allocation(used + step) - oracles.allocation(used - step)
        assert oracles.allocation_gradient(used, upstream)[slot] == pytest.approx(
            upstream @ difference / 2e-6, abs=1e-7
        )


@ALLOCATIONS
def test_rows_of_a_batch_have_free_lists_of_their_own(allocation: Allocate):
    usages = torch.tensor([row for row in TIED_USAGES.values() if len(row) == 4], dtype=torch.float64)
    together = allocation(usages)
    apart = torch.cat([allocation(row.unsqueeze(0)) for row in usages])
    torch.testing.assert_close(together, apart, rtol=0, atol=0)


@ALLOCATIONS
@property_test
@given(used=st.lists(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=9))
def test_allocation_sums_to_one_less_the_product_of_all_usages(allocation: Allocate, used: list[float]):
    """Whatever ties: nothing is left to allocate only where every slot is full."""
    allocated = allocation(torch.tensor([used], dtype=torch.float64))
    assert allocated.min() >= 0
    assert allocated.sum().item() == pytest.approx(1 - np.prod(used), abs=1e-12)


@ALLOCATIONS
def test_allocation_of_many_nearly_free_slots_has_a_finite_gradient_in_float32(allocation: Allocate):
    usage = (torch.arange(256).flip(0) * 1e-30).unsqueeze(0).requires_grad_()  # products underflow after two slots
    found = allocation(usage)
    assert found[0, 255] == 1
    assert torch.isfinite(gradients(found, [usage])[0]).all()


@CONTENTS
@pytest.mark.parametrize("zero", ["row", "key", "both", "memory"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_zero_row_or_key_has_similarity_zero(content: Content, zero: str, dtype: torch.dtype):
    sampler = Sampler(0)
    memory, keys = sampler.normal(2, 5, 4), sampler.normal(2, 3, 4)
    if zero in ("row", "both"):
        memory[:, 2] = 0
    if zero in ("key", "both"):
        keys[:, 1] = 0
    if zero == "memory":
        memory.zero_()
    leaves = [part.to(dtype).requires_grad_() for part in (memory, keys, sampler.above(0, 2, 3))]
    weights = content(*leaves)
    (expected,) = oracles.by_row(oracles.content_weights, *(leaf.detach().double().numpy() for leaf in leaves))
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5  # float32 rounds at 6e-8, times strengths of up to 5
    torch.testing.assert_close(weights.double(), torch.from_numpy(expected), rtol=0, atol=tolerance)
    assert all(torch.isfinite(gradient).all() for gradient in gradients(weights, leaves))
    if zero in ("key", "both"):
        torch.testing.assert_close(weights[:, 1], torch.full((2, 5), 0.2, dtype=dtype))


@CONTENTS
@pytest.mark.parametrize("zero", ["row", "key"])
def test_gradient_into_a_zero_row_or_key_equals_finite_differences(content: Content, zero: str):
    sampler = Sampler(1)
    memory, keys, strengths = sampler.normal(2, 3, 4), sampler.normal(2, 2, 4), sampler.above(0, 2, 2)
    (memory[:, 1] if zero == "row" else keys[:, 1]).zero_()
    leaves = [part.requires_grad_() for part in (memory, keys, strengths)]
    # The epsilon of 1e-6 bends the similarity within 1e-3 of zero: finite differences have to step well below that.
    assert torch.autograd.gradcheck(content, leaves, eps=1e-7, atol=1e-4)


@CONTENTS
def test_strong_content_weights_are_one_hot_without_overflow(content: Content):
    memory = torch.eye(4).unsqueeze(0).requires_grad_()
    weights = content(memory, 100 * torch.eye(4).unsqueeze(0), torch.full((1, 4), 1e4))
    torch.testing.assert_close(weights[0], torch.eye(4))
    assert torch.isfinite(gradients(weights, [memory])[0]).all()


@SHARPENINGS
@pytest.mark.parametrize("sharpness", [1.0, 5.0, 50.0, 500.0])
@pytest.mark.parametrize("shape", ["flat", "nearly flat", "one slot", "a peak"])
def test_sharpening_never_loses_mass_in_float32(sharpen: Sharpen, shape: str, sharpness: float):
    """(1/128)^50 is 4e-106: a plain power underflows in float32 and the sum is lost."""
    weights = torch.full((1, 1, 128), 1 / 128)
    if shape == "nearly flat":
        weights = torch.softmax(0.01 * Sampler(0).normal(1, 1, 128).float(), -1)
    elif shape in ("one slot", "a peak"):
        weights[0, 0, 7] = 1 if shape == "one slot" else 0.01
        weights[0, 0, :7] = weights[0, 0, 8:] = 0 if shape == "one slot" else 0.99 / 127
    gamma = torch.full((1, 1), sharpness)
    sharp = sharpen(weights, gamma)
    assert sharp.sum().item() == pytest.approx(1, abs=1e-5)
    if sharpness <= 50:  # the plain power of the oracle underflows at 500 even in float64
        (expected,) = oracles.by_row(oracles.sharpen, weights.double().numpy(), gamma.double().numpy())
        np.testing.assert_allclose(sharp.double().numpy(), expected, rtol=0, atol=1e-5)


@SHARPENINGS
def test_flat_weights_stay_flat_at_any_sharpness(sharpen: Sharpen):
    flat = torch.full((1, 2, 128), 1 / 128, requires_grad=True)
    sharp = sharpen(flat, torch.tensor([[1.0, 50.0]]))
    torch.testing.assert_close(sharp, flat)


@SHARPENINGS
@pytest.mark.parametrize("sharpness", [1.0, 1.0000001, 3.0, 50.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sharpening_an_all_zero_weighting_gives_zeros_and_a_finite_gradient(
    sharpen: Sharpen, sharpness: float, dtype: torch.dtype
):
    weights = torch.zeros(1, 2, 5, dtype=dtype)
    weights[0, 1] = 0.2  # the other head is an ordinary one
    leaves = [weights.requires_grad_(), torch.full((1, 2), sharpness, dtype=dtype, requires_grad=True)]
    sharp = sharpen(*leaves)
    assert sharp[0, 0].count_nonzero() == 0
    torch.testing.assert_close(sharp[0, 1], weights[0, 1])
    assert all(torch.isfinite(gradient).all() for gradient in gradients(sharp, leaves))


@SHARPENINGS
@pytest.mark.parametrize("sharpness", [1.0, 2.0, 50.0])
def test_sharpening_zeros_among_weights_has_the_gradient_of_the_power(sharpen: Sharpen, sharpness: float):
    """At w = 0 the power has a one-sided slope: 1 for γ = 1, 0 for γ > 1; the slope in γ is 0."""
    leaves = [
        torch.tensor([[[0.5, 0.0, 0.3, 0.0, 0.2]]], dtype=torch.float64, requires_grad=True),
        torch.tensor([[sharpness]], dtype=torch.float64, requires_grad=True),
    ]
    upstream = Sampler(0).normal(1, 1, 5)
    found = torch.autograd.grad(sharpen(*leaves), leaves, upstream)
    weights, gamma, up = leaves[0].detach().numpy()[0], leaves[1].detach().numpy()[0], upstream.numpy()[0]
    step = 1e-7
    for slot in range(5):
        moved = weights + step * np.eye(5)[slot]
        slope = (up * (oracles.sharpen(moved, gamma) - oracles.sharpen(weights, gamma))).sum() / step
        assert found[0][0, 0, slot].item() == pytest.approx(slope, abs=1e-3)  # one-sided: error of order γ² · step
    slope = (up * (oracles.sharpen(weights, gamma + step) - oracles.sharpen(weights, gamma))).sum() / step
    assert found[1].item() == pytest.approx(slope, abs=1e-5)


def test_order_of_write_heads_does_not_matter():
    sampler = Sampler(2)
    memory, weights = sampler.normal(2, 5, 4), sampler.weighting(2, 3, 5)
    erase, add = sampler.gate(2, 3, 4), sampler.normal(2, 3, 4)
    expected = addressing.erase_and_add(memory, weights, erase, add)
    for order in itertools.permutations(range(3)):
        found = addressing.erase_and_add(memory, weights[:, order], erase[:, order], add[:, order])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_every_head_erases_before_any_head_adds():
    ones = torch.ones(1, 2, 1)
    erase = torch.tensor([[[0.0], [1.0]]])  # head 0 adds 5, head 1 erases all and adds nothing
    add = torch.tensor([[[5.0], [0.0]]])
    assert addressing.erase_and_add(torch.full((1, 1, 1), 3.0), ones, erase, add).item() == 5


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_gradient_of_a_write_that_erases_everything_equals_finite_differences(heads: int):
    """Full erasures make factors of zero: a gradient that divides by the product would be 0/0."""
    sampler = Sampler(3)
    weights, erase = torch.zeros(1, heads, 3, dtype=torch.float64), torch.ones(1, heads, 2, dtype=torch.float64)
    weights[:, :, 1] = 1
    arguments = (sampler.normal(1, 3, 2), weights, erase, sampler.normal(1, heads, 2))
    assert torch.autograd.gradcheck(addressing.erase_and_add, [part.requires_grad_() for part in arguments])


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_gradient_of_usage_with_several_full_frees_equals_finite_differences(heads: int):
    """Fully freed slots make factors of zero in the retention: a gradient that divides by it would be 0/0."""
    sampler = Sampler(4)
    reads = torch.zeros(1, heads, 3, dtype=torch.float64)
    reads[:, :, 1] = 1
    arguments = (sampler.gate(1, 3), sampler.weighting(1, 3), reads, torch.ones(1, heads, dtype=torch.float64))
    assert torch.autograd.gradcheck(addressing.usage, [part.requires_grad_() for part in arguments])


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_gates_at_their_ends_choose_exactly_one_side_and_keep_the_gradient(weight: float):
    sampler = Sampler(5)
    arguments = [sampler.distribution(1, 2, 4), sampler.distribution(1, 2, 4), torch.full((1, 2), weight).double()]
    torch.testing.assert_close(addressing.interpolate(*arguments), arguments[int(weight)], rtol=0, atol=1e-15)
    assert torch.autograd.gradcheck(addressing.interpolate, [part.requires_grad_() for part in arguments])


def test_diagonal_of_the_links_passes_no_gradient():
    sampler = Sampler(6)
    leaves = [sampler.links(1, 4).requires_grad_(), *(sampler.weighting(1, 4).requires_grad_() for _ in range(2))]
    links = addressing.temporal_links(*leaves)
    on_diagonal = torch.eye(4, dtype=torch.float64).unsqueeze(0)
    assert all(gradient.count_nonzero() == 0 for gradient in torch.autograd.grad(links, leaves, on_diagonal))
