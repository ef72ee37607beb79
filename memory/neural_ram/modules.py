"""The fixed modules of a Neural Random-Access Machine: on distributions, and on integers.

Kurach, Andrychowicz & Sutskever 2016, "Neural Random-Access Machines", section 3.1. A module's result is computed for
every value of its arguments, each weighed by its probability; all arithmetic is modulo M.

Dimensions: M integers and cells of the memory, N machines side by side. N comes last: the small tables of one machine
are then worked through many machines at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from lukasa.ground.names import nearest


class _Correlation(torch.autograd.Function):
    """Circular correlation: out[c] = Σ_j x[(c + j) mod M] · y[j]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(x, y)
        return _correlate(x, y)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, Tensor]:
        (gradient,), (x, y) = gradients, ctx.saved_tensors
        return _correlate(gradient, _negated(y)), _correlate(x, gradient)


def _correlate(x: Tensor, y: Tensor) -> Tensor:
    size = len(x)
    windows = torch.cat([x, x[:-1]]).unfold(0, size, 1).transpose(1, 2)  # [M, M, N], [c, j] is x[c + j]; a view
    return (windows * y).sum(1)


def _negated(x: Tensor) -> Tensor:
    """The distribution of −x mod M."""
    return torch.cat([x[:1], x[1:].flip(0)])


def add(a: Tensor, b: Tensor) -> Tensor:
    """The distribution of (a + b) mod M.

    Args:
        a: [M, N].
        b: [M, N].
    """
    return _Correlation.apply(a, _negated(b))  # pyright: ignore[reportReturnType]


def subtract(a: Tensor, b: Tensor) -> Tensor:
    """The distribution of (a − b) mod M, of the same shapes."""
    return _Correlation.apply(a, b)  # pyright: ignore[reportReturnType]


def increment(a: Tensor) -> Tensor:
    """The distribution of (a + 1) mod M."""
    return a.roll(1, 0)


def decrement(a: Tensor) -> Tensor:
    """The distribution of (a − 1) mod M."""
    return a.roll(-1, 0)


def less_than(a: Tensor, b: Tensor) -> Tensor:
    """1 where a < b and else 0; P(a ≥ b) is summed by itself, so that rounding makes nothing negative."""
    return _truth(_less(a, b), _less_or_equal(b, a))


def less_or_equal(a: Tensor, b: Tensor) -> Tensor:
    """1 where a ≤ b and else 0."""
    return _truth(_less_or_equal(a, b), _less(b, a))


def equal(a: Tensor, b: Tensor) -> Tensor:
    """1 where a = b and else 0."""
    return _truth((a * b).sum(0), _less(a, b) + _less(b, a))


def minimum(a: Tensor, b: Tensor) -> Tensor:
    """The smaller one: P(a = m, b ≥ m) + P(b = m, a > m)."""
    tail_a, tail_b = a.flip(0).cumsum(0).flip(0), b.flip(0).cumsum(0).flip(0)
    return a * tail_b + b * functional.pad(tail_a[1:], (0, 0, 0, 1))


def maximum(a: Tensor, b: Tensor) -> Tensor:
    """The larger one: P(a = m, b ≤ m) + P(b = m, a < m)."""
    return a * b.cumsum(0) + b * functional.pad(a.cumsum(0)[:-1], (0, 0, 1, 0))


def read(memory: Tensor, pointer: Tensor) -> Tensor:
    """READ(p): Σ_i P(p = i) · memory_i.

    Args:
        memory: [M, M, N], of each cell the distribution of its value.
        pointer: [M, N].
    """
    return (memory * pointer.unsqueeze(1)).sum(0)


def write(memory: Tensor, pointer: Tensor, value: Tensor) -> Tensor:
    """WRITE(p, a): memory_i becomes (1 − P(p = i)) · memory_i + P(p = i) · a."""
    return torch.lerp(memory, value.unsqueeze(0), pointer.unsqueeze(1).expand_as(memory))


def constant(number: int, like: Tensor) -> Tensor:
    """A number for certain, of the shape [M, N] of others."""
    made = torch.zeros_like(like)
    made[number] = 1
    return made


def _less(a: Tensor, b: Tensor) -> Tensor:
    return (a.cumsum(0)[:-1] * b[1:]).sum(0)


def _less_or_equal(a: Tensor, b: Tensor) -> Tensor:
    return (a.cumsum(0) * b).sum(0)


def _truth(yes: Tensor, no: Tensor) -> Tensor:
    return torch.stack([no, yes])


@dataclass(frozen=True)
class Module:
    """One fixed module.

    Attributes:
        name: as in the paper.
        arguments: how many it takes.
        soft: from distributions [M, N] to one; those of truth values may end after 1. None for READ, WRITE and numbers.
        hard: from integers and M to an integer; works on arrays. None for READ and WRITE.
        number: what ZERO, ONE and TWO give.
        written: how a program writes it, with {0} and {1} for its arguments.
    """

    name: str
    arguments: int
    soft: Callable[..., Tensor] | None
    hard: Callable[..., Any] | None
    written: str
    number: int | None = None


def _number(name: str, number: int) -> Module:
    return Module(name, 0, None, lambda size: number, str(number), number)


MODULES: dict[str, Module] = {
    one.name: one
    for one in (
        Module("READ", 1, None, None, "memory[{0}]"),
        _number("ZERO", 0),
        _number("ONE", 1),
        _number("TWO", 2),
        Module("INC", 1, increment, lambda a, size: (a + 1) % size, "{0} + 1"),
        Module("ADD", 2, add, lambda a, b, size: (a + b) % size, "{0} + {1}"),
        Module("SUB", 2, subtract, lambda a, b, size: (a - b) % size, "{0} - {1}"),
        Module("DEC", 1, decrement, lambda a, size: (a - 1) % size, "{0} - 1"),
        Module("LESS-THAN", 2, less_than, lambda a, b, size: (a < b) * 1, "{0} < {1}"),
        Module("LESS-OR-EQUAL", 2, less_or_equal, lambda a, b, size: (a <= b) * 1, "{0} <= {1}"),
        Module("EQUALITY-TEST", 2, equal, lambda a, b, size: (a == b) * 1, "{0} == {1}"),
        Module("MIN", 2, minimum, lambda a, b, size: np.minimum(a, b), "min({0}, {1})"),
        Module("MAX", 2, maximum, lambda a, b, size: np.maximum(a, b), "max({0}, {1})"),
        Module("WRITE", 2, None, None, "memory[{0}] = {1}"),
    )
}
"""The modules of the paper, in its order."""

LEAST_INTEGERS = 3
"""M is at least this: TWO is an integer."""


def modules_named(names: Sequence[str]) -> tuple[Module, ...]:
    """Modules by name, in order; a name may come more than once.

    Raises:
        ValueError: one is unknown, or there is none.

    Example:
        >>> [one.arguments for one in modules_named(["READ", "ADD"])]
        [1, 2]
    """
    if not names:
        raise ValueError("a machine has no modules: expected at least one of " + ", ".join(MODULES))
    for name in names:
        if name not in MODULES:
            raise ValueError(f"unknown module {name!r}: {nearest(name, MODULES)}")
    return tuple(MODULES[name] for name in names)
