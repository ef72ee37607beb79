"""The bits of native code do not depend on where in memory its arrays happen to lie.

A compiler cannot tell which arrays overlap. It makes two versions of a loop, and decides at each call by how far apart
the arrays lie; small ones lie close by chance. Both versions have to do the same arithmetic in the same order.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from lukasa import memory
from tests.memory.samples import Sampler, lively_core

pytest.importorskip("numba")
from lukasa.memory.kernels.lmu import native as lmu_native
from lukasa.memory.kernels.matrix_memory import lengths, operations
from lukasa.memory.kernels.moving import running as moving
from lukasa.memory.kernels.scan import gated, native
from lukasa.memory.kernels.sequence import function, layer_function
from lukasa.memory.kernels.sparse_access import sequence

APART = 1 << 14
"""Bytes between arrays that are farther from each other than any vector reaches."""
ORDERS = 40
"""In which arrays lie next to each other."""
LARGEST = 1 << 16
CALLERS = (function, layer_function, sequence, native, gated, lmu_native, lengths, operations, moving)
"""Modules that call compiled functions with arrays of numbers."""
CORES: dict[str, dict[str, Any]] = {
    **{name: {"slots": 4, "word_size": 3, "controller_size": 3} for name in ("ntm", "mann", "dnc", "dam")},
    **{f"{name}-13": {"slots": 13, "word_size": 9, "controller_size": 10} for name in ("ntm", "mann", "dnc", "dam")},
    **{name: {"slots": 16, "word_size": 6, "controller_size": 8, "reads": 4} for name in ("sam", "sdnc")},
    **{name: {"size": 8} for name in ("lstm", "gru", "mingru", "lmu")},
    **{name: {"size": 8, "key_size": 6, "value_size": 5} for name in ("gated_deltanet", "mlstm", "shm")},
    "stack_rnn": {"size": 8, "stacks": 3, "depth": 9, "word_size": 2},
    "list_rnn": {"size": 8, "lists": 3, "reach": 5, "elements": 3, "no_op": True},
    "lru": {"size": 8, "states": 5},
    "ffm": {"size": 8, "trace_size": 3, "context_size": 3},
}


def arrays_in(argument: Any) -> Iterator[np.ndarray]:
    if isinstance(argument, np.ndarray):
        if argument.size and argument.nbytes <= LARGEST and argument.flags.c_contiguous and argument.flags.writeable:
            yield argument
    elif isinstance(argument, tuple):
        for part in argument:
            yield from arrays_in(part)


def moved(argument: Any, places: dict[int, np.ndarray]) -> Any:
    """An argument with other arrays in place of its own."""
    if isinstance(argument, np.ndarray):
        return places.get(id(argument), argument)
    if isinstance(argument, tuple):
        parts = [moved(part, places) for part in argument]
        return type(argument)(*parts) if hasattr(argument, "_fields") else tuple(parts)
    return argument


def placed(call: Any, apart: int, order: random.Random, called: list[Any]) -> Any:
    """``call`` with every small array of its arguments moved, so many bytes behind another, in any order."""

    def elsewhere(function: Any, kind: Any, *arguments: Any) -> None:
        called.append(function)
        found = {id(array): array for array in arrays_in(arguments)}
        # Two arrays may be the same numbers in other shapes: they stay so.
        sizes = {array.ctypes.data: array.nbytes for array in found.values()}
        sizes = {place: sizes[place] for place in order.sample(list(sizes), len(sizes))}
        arena = np.zeros(sum(size + apart + 8 for size in sizes.values()) + 64, np.uint8)
        at, starts, places = -arena.ctypes.data % 64, {}, {}
        for place, size in sizes.items():
            starts[place] = at
            at += -(-size // 8) * 8 + apart
        for key, array in found.items():
            start = starts[array.ctypes.data]
            places[key] = arena[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
            places[key][...] = array
        call(function, kind, *moved(arguments, places))
        for key, array in found.items():
            array[...] = places[key]

    return elsewhere


def bits(name: str, dtype: torch.dtype) -> Sequence[Tensor]:
    """Outputs, the last state and every gradient."""
    core = lively_core(name.partition("-")[0], **CORES[name]).to(dtype)
    inputs = Sampler(3).normal(3, 6, 3).to(dtype).requires_grad_()
    starts = torch.zeros(3, 6, dtype=torch.bool)
    starts[1, 3] = True
    outputs, state = memory.unroll(core, inputs, core.initial_state(3), starts)
    last = [part for part in memory.state_to_dict(state).values() if part.requires_grad]
    wanted = [inputs, *core.parameters()]
    objective = sum(
        (part * torch.linspace(0.5, 1.5, part.numel(), dtype=dtype).view_as(part)).sum() for part in (outputs, *last)
    )
    gradients = torch.autograd.grad(objective, wanted, allow_unused=True)
    return [outputs.detach(), *(part.detach() for part in last), *(one for one in gradients if one is not None)]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", CORES)
def test_bits_do_not_depend_on_where_arrays_lie(name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch):
    found, order, called = [], random.Random(0), []
    for apart in (APART, *[0] * ORDERS):
        with monkeypatch.context() as patch:
            for module in CALLERS:
                patch.setattr(module, "call", placed(module.call, apart, order, called))
            found.append(bits(name, dtype))
    assert len(called) >= 2 * len(found)  # forward and backward are native code
    for near in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(near, found[0], strict=True))
