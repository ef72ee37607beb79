"""Every addressing function and every kernel with its oracle and its arguments: the rows of the battery of tests.

Legend: B batch, H heads of one kind, N slots, W word size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor

from lukasa.memory import addressing
from lukasa.memory.kernels.allocation import allocate
from lukasa.memory.kernels.content import content_weights
from lukasa.memory.kernels.dnc_access import Interface, access
from lukasa.memory.kernels.ntm_address import address
from lukasa.memory.kernels.temporal_links import follow_links
from tests.memory import oracles
from tests.memory.oracles import Array
from tests.memory.samples import Sampler

Build = Callable[[Sampler, int, int, int, int], Sequence[Tensor]]

# Arguments for B rows, H heads, N slots and words of W, in the ranges that the docstrings give.
ARGUMENTS: dict[str, Build] = {
    "content_weights": lambda s, b, h, n, w: (s.normal(b, n, w), s.normal(b, h, w), s.above(0, b, h)),
    "read": lambda s, b, h, n, w: (s.normal(b, n, w), s.weighting(b, h, n)),
    "interpolate": lambda s, b, h, n, w: (s.distribution(b, h, n), s.distribution(b, h, n), s.gate(b, h)),
    "shift": lambda s, b, h, n, w: (s.distribution(b, h, n), s.distribution(b, h, s.odd(n))),
    "sharpen": lambda s, b, h, n, w: (s.distribution(b, h, n), s.above(1, b, h)),
    "erase_and_add": lambda s, b, h, n, w: (
        *(s.normal(b, n, w), s.weighting(b, h, n)),
        *(s.gate(b, h, w), s.normal(b, h, w)),
    ),
    "usage": lambda s, b, h, n, w: (s.gate(b, n), s.weighting(b, n), s.weighting(b, h, n), s.gate(b, h)),
    "allocation": lambda s, b, h, n, w: (s.distinct(b, n),),
    "write_weights": lambda s, b, h, n, w: (s.distribution(b, n), s.weighting(b, n), s.gate(b, 1), s.gate(b, 1)),
    "precedence": lambda s, b, h, n, w: (s.weighting(b, n), s.weighting(b, n)),
    "temporal_links": lambda s, b, h, n, w: (s.links(b, n), s.weighting(b, n), s.weighting(b, n)),
    "forward_weights": lambda s, b, h, n, w: (s.links(b, n), s.weighting(b, h, n)),
    "backward_weights": lambda s, b, h, n, w: (s.links(b, n), s.weighting(b, h, n)),
    "read_weights": lambda s, b, h, n, w: (
        *(s.weighting(b, h, n), s.distribution(b, h, n), s.weighting(b, h, n)),
        s.distribution(b, h, 3),
    ),
    "oneplus": lambda s, b, h, n, w: (s.normal(b, n),),
    "allocate": lambda s, b, h, n, w: (s.gate(b, n), s.weighting(b, n), s.weighting(b, h, n), s.gate(b, h)),
    "follow_links": lambda s, b, h, n, w: (
        *(s.links(b, n), s.weighting(b, n)),
        *(s.weighting(b, n), s.weighting(b, h, n)),
    ),
    "address": lambda s, b, h, n, w: (
        *(s.normal(b, n, w), s.distribution(b, h, n), s.normal(b, h, w), s.above(0, b, h)),
        *(s.gate(b, h), s.distribution(b, h, s.odd(n)), s.above(1, b, h)),
    ),
    "access": lambda s, b, h, n, w: (
        *(s.normal(b, n, w), s.gate(b, n), s.links(b, n), s.weighting(b, n)),
        *(s.weighting(b, h, n), s.weighting(b, n)),
        *(s.normal(b, h, w), s.above(1, b, h), s.normal(b, 1, w), s.above(1, b, 1)),
        *(s.gate(b, 1, w), s.normal(b, 1, w)),
        *(s.gate(b, h), s.gate(b, 1), s.gate(b, 1), s.distribution(b, h, 3)),
    ),
}


class Operation(NamedTuple):
    """A function of `memory`, its oracle for one row, and arguments for it."""

    function: Callable[..., Tensor | tuple[Tensor, ...]]
    oracle: Callable[..., Array | tuple[Array, ...]]
    build: Build

    def __call__(self, *arguments: Tensor) -> tuple[Tensor, ...]:
        """The results, a tuple also where there is only one."""
        return as_tuple(self.function(*arguments))

    def expected(self, *arguments: Tensor) -> tuple[Array, ...]:
        """The same by the oracle."""
        return oracles.by_row(self.oracle, *(argument.detach().double().numpy() for argument in arguments))


def as_tuple(results: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """One result or several, as several."""
    return (results,) if isinstance(results, Tensor) else tuple(results)


def without_allocation(function: Callable[..., tuple[Tensor, ...]]) -> Callable[..., tuple[Tensor, ...]]:
    """An access of the DNC with its interface flat, and without the last result, which is only to be looked at."""
    return lambda *arguments: tuple(function(*arguments[:6], Interface(*arguments[6:])))[:7]


ADDRESSING = [name for name in ARGUMENTS if hasattr(addressing, name)]
KERNELS = {
    "content": Operation(content_weights, oracles.content_weights, ARGUMENTS["content_weights"]),
    "allocation": Operation(allocate, oracles.allocate, ARGUMENTS["allocate"]),
    "temporal_links": Operation(follow_links, oracles.follow_links, ARGUMENTS["follow_links"]),
    "ntm_address": Operation(address, oracles.ntm_address, ARGUMENTS["address"]),
    "dnc_access": Operation(without_allocation(access), oracles.dnc_access, ARGUMENTS["access"]),
}
OPERATIONS = {
    **{name: Operation(getattr(addressing, name), getattr(oracles, name), ARGUMENTS[name]) for name in ADDRESSING},
    **{f"{folder} kernel": operation for folder, operation in KERNELS.items()},
}
