"""Which way a scan takes: compiled loops, or plain operations step by step.

Nothing here imports Numba: that happens when a call first takes the compiled way.

Legend: B batch, T time, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lukasa.memory.core import whole, whole_precision
from lukasa.memory.kernels.scan.reference import by_steps
from lukasa.memory.kernels.sequence.calls import NO_NUMBA, has_numba, obstacle_of_the_call
from lukasa.memory.kernels.sequence.choice import obstacle_of_the_tensors, say_once


def scan(
    a: Tensor, b: Tensor, first: Tensor, starts: Tensor | None = None, fresh: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The states of h_t = a_t ∘ h_{t-1} + b_t.

    Args:
        a: [B, T, C], or [C] where it is the same in every row and at every step.
        b: [B, T, C].
        first: [B, C], the state before the first step.
        starts: bool [B, T]; where set, the state of row b is replaced by ``fresh`` before step t. It is selected, not
            multiplied: a NaN in it does not survive. None where nothing is reset.
        fresh: [B, C]; zeros by default.

    Returns:
        All states [B, T, C] and the last one [B, C], in the dtype of ``first``. Halves are computed in float32.

    Raises:
        ValueError: shapes do not fit one another.

    Example:
        >>> import torch
        >>> states, last = scan(torch.tensor([0.5]), torch.ones(1, 4, 1), torch.zeros(1, 1))
        >>> states.flatten().tolist()
        [1.0, 1.5, 1.75, 1.875]
    """
    return _run(False, starts, a, b, first, fresh)


def complex_scan(
    a: Tensor, b: Tensor, first: Tensor, starts: Tensor | None = None, fresh: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The same of complex numbers: of C channels the first half are real parts, the second imaginary parts.

    Args:
        a: as in ``scan``, and so is the rest.
        b: [B, T, C].
        first: [B, C].
        starts: bool [B, T].
        fresh: [B, C].

    Example:
        >>> import torch
        >>> turn = torch.tensor([0.0, 1.0])  # i
        >>> states, _ = complex_scan(turn, torch.zeros(1, 3, 2), torch.tensor([[1.0, 0.0]]))
        >>> states[0].tolist()
        [[0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]
    """
    if b.shape[-1] % 2:
        raise ValueError(f"b {list(b.shape)} has an odd number of channels: expected real and imaginary parts")
    return _run(True, starts, a, b, first, fresh)


def _run(
    paired: bool, starts: Tensor | None, a: Tensor, b: Tensor, first: Tensor, fresh: Tensor | None
) -> tuple[Tensor, Tensor]:
    _check(a, b, first, starts, fresh)
    fresh = torch.zeros_like(first) if fresh is None else fresh
    dtype = first.dtype
    with whole_precision(b.device):
        tensors = [whole(one) for one in (a, b, first, fresh)]
        if b.shape[1] > 1 and is_native(tensors[1], tensors):
            from lukasa.memory.kernels.scan import native

            states, last = native.run(paired, starts, *tensors)
        else:
            states, last = by_steps(paired, starts, *tensors)
        return states.to(dtype), last.to(dtype)


def is_native(inputs: Tensor, tensors: Sequence[Tensor]) -> bool:
    """Whether compiled loops can take a call; says once what is missing.

    Args:
        inputs: [B, T, ...], what is read at each step.
        tensors: all that the call is given.
    """
    if obstacle_of_the_call(inputs) or obstacle_of_the_tensors(inputs, tensors):
        return False
    if not has_numba():
        say_once(NO_NUMBA)
        return False
    return True


def _check(a: Tensor, b: Tensor, first: Tensor, starts: Tensor | None, fresh: Tensor | None) -> None:
    rows, steps, channels = b.shape
    expected = {
        "a": (a, [[rows, steps, channels], [channels]]),
        "first": (first, [[rows, channels]]),
        "starts": (starts, [[rows, steps]]),
        "fresh": (fresh, [[rows, channels]]),
    }
    for name, (tensor, shapes) in expected.items():
        if tensor is not None and list(tensor.shape) not in shapes:
            raise ValueError(f"{name} {list(tensor.shape)} does not fit b {list(b.shape)}: expected {shapes[0]}")
