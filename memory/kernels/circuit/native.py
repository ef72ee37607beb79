"""A step's circuit as one autograd function around the compiled loops.

Dimensions: K sources, I arguments, R registers, Q modules, M integers and cells, N machines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lukasa.memory.kernels.circuit import loops
from lukasa.memory.kernels.sequence.compiling import call

AT_ONCE = 128
"""Machines that are worked through together: the tables of so many fit into a core's own cache."""


def run(plan: tuple[np.ndarray, ...], weights: Tensor, registers: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    """As ``lukasa.memory.neural_ram.machine.run_circuit``.

    Args:
        plan: int64 [Q] each: a module's code, its number, and the place of its first argument.
        weights: [I + R, K, N].
        registers: [R, M, N].
        memory: [M, M, N]; read before it is written to, which happens once.
    """
    return _Circuit.apply(plan, weights, registers, memory)  # pyright: ignore[reportReturnType]


class _Circuit(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, plan: tuple[np.ndarray, ...], weights: Tensor, registers: Tensor, memory: Tensor
    ) -> tuple[Tensor, Tensor]:
        weights, registers, memory = (one.contiguous() for one in (weights, registers, memory))
        rows, sources, machines = weights.shape
        count, size, _ = registers.shape
        arguments = weights.new_empty(rows - count, size, machines)
        values = weights.new_empty(sources, size, machines)
        new, written = torch.empty_like(registers), torch.empty_like(memory)
        given = (weights, registers, memory, arguments, values, new, written, weights.new_empty(5, machines))
        _in_parts(loops.forward, plan, given, machines)
        ctx.plan = plan
        ctx.save_for_backward(weights, memory, arguments, values)
        return new, written

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        weights, memory, arguments, values = ctx.saved_tensors
        to_new, to_written = (one.contiguous() for one in gradients)
        to_weights, to_values = torch.zeros_like(weights), torch.empty_like(values)
        to_arguments, to_memory = torch.empty_like(arguments), torch.empty_like(memory)
        given = (weights, memory, arguments, values, to_new, to_written)
        found = (to_weights, to_values, to_arguments, to_memory, weights.new_empty(5, weights.shape[2]))
        codes, _, places = ctx.plan
        _in_parts(loops.backward, (codes, places), (*given, *found), weights.shape[2])
        return None, to_weights, to_values[: len(to_new)], to_memory


def _in_parts(function: Any, plan: tuple[np.ndarray, ...], tensors: tuple[Tensor, ...], machines: int) -> None:
    arrays = [one.detach().numpy() for one in tensors]
    for low in range(0, machines, AT_ONCE):
        call(function, tensors[0].dtype, *plan, *arrays, low, min(low + AT_ONCE, machines))
