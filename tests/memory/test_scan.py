"""The scan kernel: against a loop over single numbers, its gradients, resets, threads, and where it is left.

Legend: B batch, T time, C channels.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import grad, vmap

from lukasa.memory.kernels.scan import choice, complex_scan, scan
from lukasa.memory.kernels.scan.reference import by_steps
from lukasa.memory.kernels.sequence import choice as sequence_choice
from tests.memory.samples import Sampler
from tests.memory.threads import native_threads

SCANS: dict[bool, Any] = {False: scan, True: complex_scan}


class Case(NamedTuple):
    """Which recurrence: of complex numbers, a constant over time, and where rows are reset."""

    paired: bool
    constant: bool
    resets: tuple[tuple[int, int], ...]


RESETS = ((), ((0, 0), (1, 2), (1, 3), (2, 6)), tuple((0, time) for time in range(7)))
CASES = [Case(*one) for one in np.ndindex(2, 2, 3)]
CASES = [Case(bool(paired), bool(constant), RESETS[which]) for paired, constant, which in CASES]
EVERY_CASE = pytest.mark.parametrize(
    "case",
    CASES,
    ids=lambda case: f"{['real', 'complex'][case.paired]}-{['given', 'constant'][case.constant]}-{len(case.resets)}",
)


def arguments(case: Case, rows: int = 3, steps: int = 7, channels: int = 6, seed: int = 0) -> list[Any]:
    """Factors, additions, first and fresh state in float64, and starts."""
    draw = Sampler(seed)
    a = draw.normal(channels) if case.constant else draw.normal(rows, steps, channels)
    starts = torch.zeros(rows, steps, dtype=torch.bool)
    for row, time in case.resets:
        starts[row, time] = True
    b, first, fresh = draw.normal(rows, steps, channels), draw.normal(rows, channels), draw.normal(rows, channels)
    return [a, b, first, starts if case.resets else None, fresh]


def by_single_numbers(case: Case, a: Any, b: Any, first: Any, starts: Any, fresh: Any) -> np.ndarray:
    """All states [B, T, C]: Python numbers, complex ones where they are."""
    rows, steps, channels = b.shape
    count = channels // 2 if case.paired else channels

    def number(vector: Any, channel: int) -> complex | float:
        real = float(vector[channel])
        return complex(real, float(vector[count + channel])) if case.paired else real

    states = np.zeros((rows, steps, channels))
    for row in range(rows):
        for channel in range(count):
            state = number(first[row], channel)
            for time in range(steps):
                if starts is not None and starts[row, time]:
                    state = number(fresh[row], channel)
                state = number(a if case.constant else a[row, time], channel) * state + number(b[row, time], channel)
                states[row, time, channel] = state.real
                if case.paired:
                    states[row, time, count + channel] = state.imag
    return states


def results(run: Any, given: list[Any]) -> list[Tensor]:
    """States, last state, and gradients of all four tensors from both."""
    leaves = [one.detach().clone().requires_grad_() if index != 3 else one for index, one in enumerate(given)]
    states, last = run(*leaves)
    loss = states.sin().sum() + last.square().sum()
    wanted = [leaf for index, leaf in enumerate(leaves) if index != 3]
    return [states, last, *torch.autograd.grad(loss, wanted, materialize_grads=True)]


def reference(case: Case) -> Any:
    return lambda a, b, first, starts, fresh: by_steps(case.paired, starts, a, b, first, fresh)


@EVERY_CASE
def test_states_are_those_of_single_numbers(case: Case):
    given = arguments(case)
    states, last = SCANS[case.paired](*given)
    np.testing.assert_allclose(states.numpy(), by_single_numbers(case, *given), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(last, states[:, -1], rtol=0, atol=0)


@EVERY_CASE
@pytest.mark.parametrize("sizes", [(3, 7, 6), (1, 9, 2), (2, 7, 70), (5, 1, 4)], ids=str)
def test_gradients_are_those_of_single_steps(case: Case, sizes: tuple[int, int, int]):
    rows, steps, _ = sizes
    resets = tuple((row, time) for row, time in case.resets if row < rows and time < steps)
    given = arguments(case._replace(resets=resets), *sizes)
    expected = results(reference(case), given)
    torch.testing.assert_close(results(SCANS[case.paired], given), expected, rtol=1e-10, atol=1e-10)


@EVERY_CASE
def test_gradients_are_those_of_finite_differences(case: Case):
    given = arguments(case._replace(resets=tuple(one for one in case.resets if one[1] < 4)), steps=4)
    starts = given[3]
    leaves = [one.requires_grad_() for index, one in enumerate(given) if index != 3]

    def run(a: Tensor, b: Tensor, first: Tensor, fresh: Tensor) -> tuple[Tensor, Tensor]:
        return SCANS[case.paired](a, b, first, starts, fresh)

    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, leaves, fast_mode=True)


def test_a_gradient_of_the_last_state_alone_reaches_everything():
    given = arguments(CASES[0])
    for paired, run in SCANS.items():
        found = []
        for one in (run, reference(CASES[0]._replace(paired=paired))):
            leaves = [tensor.clone().requires_grad_() for tensor in given[:3]]
            found.append(torch.autograd.grad(one(*leaves, None, given[4])[1].sum(), leaves))
        torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)


@EVERY_CASE
def test_a_nan_ends_with_the_reset(case: Case):
    """Before the first step and in an addition; row 1 is reset at steps 2 and 3."""
    given = arguments(case._replace(resets=((1, 2), (1, 3))))
    given[2][1], given[1][1, 1] = math.nan, math.inf
    states, last = SCANS[case.paired](*given)
    assert not states[1, 1].isfinite().any()
    assert states[1, 2:].isfinite().all()
    assert states[[0, 2]].isfinite().all()
    assert last.isfinite().all()
    leaves = [one.requires_grad_() for index, one in enumerate(given) if index != 3]
    states, _ = SCANS[case.paired](*leaves[:3], given[3], leaves[3])
    gradients = torch.autograd.grad(states[:, 3:].sum(), leaves)
    assert all(gradient.isfinite().all() for gradient in gradients[1:])
    assert gradients[1][1, :3].count_nonzero() == 0
    assert gradients[2][1].count_nonzero() == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("rows", [1, 2, 37])
@pytest.mark.parametrize("paired", [False, True], ids=["real", "complex"])
def test_the_same_bits_for_any_number_of_threads(paired: bool, rows: int, dtype: torch.dtype):
    given = arguments(Case(paired, rows == 2, ((0, 3),)), rows, 9, 390)
    given = [one.to(dtype) if index != 3 else one for index, one in enumerate(given)]
    found = []
    for threads in (1, 2, 3, 5):
        with native_threads(threads):
            found.append(results(SCANS[paired], given))
    for other in found[1:]:
        assert all(torch.equal(one, same) for one, same in zip(found[0], other, strict=True))


def test_the_same_bits_with_gradients_and_without():
    for case in CASES:
        given = arguments(case)
        with torch.inference_mode():
            plain = SCANS[case.paired](*given)
        assert torch.equal(plain[0], results(SCANS[case.paired], given)[0])


@contextmanager
def full_of_nan() -> Iterator[None]:
    """What is not written to shows."""
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@EVERY_CASE
def test_nothing_is_read_before_it_is_written(case: Case):
    assert torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    expected = results(SCANS[case.paired], arguments(case))
    with full_of_nan():
        torch.testing.assert_close(results(SCANS[case.paired], arguments(case)), expected, rtol=0, atol=0)


def test_views_and_gradients_that_are_spread_out_are_taken():
    given = arguments(CASES[0])
    turned = [given[0].transpose(0, 1).contiguous().transpose(0, 1), given[1].flip(2).flip(2), given[2][:1]]
    turned[2] = turned[2].expand(3, -1)
    given[2] = turned[2].clone()
    leaves = [one.detach().clone().requires_grad_() for one in given[:3]]
    scan(*leaves)[0].sum().backward()  # a gradient of one number, spread out
    torch.testing.assert_close(scan(*turned)[0], scan(*given[:3])[0], rtol=0, atol=0)
    assert leaves[1].grad is not None


def test_halves_are_computed_in_float32_and_autocast_is_left_out():
    given = arguments(CASES[0])
    whole = [one.float().half().float() for one in given[:3]]
    states, last = scan(*(one.half() for one in whole))
    assert states.dtype == last.dtype == torch.float16
    torch.testing.assert_close(states, scan(*whole)[0].half(), rtol=0, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(scan(*whole)[0], scan(*whole)[0], rtol=0, atol=0)
        assert scan(*whole)[0].dtype == torch.float32


@EVERY_CASE
def test_transforms_take_the_equations(case: Case):
    def run(b: Tensor, given: list[Any] = arguments(case)) -> Tensor:  # noqa: B008
        return SCANS[case.paired](given[0], b, *given[2:])[0]

    many = torch.stack([arguments(case, seed=seed)[1] for seed in range(3)])
    torch.testing.assert_close(vmap(run)(many), torch.stack([run(b) for b in many]), rtol=1e-12, atol=1e-12)
    slope = grad(lambda b: run(b).sin().sum())(many[0])
    leaf = many[0].clone().requires_grad_()
    torch.testing.assert_close(slope, torch.autograd.grad(run(leaf).sin().sum(), leaf)[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("paired", [False, True], ids=["real", "complex"])
def test_export_takes_the_equations(paired: bool):
    class Scan(torch.nn.Module):
        def forward(self, a: Tensor, b: Tensor, first: Tensor) -> Tensor:
            return SCANS[paired](a, b, first)[0]

    given = tuple(arguments(CASES[0])[:3])
    exported = torch.export.export(Scan(), given).module()
    torch.testing.assert_close(exported(*given), SCANS[paired](*given)[0], rtol=1e-12, atol=1e-12)


def test_without_numba_it_says_once_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    given = arguments(CASES[0])
    expected = scan(*given)[0]
    monkeypatch.setattr(choice, "has_numba", lambda: False)
    sequence_choice.say_once.cache_clear()
    with pytest.warns(UserWarning, match="Numba is not installed"):
        found = scan(*given)[0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scan(*given)


@pytest.mark.parametrize(
    ("which", "shape", "message"),
    [
        (0, (3, 7, 5), r"a \[3, 7, 5\] does not fit b \[3, 7, 6\]: expected \[3, 7, 6\]"),
        (0, (1, 7, 6), r"a \[1, 7, 6\] does not fit"),
        (2, (6,), r"first \[6\] does not fit b \[3, 7, 6\]: expected \[3, 6\]"),
        (3, (7, 3), r"starts \[7, 3\] does not fit b \[3, 7, 6\]: expected \[3, 7\]"),
        (4, (3, 5), r"fresh \[3, 5\] does not fit"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(which: int, shape: tuple[int, ...], message: str):
    given = arguments(CASES[0])
    given[which] = torch.zeros(shape, dtype=torch.bool if which == 3 else torch.float64)
    with pytest.raises(ValueError, match=message):
        scan(*given)


def test_complex_numbers_need_pairs():
    with pytest.raises(ValueError, match="odd number of channels"):
        complex_scan(*arguments(CASES[0], channels=5))
