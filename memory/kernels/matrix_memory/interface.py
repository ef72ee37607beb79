"""The operations as cores call them: by compiled loops where a call can take them, else by the equations.

Legend: B batch, T time, H heads, K key size, V value size, C channels, W taps.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lukasa.memory.kernels.matrix_memory import reference
from lukasa.memory.kernels.sequence.calls import NO_NUMBA, has_numba, obstacle_of_the_call, steps_are_asked_for

NUMBERS = (torch.float32, torch.float64)
LEAST = 2
"""Steps of a sequence; with fewer, a call of a loop costs more than what it computes."""


def rank_one(starts: Tensor | None, *tensors: Tensor, delta: bool) -> tuple[Tensor, Tensor]:
    """As in ``reference.rank_one``."""
    return _run("rank_one", starts, tensors, delta=delta)


def stabilise(starts: Tensor | None, *tensors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As in ``reference.stabilise``."""
    return _run("stabilise", starts, tensors)


def trace(starts: Tensor | None, *tensors: Tensor) -> Tensor:
    """As in ``reference.trace``."""
    return _run("trace", starts, tensors)[0]


def hadamard(starts: Tensor | None, *tensors: Tensor) -> tuple[Tensor, Tensor]:
    """As in ``reference.hadamard``."""
    return _run("hadamard", starts, tensors)


def convolution(starts: Tensor | None, *tensors: Tensor, widths: tuple[int, ...]) -> tuple[Tensor, ...]:
    """As in ``reference.convolution``."""
    return _run("convolution", starts, tensors, widths=widths)


def of_length(vectors: Tensor, *, mean: bool = False) -> Tensor:
    """As in ``reference.of_length``; vectors [B, T, ..., K]."""
    return _run("of_length", None, (vectors,), mean=mean)[0]


def gated(*tensors: Tensor) -> Tensor:
    """As in ``reference.gated``; vectors [B, T, ..., K]."""
    return _run("gated", None, tensors)[0]


def _run(name: str, starts: Tensor | None, tensors: tuple[Tensor, ...], **options: Any) -> Any:
    if not _by_loops(tensors):
        return getattr(reference, name)(starts, *tensors, **options)
    from lukasa.memory.kernels.matrix_memory.native import run_loops

    return run_loops(name, starts, tensors, options)


def _by_loops(tensors: tuple[Tensor, ...]) -> bool:
    """Whether a call can take compiled loops."""
    first = tensors[0]
    if first.shape[1] < LEAST or steps_are_asked_for() or obstacle_of_the_call(first) is not None:
        return False
    kinds = {(tensor.dtype, tensor.device.type, tensor.layout) for tensor in tensors}
    if len(kinds) > 1 or first.dtype not in NUMBERS or {type(tensor) for tensor in tensors} - {Tensor, nn.Parameter}:
        return False
    # the choice imports cores, which import this module
    from lukasa.memory.kernels.sequence.choice import say_once

    if not has_numba():
        say_once(NO_NUMBA)
    return has_numba()
