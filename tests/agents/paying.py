"""Cores that cost something beside their task, or choose, for the tests of those who train them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lukasa import memory
from lukasa.memory.baselines import GRU


class Paying(GRU):
    """A GRU that pays, at every step, for the size of its input and for a price that no output sees."""

    def __init__(self, input_size: int, output_size: int, *, size: int = 8, chooses: bool = False):
        super().__init__(input_size, output_size, size=size)
        self.price, self.chooses = nn.Parameter(torch.ones(())), chooses

    def forward(self, inputs: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step, step by step always."""
        memory.add_cost(self, "price", self.price * inputs.square().sum(1))
        return super().forward(inputs, state)

    sequence: Any = None


PATH = "tests.agents.paying:Paying"
