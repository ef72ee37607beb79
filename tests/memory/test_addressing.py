"""Every addressing function and every kernel against its oracle, in value and in gradient, for ordinary inputs.

Legend: B batch, H heads of one kind, R read heads, N slots, W word size, S shifts.
"""

import math
import pkgutil
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from lukasa.memory import addressing, kernels
from tests.memory.operations import ADDRESSING, KERNELS, OPERATIONS, Operation
from tests.memory.samples import Sampler, property_test

# Sums of a result along its last dimension: exactly 1, or at most 1. The others are not weightings.
SUM_TO_ONE = {"content_weights", "interpolate", "shift", "sharpen"}
AT_MOST_ONE = {
    *("allocation", "write_weights", "precedence", "temporal_links"),
    *("forward_weights", "backward_weights", "read_weights"),
}
EVERY_OPERATION = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


def assert_equals_oracle(operation: Operation, arguments: Sequence[Tensor], tolerance: float) -> None:
    for found, expected in zip(operation(*arguments), operation.expected(*arguments), strict=True):
        assert found.dtype == arguments[0].dtype
        torch.testing.assert_close(found.double(), torch.from_numpy(expected), rtol=0, atol=tolerance)


def upstreams(results: Sequence[Tensor], seed: int = 0) -> list[Tensor]:
    sampler = Sampler(seed)
    return [sampler.normal(*result.shape) for result in results]


def test_every_function_and_kernel_has_a_row():
    functions = {
        name
        for name, value in vars(addressing).items()
        if getattr(value, "__module__", None) == addressing.__name__ and not name.startswith("_")
    }
    assert functions == set(ADDRESSING)
    # No functions of tensors: sparse/test_access.py, test_sequence_kernels.py, test_scan.py and their like hold them.
    others = {"sparse_access", "sequence", "scan", "lmu", "matrix_memory", "moving", "circuit"}
    assert {module.name for module in pkgutil.iter_modules(kernels.__path__)} == {*KERNELS, *others}


@EVERY_OPERATION
@property_test
@given(seed=st.integers(0, 2**32), sizes=st.tuples(*[st.integers(1, 4)] * 2, st.integers(1, 9), st.integers(1, 5)))
def test_equals_the_papers_loop_in_float64(operation: Operation, seed: int, sizes: tuple[int, int, int, int]):
    assert_equals_oracle(operation, operation.build(Sampler(seed), *sizes), 1e-12)


@EVERY_OPERATION
def test_equals_the_papers_loop_in_float32(operation: Operation):
    # 1e-5: a rounding of 6e-8 in each of a dozen terms, times strengths and powers of up to about 5.
    arguments = operation.build(Sampler(1), 3, 2, 9, 5)
    assert_equals_oracle(operation, [argument.float() for argument in arguments], 1e-5)


@EVERY_OPERATION
@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("slots", [1, 2, 5])
def test_gradient_of_every_argument_equals_finite_differences(operation: Operation, heads: int, slots: int):
    arguments = [argument.requires_grad_() for argument in operation.build(Sampler(2), 2, heads, slots, 3)]
    assert torch.autograd.gradcheck(operation, arguments)


@EVERY_OPERATION
def test_gradient_is_right_when_only_one_argument_needs_it(operation: Operation):
    arguments = operation.build(Sampler(3), 2, 2, 4, 3)
    for alone in range(len(arguments)):
        chosen = [argument.clone().requires_grad_(i == alone) for i, argument in enumerate(arguments)]
        assert torch.autograd.gradcheck(operation, chosen, fast_mode=True), f"argument {alone}"


@EVERY_OPERATION
def test_memory_layout_of_arguments_and_gradients_does_not_matter(operation: Operation):
    arguments = operation.build(Sampler(4), 3, 2, 5, 4)
    plain = [argument.clone().requires_grad_() for argument in arguments]
    strided = [argument.transpose(0, -1).contiguous().transpose(0, -1).requires_grad_() for argument in arguments]
    results = operation(*plain)
    other_results = operation(*strided)
    torch.testing.assert_close(results, other_results, rtol=0, atol=1e-12)
    ups = upstreams(results)
    other_ups = [up.transpose(0, -1).contiguous().transpose(0, -1) for up in ups]
    expected, found = torch.autograd.grad(results, plain, ups), torch.autograd.grad(other_results, strided, other_ups)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@EVERY_OPERATION
def test_arguments_expanded_over_the_batch_get_the_gradient_of_the_sum(operation: Operation):
    """A learned initial state reaches the first step as one row expanded over the batch."""
    row = [argument[:1].clone().requires_grad_() for argument in operation.build(Sampler(6), 1, 2, 5, 4)]
    once = operation(*row)
    thrice = operation(*(argument.expand(3, *argument.shape[1:]) for argument in row))
    torch.testing.assert_close(thrice, tuple(part.expand(3, *part.shape[1:]) for part in once), rtol=0, atol=1e-12)
    ups = upstreams(thrice)
    expected = torch.autograd.grad(once, row, [up.sum(0, keepdim=True) for up in ups])
    torch.testing.assert_close(torch.autograd.grad(thrice, row, ups), expected, rtol=0, atol=1e-12)


@EVERY_OPERATION
def test_arguments_and_arriving_gradients_are_left_unchanged(operation: Operation):
    arguments = [argument.requires_grad_() for argument in operation.build(Sampler(8), 2, 2, 5, 4)]
    results = operation(*arguments)
    ups = upstreams(results)
    held = [tensor.detach() for tensor in (*arguments, *results, *ups)]
    before = [tensor.clone() for tensor in held]
    torch.autograd.grad(results, arguments, ups)
    torch.testing.assert_close(held, before, rtol=0, atol=0)


@EVERY_OPERATION
def test_gradients_can_be_taken_twice_and_are_the_same(operation: Operation):
    """A gradient that writes into what the forward pass saved would be wrong the second time."""
    arguments = [argument.requires_grad_() for argument in operation.build(Sampler(9), 2, 2, 5, 4)]
    results = operation(*arguments)
    ups = upstreams(results)
    first = torch.autograd.grad(results, arguments, ups, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(results, arguments, ups), first, rtol=0, atol=0)


@pytest.mark.parametrize("name", sorted(SUM_TO_ONE | AT_MOST_ONE))
@property_test
@given(seed=st.integers(0, 2**32), slots=st.integers(1, 40), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_weightings_are_non_negative_and_bounded(name: str, seed: int, slots: int, dtype: torch.dtype):
    arguments = [argument.to(dtype) for argument in OPERATIONS[name].build(Sampler(seed), 2, 3, slots, 4)]
    weights = getattr(addressing, name)(*arguments)
    rounding = 64 * torch.finfo(dtype).eps  # of a sum over 40 slots, and of the arguments' own sums
    assert weights.min() >= (-rounding if name == "temporal_links" else 0)
    totals = weights.sum(-1)
    assert totals.max() <= 1 + rounding
    if name in SUM_TO_ONE:
        assert totals.min() >= 1 - rounding


@property_test
@given(seed=st.integers(0, 2**32), slots=st.integers(1, 12), heads=st.integers(1, 4))
def test_usage_stays_between_zero_and_one_and_links_bounded_over_a_program(seed: int, slots: int, heads: int):
    """Sixty steps of writes and frees, some hard and some soft, from an empty memory."""
    sampler = Sampler(seed)
    used, recent = torch.zeros(1, slots, dtype=torch.float64), torch.zeros(1, slots, dtype=torch.float64)
    links = torch.zeros(1, slots, slots, dtype=torch.float64)
    writes, reads = torch.zeros_like(used), torch.zeros(1, heads, slots, dtype=torch.float64)
    for step in range(60):
        used = addressing.usage(used, writes, reads, sampler.gate(1, heads).round(decimals=step % 2))
        allocation = addressing.allocation(used)
        gates = sampler.gate(2, 1, 1).round(decimals=step % 3)
        writes = addressing.write_weights(sampler.distribution(1, slots), allocation, gates[0], gates[1])
        links = addressing.temporal_links(links, recent, writes)
        recent = addressing.precedence(recent, writes)
        reads = addressing.forward_weights(links, sampler.weighting(1, heads, slots))
        assert 0 <= used.min() <= used.max() <= 1
        assert allocation.sum() <= 1 + 1e-12
        assert recent.min() >= 0
        assert recent.sum() <= 1 + 1e-12
        assert links.diagonal(dim1=1, dim2=2).count_nonzero() == 0
        assert links.min() >= -1e-12
        assert max(links.sum(1).max(), links.sum(2).max()) <= 1 + 1e-12


@pytest.mark.parametrize("shifts", [1, 3, 5, 7, 9])
def test_shift_moves_weight_forward_and_around_the_end(shifts: int):
    slots, reach = 9, shifts // 2
    for offset in range(-reach, reach + 1):
        moves = torch.zeros(1, 1, shifts)
        moves[0, 0, offset + reach] = 1
        for slot in range(slots):
            weights = torch.zeros(1, 1, slots)
            weights[0, 0, slot] = 1
            assert addressing.shift(weights, moves).argmax() == (slot + offset) % slots
    sampler = Sampler(9)
    soft = (sampler.distribution(2, 2, slots), sampler.distribution(2, 2, shifts))
    assert_equals_oracle(OPERATIONS["shift"], soft, 1e-12)


@pytest.mark.parametrize("shifts", [2, 4, 7])
def test_shift_refuses_an_even_or_too_wide_range(shifts: int):
    with pytest.raises(ValueError, match=rf"^{shifts} shifts for 5 slots: expected an odd number"):
        addressing.shift(torch.ones(1, 1, 5) / 5, torch.ones(1, 1, shifts) / shifts)


def test_content_weights_refuse_words_of_another_size():
    with pytest.raises(ValueError, match=r"keys \[8, 4, 16\] and memory \[8, 128, 20\] .* word size \(16, 20\)"):
        addressing.content_weights(torch.zeros(8, 128, 20), torch.zeros(8, 4, 16), torch.ones(8, 4))


def test_content_weights_without_epsilon_are_the_papers_cosine():
    memory, keys, strengths = OPERATIONS["content_weights"].build(Sampler(10), 2, 3, 5, 4)
    cosine = torch.nn.functional.cosine_similarity(keys.unsqueeze(2), memory.unsqueeze(1), dim=-1, eps=0)
    expected = torch.softmax(cosine * strengths.unsqueeze(-1), -1)
    found = addressing.content_weights(memory, keys, strengths, epsilon=0)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_content_weights_ignore_the_length_of_words_and_keys():
    memory, keys, strengths = OPERATIONS["content_weights"].build(Sampler(11), 2, 3, 5, 4)
    found = addressing.content_weights(3 * memory, 7 * keys, strengths, epsilon=0)
    expected = addressing.content_weights(memory, keys, strengths, epsilon=0)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_oneplus_is_one_far_below_zero_and_grows_without_overflow():
    x = torch.tensor([-1000.0, 0.0, 1000.0], requires_grad=True)
    y = addressing.oneplus(x)
    torch.testing.assert_close(y, torch.tensor([1.0, 1 + math.log(2), 1001.0]))
    assert torch.autograd.grad(y.sum(), x)[0].tolist() == [0.0, 0.5, 1.0]
