"""Random arguments and states for the tests of `memory`, from one seed, in the ranges that the papers give.

Legend: B batch, T time, D input width.
"""

from __future__ import annotations

import torch
from hypothesis import settings
from torch import Tensor

from lukasa import memory

property_test = settings(derandomize=True, deadline=None, max_examples=20, database=None)
"""Same examples on every run: a failure on one machine is a failure on all."""


LIVELY = {"lru": 1.5}
"""What parameters of a core are multiplied by, where it is not 3: those of an LRU are logarithms of logarithms."""


class Sampler:
    """Float64 tensors drawn in turn from one seeded generator."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def gate(self, *shape: int) -> Tensor:
        """Between 0 and 1, away from both ends so that finite differences stay inside."""
        return 0.01 + 0.98 * torch.rand(*shape, generator=self.generator, dtype=torch.float64)

    def above(self, least: float, *shape: int) -> Tensor:
        return least + 0.1 + 4 * self.gate(*shape)

    def distribution(self, *shape: int) -> Tensor:
        """Sums to 1, some entries large and some small."""
        return torch.softmax(2 * self.normal(*shape), -1)

    def weighting(self, *shape: int) -> Tensor:
        """Sums to less than 1."""
        return self.distribution(*shape) * self.gate(*shape[:-1], 1)

    def links(self, batch_size: int, slots: int) -> Tensor:
        """Zero diagonal; rows and columns sum to at most 1."""
        links = self.distribution(batch_size, slots, slots)
        links = links * (1 - torch.eye(slots, dtype=torch.float64))
        return links / links.sum(1, keepdim=True).clamp_min(1)

    def distinct(self, batch_size: int, slots: int) -> Tensor:
        """Usages in random order with gaps that finite differences cannot close."""
        order = torch.rand(batch_size, slots, generator=self.generator).argsort(-1)
        return (order + self.gate(batch_size, slots) * 0.5 + 0.2) / (slots + 1)

    def odd(self, largest: int) -> int:
        """An odd number of at most 7 that fits."""
        return 1 + 2 * int(torch.randint((min(largest, 7) + 1) // 2, (), generator=self.generator))


def lively_core(name: str, seed: int = 0, **options: object) -> memory.Core:
    """A float64 core whose gates, strengths and keys vary widely: fresh cores keep all of them near the middle."""
    torch.manual_seed(seed)
    core = memory.make_core(name, **{"input_size": 3, "output_size": 2, **options}).double()
    with torch.no_grad():
        for parameter in core.parameters():
            parameter.mul_(LIVELY.get(name, 3))
    return core


def reached_state(core: memory.Core, batch_size: int, seed: int = 0, steps: int = 4) -> memory.State:
    """A state that the core itself came to, so that every field holds what it can hold; no gradient attached."""
    inputs = 2 * Sampler(seed).normal(batch_size, steps, core.input_size)
    with torch.no_grad():
        _, state = memory.unroll(core, inputs)
    return memory.detach_state(state)
