"""Every core in float16 and bfloat16 over the table of core_rows.py: finite, and near to what float32 gives.

Legend: B batch, T time, D input width.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lukasa import memory
from tests.memory.core_rows import EVERY_CORE, Row, sequences

# A number is off by up to 2^-11 (float16) or 2^-8 (bfloat16) of itself, and six steps of a small core add up to less
# than fifty such roundings.
NEAR: dict[torch.dtype, dict[str, float]] = {
    torch.float16: {"rtol": 0.03, "atol": 0.03},
    torch.bfloat16: {"rtol": 0.2, "atol": 0.2},
}
EVERY_HALF = pytest.mark.parametrize("dtype", NEAR, ids=str)


def outcome(core: memory.Core, inputs: Tensor, state: memory.State | None) -> tuple[Tensor, list[Tensor], memory.State]:
    """Outputs, gradients of their mean square with respect to inputs and parameters, and the last state."""
    inputs = inputs.clone().requires_grad_()
    outputs, last = memory.unroll(core, inputs, state)
    wanted = [inputs, *(parameter for parameter in core.parameters() if parameter.requires_grad)]
    slopes = torch.autograd.grad(outputs.float().square().mean(), wanted, materialize_grads=True)
    return outputs, list(slopes), last


def pair(row: Row, dtype: torch.dtype, **options: Any) -> tuple[memory.Core, memory.Core]:
    """A core in a half, and one of float32 that holds the very same numbers."""
    torch.manual_seed(0)
    half = memory.make_core(row.core, input_size=3, output_size=2, **row.options | options).to(dtype)
    whole = memory.make_core(row.core, input_size=3, output_size=2, **row.options | options)
    whole.load_state_dict(half.state_dict())
    return half, whole


@EVERY_CORE
@EVERY_HALF
@pytest.mark.parametrize("slots", [None, 64], ids=["few slots", "64 slots"])
def test_halves_are_finite_and_near_to_float32(row: Row, dtype: torch.dtype, slots: int | None):
    """From an empty memory, where words of almost no length are addressed."""
    if slots and "slots" not in row.options:
        pytest.skip("this core has no slots")
    half, whole = pair(row, dtype, **({"slots": slots} if slots else {}))
    inputs = sequences().to(dtype)
    outputs, slopes, last = outcome(half, inputs, None)
    expected, expected_slopes, _ = outcome(whole, inputs.float(), None)
    assert outputs.dtype == dtype
    assert all(part.dtype == dtype for part in (last if isinstance(last, tuple) else ()) if is_number(part))
    torch.testing.assert_close(outputs.float(), expected, **NEAR[dtype])
    for slope, wanted in zip(slopes, expected_slopes, strict=True):
        assert slope.isfinite().all()
        torch.testing.assert_close(slope.float(), wanted, **NEAR[dtype])


@EVERY_CORE
@EVERY_HALF
@pytest.mark.parametrize("value", [0.0, 6e-8, 300.0], ids=["zero", "denormal", "squares overflow"])
def test_halves_stay_finite_at_the_ends_of_their_range(row: Row, dtype: torch.dtype, value: float):
    half, _ = pair(row, dtype)
    _, state = memory.unroll(half, sequences().to(dtype))
    flat = {name: tensor.detach().clone() for name, tensor in memory.state_to_dict(state).items()}
    for name in ("memory", "memory.rows"):
        if name in flat:
            flat[name].fill_(value)
    outputs, slopes, last = outcome(half, sequences(seed=2).to(dtype), memory.state_from_dict(half, flat))
    assert outputs.isfinite().all()
    assert all(slope.isfinite().all() for slope in slopes)
    assert all(part.isfinite().all() for part in memory.state_to_dict(last).values() if part.is_floating_point())


def is_number(part: Any) -> bool:
    return isinstance(part, Tensor) and part.is_floating_point()
