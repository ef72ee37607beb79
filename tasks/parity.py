"""Parity of a vector, seen at once.

Dimensions: B rows, T steps, M numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator

from lukasa.ground.settings import check_range, check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import draw_bits, draw_order, draw_whole
from lukasa.tasks.spec import Field, Spec


@dataclass(frozen=True, kw_only=True)
class Parity:
    """One step shows a vector of 1, -1 and 0: is the number of 1s odd?

    One sample of 8 numbers, along time::

        step      0
        vector    1 0 -1 0 1 1 -1 0
        target    1                    three 1s

    It takes one step to see and several to work out, so that a core which may think before it answers has use for it:
    the more numbers are not 0, the harder. Give a core no more time and it has to do it in one go.

    Chance: 50.0 error %.
    Best: 0.0 error %.
    Paper: Graves 2016, section 3.1, where the vector has 64 numbers.

    Attributes:
        size: numbers in the vector.
        min_numbers: the fewest of them that are not 0.
        max_numbers: the most of them that are not 0.
    """

    size: int = 64
    min_numbers: int = 1
    max_numbers: int = 64

    def __post_init__(self) -> None:
        check_whole("parity", "size", self.size, 1)
        check_range("parity", "numbers", self.min_numbers, self.max_numbers, most=self.size)

    @property
    def spec(self) -> Spec:
        """A vector in; a bit out."""
        return Spec(
            inputs=(Field("vector", "scalar", self.size),),
            target=Field("odd", "binary"),
            unit="error %",
            chance=50.0,
            best=0.0,
            paper="Graves 2016, section 3.1",
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        count = draw_whole((batch_size, 1), self.min_numbers, self.max_numbers, generator)
        present = draw_order((batch_size, self.size), generator) < count
        ones = draw_bits((batch_size, self.size), generator) * present
        inputs = (2 * ones - 1) * present
        odd = ones.sum(1) % 2
        scored = torch.ones(batch_size, 1, dtype=torch.bool)
        return Batch(inputs[:, None], odd[:, None, None], scored, torch.ones(batch_size, dtype=torch.int64))
