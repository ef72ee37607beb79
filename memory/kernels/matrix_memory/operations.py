"""From tensors to the compiled loops and back: what each operation keeps, and room to work in.

Import this module only where a loop is about to run: Numba takes a second to import.

Legend: B batch, T time, H heads, K key size, V value size, C channels, W taps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lukasa.memory.kernels.matrix_memory import (
    convolution_loops,
    gate_loops,
    hadamard_loops,
    lengths,
    rank_one_loops,
    reference,
)
from lukasa.memory.kernels.sequence.compiling import call
from lukasa.memory.kernels.sequence.packing import numbers
from lukasa.memory.kernels.sequence.threads import over_rows

AT_ONCE = 8
"""Pairs that a call works on, one after another."""
BYTES = 2**18
"""Of the matrices between two checkpoints, which are made again on the way back: they stay in the processor's cache."""

Tensors = Sequence[Tensor]


class Operation(NamedTuple):
    """What is done with a whole sequence; each part takes the options of the operation by name."""

    equations: Callable[..., tuple[Tensor, ...]]  # of starts and tensors
    forward: Callable[..., Any]  # of starts, tensors, and whether to keep: the results, and what is kept
    backward: Callable[..., Any]  # of starts, tensors, results, what was kept and slopes: the gradients of the tensors


def _resets(starts: Tensor | None) -> Any:
    return numbers(torch.zeros(0, 0, dtype=torch.bool) if starts is None else starts.contiguous())


def _over_pairs(function: Any, like: Tensor, *arguments: Any, room: Callable[[], Any] | None = None) -> None:
    """Call a compiled function for all heads of all rows; each call has room of its own."""

    def work(begin: int, end: int) -> None:
        call(function, like.dtype, begin, end, *arguments, *([] if room is None else [room()]))

    over_rows(work, like.shape[0] * like.shape[2], AT_ONCE)


def _over_rows(function: Any, like: Tensor, *arguments: Any) -> None:
    over_rows(lambda begin, end: call(function, like.dtype, begin, end, *arguments), len(like), AT_ONCE)


def _interval(steps: int, state: Tensor) -> int:
    """From one checkpoint to the next: as many steps as fit the cache, at most the root of them all."""
    fits = BYTES // (state.shape[-2] * state.shape[-1] * state.element_size())
    return max(1, min(fits, math.isqrt(max(steps - 1, 0)) + 1))


def _checkpoints(keep: bool, steps: int, state: Tensor) -> Tensor:
    return state.new_empty(-(-steps // _interval(steps, state)) if keep else 0, *state.shape)


def _empty(like: Tensor, *sizes: tuple[int, ...]) -> list[Any]:
    return [numbers(like.new_empty(size)) for size in sizes]


def _rank_one_room(steps: int, state: Tensor) -> rank_one_loops.Room:
    keys, values = state.shape[-2:]
    sizes = [(values,)] * 5 + [(keys,), (_interval(steps, state), keys, values)]
    return rank_one_loops.Room(*_empty(state, *sizes))


def _rank_one_forward(starts: Tensor | None, tensors: Tensors, keep: bool, delta: bool) -> Any:
    *given, first = tensors
    values, steps = given[2], given[0].shape[1]
    state, reads = first.clone(), torch.empty_like(values)
    found = values.new_empty(values.shape if keep and delta else (0, 0, 0, 0))
    tape = rank_one_loops.Tape(found, _checkpoints(keep, steps, state))
    _over_pairs(
        rank_one_loops.rank_one_forward,
        values,
        delta,
        rank_one_loops.Given(*map(numbers, given)),
        _resets(starts),
        numbers(state),
        numbers(reads),
        rank_one_loops.Tape(*map(numbers, tape)),
        room=lambda: _rank_one_room(steps, state),
    )
    return (reads, state), tape


def _rank_one_backward(
    starts: Tensor | None, tensors: Tensors, _: Tensors, kept: Tensors, slopes: Tensors, delta: bool
) -> Tensors:
    *given, first = tensors
    to_reads, to_state, made = slopes[0].contiguous(), slopes[1].clone(), [torch.empty_like(one) for one in given]
    _over_pairs(
        rank_one_loops.rank_one_backward,
        given[0],
        delta,
        rank_one_loops.Given(*map(numbers, given)),
        _resets(starts),
        rank_one_loops.Tape(*map(numbers, kept)),
        numbers(to_reads),
        numbers(to_state),
        rank_one_loops.Given(*map(numbers, made)),
        room=lambda: _rank_one_room(given[0].shape[1], first),
    )
    return *made, to_state


def _stabilise_forward(starts: Tensor | None, tensors: Tensors, _: bool) -> Any:
    results = tuple(torch.empty_like(tensors[0]) for _ in range(3))
    arrays = numbers(tensors[0]), numbers(tensors[1]), _resets(starts), numbers(tensors[2]), *map(numbers, results)
    _over_pairs(gate_loops.stabilise_forward, tensors[0], *arrays)
    return results, ()


def _stabilise_backward(starts: Tensor | None, tensors: Tensors, results: Tensors, _: Tensors, slopes: Tensors) -> Any:
    made = [torch.empty_like(one) for one in tensors]
    _over_pairs(
        gate_loops.stabilise_backward,
        tensors[0],
        numbers(tensors[0]),
        numbers(tensors[1]),
        _resets(starts),
        (*map(numbers, results), numbers(tensors[2])),
        tuple(numbers(slope.contiguous()) for slope in slopes),
        *map(numbers, made),
    )
    return made


def _trace_forward(starts: Tensor | None, tensors: Tensors, _: bool) -> Any:
    *given, first = tensors
    sums = torch.empty_like(given[0])
    arrays = *map(numbers, given), _resets(starts), numbers(first), numbers(sums)
    _over_pairs(gate_loops.trace_forward, sums, *arrays)
    return (sums,), ()


def _trace_backward(starts: Tensor | None, tensors: Tensors, results: Tensors, _: Tensors, slopes: Tensors) -> Any:
    *given, first = tensors
    made, to_first = [torch.empty_like(one) for one in given], torch.zeros_like(first)
    _over_pairs(
        gate_loops.trace_backward,
        given[0],
        tuple(map(numbers, given)),
        _resets(starts),
        numbers(first),
        numbers(results[0]),
        numbers(slopes[0].contiguous()),
        tuple(map(numbers, made)),
        numbers(to_first),
    )
    return *made, to_first


def _hadamard_room(steps: int, state: Tensor) -> hadamard_loops.Room:
    keys, values = state.shape[-2:]
    many = (steps, keys, values)
    return hadamard_loops.Room(*_empty(state, many, many))


def _hadamard_forward(starts: Tensor | None, tensors: Tensors, keep: bool) -> Any:
    *given, first = tensors
    steps, state, reads = given[0].shape[1], first.clone(), torch.empty_like(given[2])
    checkpoints = _checkpoints(keep, steps, state)
    _over_pairs(
        hadamard_loops.hadamard_forward,
        reads,
        hadamard_loops.Given(*map(numbers, given)),
        _resets(starts),
        numbers(state),
        numbers(reads),
        numbers(checkpoints),
        room=lambda: _hadamard_room(_interval(steps, state), state),
    )
    return (reads, state), (checkpoints,)


def _hadamard_backward(starts: Tensor | None, tensors: Tensors, _: Tensors, kept: Tensors, slopes: Tensors) -> Any:
    *given, first = tensors
    to_reads, to_state, made = slopes[0].contiguous(), slopes[1].clone(), [torch.empty_like(one) for one in given]
    _over_pairs(
        hadamard_loops.hadamard_backward,
        given[0],
        hadamard_loops.Given(*map(numbers, given)),
        _resets(starts),
        numbers(kept[0]),
        numbers(to_reads),
        numbers(to_state),
        hadamard_loops.Given(*map(numbers, made)),
        room=lambda: _hadamard_room(_interval(given[0].shape[1], first), first),
    )
    return *made, to_state


def _convolution_forward(starts: Tensor | None, tensors: Tensors, _: bool, widths: tuple[int, ...]) -> Any:
    inputs, first = tensors[0], 0
    arrays, results = (*map(numbers, tensors), _resets(starts)), []
    for width in widths:
        results.append(inputs.new_empty(*inputs.shape[:2], width))
        _over_rows(convolution_loops.convolution_forward, inputs, *arrays, first, numbers(results[-1]))
        first += width
    return tuple(results), ()


def _convolution_backward(
    starts: Tensor | None, tensors: Tensors, _: Tensors, __: Tensors, slopes: Tensors, widths: tuple[int, ...]
) -> Any:
    inputs, window, weight = tensors
    to_inputs, to_window, to_sums = torch.empty_like(inputs), torch.zeros_like(window), torch.empty_like(inputs)
    to_weight = weight.new_zeros(len(inputs), *weight.shape)
    arrays, told, first = (*map(numbers, tensors), _resets(starts)), numbers(to_sums), 0
    for width, slope in zip(widths, slopes, strict=True):
        _over_rows(convolution_loops.silu_backward, inputs, *arrays, first, numbers(slope.contiguous()), told)
        first += width
    made = map(numbers, (to_inputs, to_window, to_weight))
    _over_rows(convolution_loops.convolution_backward, inputs, *arrays, told, *made)
    return to_inputs, to_window, to_weight.sum(0)


OPERATIONS = {
    "rank_one": Operation(reference.rank_one, _rank_one_forward, _rank_one_backward),
    "stabilise": Operation(reference.stabilise, _stabilise_forward, _stabilise_backward),
    "trace": Operation(reference.trace, _trace_forward, _trace_backward),
    "hadamard": Operation(reference.hadamard, _hadamard_forward, _hadamard_backward),
    "convolution": Operation(reference.convolution, _convolution_forward, _convolution_backward),
    "gated": Operation(reference.gated, lengths.gated_forward, lengths.gated_backward),
    "of_length": Operation(reference.of_length, lengths.length_forward, lengths.length_backward),
}
