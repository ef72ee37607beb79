"""The compiled loops of matrix memories against their equations, and what a call of them has to keep.

Legend: B batch, T time, H heads, K key size, V value size.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lukasa import memory
from lukasa.memory.kernels import matrix_memory
from lukasa.memory.kernels.matrix_memory import reference
from tests.memory.samples import Sampler

pytest.importorskip("numba", reason="there is no native code without Numba")
from lukasa.memory.kernels.matrix_memory.native import run_loops
from tests.memory.threads import native_threads

SIZES = [(3, 7, 2, 5, 3), (2, 40, 1, 7, 18), (1, 5, 3, 1, 1)]
"""B, T, H, K, V: with and without a rest of four keys, several checkpoints, vectors of one number."""


def _recurrence(draw: Sampler, b: int, t: int, h: int, k: int, v: int) -> list[Tensor]:
    keys = torch.nn.functional.normalize(draw.normal(b, t, h, k), dim=-1)
    gates = draw.gate(b, t, h), draw.gate(b, t, h)
    return [keys, draw.normal(b, t, h, k), draw.normal(b, t, h, v), *gates, draw.normal(b, h, k, v)]


def _hadamard(draw: Sampler, b: int, t: int, h: int, k: int, v: int) -> list[Tensor]:
    keyed = [draw.normal(b, t, h, k) for _ in range(3)]
    valued = [draw.normal(b, t, h, v) for _ in range(2)]
    return [keyed[0], keyed[1], valued[0], valued[1], keyed[2], draw.normal(b, h, k, v)]


ARGUMENTS: dict[str, tuple[str, Callable[..., list[Tensor]], Callable[..., dict[str, Any]]]] = {
    "write": ("rank_one", _recurrence, lambda k: {"delta": False}),
    "delta": ("rank_one", _recurrence, lambda k: {"delta": True}),
    "stabilise": (
        "stabilise",
        lambda draw, b, t, h, k, v: [draw.gate(b, t, h).log(), 2 * draw.normal(b, t, h), draw.normal(b, h)],
        lambda k: {},
    ),
    "trace": (
        "trace",
        lambda draw, b, t, h, k, v: [
            draw.normal(b, t, h, k),
            draw.gate(b, t, h),
            draw.gate(b, t, h),
            draw.normal(b, h, k),
        ],
        lambda k: {},
    ),
    "hadamard": ("hadamard", _hadamard, lambda k: {}),
    "length": ("of_length", lambda draw, b, t, h, k, v: [draw.normal(b, t, h, k)], lambda k: {"mean": False}),
    "mean square": ("of_length", lambda draw, b, t, h, k, v: [draw.normal(b, t, h, k)], lambda k: {"mean": True}),
    "gated": (
        "gated",
        lambda draw, b, t, h, k, v: [draw.normal(b, t, h, k), 3 * draw.normal(b, t, h, k)],
        lambda k: {},
    ),
    "convolution": (
        "convolution",
        lambda draw, b, t, h, k, v: [draw.normal(b, t, k + v), draw.normal(b, 3, k + v), draw.normal(4, k + v)],
        lambda k: {"widths": (k, k)},
    ),
}
EVERY = pytest.mark.parametrize("name", ARGUMENTS)


def arguments(name: str, sizes: tuple[int, ...], dtype: torch.dtype) -> tuple[str, list[Tensor], dict[str, Any]]:
    operation, drawn, options = ARGUMENTS[name]
    if name == "convolution":
        sizes = (*sizes[:3], sizes[3], sizes[3])
    tensors = [one.to(dtype).requires_grad_() for one in drawn(Sampler(0), *sizes)]
    return operation, tensors, options(sizes[3])


def some_starts(rows: int, steps: int) -> Tensor:
    """Row 0 at the first step and two in a row, others somewhere."""
    starts = torch.rand(rows, steps, generator=torch.Generator().manual_seed(1)) < 0.2
    starts[0, 0] = True
    starts[0, 2:4] = True
    return starts


@EVERY
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float64, 1e-11), (torch.float32, 2e-4)], ids=str)
def test_loops_equal_the_equations(name: str, sizes: tuple[int, ...], resets: bool, dtype: torch.dtype, near: float):
    """Results and all gradients; float32 adds up to forty steps in another order."""
    operation, tensors, options = arguments(name, sizes, dtype)
    starts = some_starts(*sizes[:2]) if resets else None
    found = run_loops(operation, starts, tensors, options)
    expected = getattr(reference, operation)(starts, *tensors, **options)
    slopes = [Sampler(2).normal(*one.shape).to(dtype) for one in expected]
    back, expected_back = (torch.autograd.grad(some, tensors, slopes) for some in (found, expected))
    for one, wanted in zip([*found, *back], [*expected, *expected_back], strict=True):
        torch.testing.assert_close(one, wanted, rtol=near, atol=near * (1 + wanted.abs().max().item()))


@EVERY
def test_bits_do_not_depend_on_threads_and_neighbours(name: str):
    operation, tensors, options = arguments(name, (9, 20, 2, 6, 5), torch.float32)
    starts = some_starts(9, 20)

    def results(rows: slice) -> list[Tensor]:
        mine = [one[rows] if one.shape[0] == 9 else one for one in tensors]
        found = run_loops(operation, starts[rows], mine, options)
        return [*found, *torch.autograd.grad(found, tensors[0], [torch.ones_like(one) for one in found])]

    with native_threads(1):
        one = results(slice(0, 9))
    with native_threads(4):
        four, last = results(slice(0, 9)), results(slice(8, 9))
    torch.testing.assert_close(four, one, rtol=0, atol=0)
    torch.testing.assert_close([part[-1:] for part in last], [part[-1:] for part in one], rtol=0, atol=0)


@pytest.mark.parametrize("name", ["delta", "hadamard"])
def test_memory_of_the_way_back_is_that_of_a_few_matrices(name: str):
    """Of 1,024 steps 32 matrices are kept, and what is given and found."""
    from lukasa.memory.kernels.matrix_memory.operations import OPERATIONS

    operation, tensors, options = arguments(name, (1, 1024, 1, 16, 16), torch.float32)
    with torch.no_grad():
        _, kept = OPERATIONS[operation].forward(None, tensors, True, **options)
    matrices = max(kept, key=lambda one: one.dim())
    assert matrices.shape == (32, 1, 1, 16, 16)
    assert sum(one.numel() for one in kept) <= 32 * 256 + 1024 * 16


def test_few_steps_transforms_and_graphs_of_gradients_take_the_equations():
    operation, tensors, options = arguments("delta", (2, 9, 2, 3, 3), torch.float64)
    expected = getattr(reference, operation)(None, *tensors, **options)
    short = [one[:, :1] if one.dim() != 4 or one.shape[1] == 9 else one for one in tensors[:-1]]
    torch.testing.assert_close(
        matrix_memory.rank_one(None, *short, tensors[-1], delta=True)[0], expected[0][:, :1], rtol=0, atol=1e-12
    )
    run: Any = lambda *some: matrix_memory.rank_one(None, *some, delta=True)[0]  # noqa: E731
    mapped = torch.func.vmap(run)(*(one.unsqueeze(0) for one in tensors))
    torch.testing.assert_close(mapped[0], expected[0], rtol=0, atol=1e-12)
    assert torch.autograd.gradgradcheck(run, tensors, fast_mode=True)


def test_without_numba_the_equations_run_and_it_is_said_once(monkeypatch: pytest.MonkeyPatch):
    from lukasa.memory.kernels.sequence import choice

    core = memory.make_core("mlstm", input_size=3, output_size=2, size=8, heads=2, key_size=4, value_size=4)
    inputs = torch.randn(2, 9, 3, generator=torch.Generator().manual_seed(0))
    expected, _ = memory.unroll(core, inputs)
    monkeypatch.setattr("lukasa.memory.kernels.matrix_memory.interface.has_numba", lambda: False)
    choice.say_once.cache_clear()
    with pytest.warns(UserWarning, match="Numba is not installed"):
        found, _ = memory.unroll(core, inputs)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
