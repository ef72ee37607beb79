"""Add decimal numbers one after another.

Dimensions: B rows, T steps, D digits of the longest number, S digits of the longest sum.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator
from torch.nn import functional as F

from lukasa.ground.settings import check_range, check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import draw_whole
from lukasa.tasks.spec import Field, Spec

BLANK = 10
"""The class of a digit that a sum does not have."""


@dataclass(frozen=True, kw_only=True)
class RunningSum:
    """Each step shows a decimal number and asks, from the second on, for the sum so far, all digits at once.

    One sample of 3 numbers, along time; each digit is one-hot, the highest first, and what a number lacks is all zero::

        step      0    1    2
        number    41   7    960
        target         48   1008       filled up with blanks behind

    Carrying takes as many steps of thought as there are digits, and a step of the sequence is but one: a core that may
    think before it answers has use for it.

    Chance: 0.0 accuracy %, for one who guesses digits.
    Best: 100.0 accuracy %.
    Paper: Graves 2016, section 3.3.

    Attributes:
        numbers: numbers that are added one after another.
        min_digits: digits of the shortest number; no number but 0 starts with a 0.
        max_digits: digits of the longest number; at most 15.
    """

    numbers: int = 5
    min_digits: int = 1
    max_digits: int = 5

    def __post_init__(self) -> None:
        check_whole("running_sum", "numbers", self.numbers, 2)
        check_range("running_sum", "digits", self.min_digits, self.max_digits, most=15)

    @property
    def sum_digits(self) -> int:
        """Digits of the largest sum."""
        return len(str(self.numbers * (10**self.max_digits - 1)))

    @property
    def spec(self) -> Spec:
        """Digits in; digits or blanks out."""
        return Spec(
            inputs=(Field("number", "categorical", self.max_digits, 10),),
            target=Field("sum", "categorical", self.sum_digits, BLANK + 1),
            unit="accuracy %",
            item="answer",
            chance=0.0,
            best=100.0,
            paper="Graves 2016, section 3.3",
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        shape = (batch_size, self.numbers)
        digits = draw_whole(shape, self.min_digits, self.max_digits, generator)
        lowest = torch.where(digits > 1, 10 ** (digits - 1), 0)
        # Below 2^53, where float64 holds every whole number.
        drawn = torch.rand(shape, generator=generator, dtype=torch.float64) * (10**digits - lowest)
        values = lowest + drawn.floor().to(torch.int64)
        shown = _digits(values, self.max_digits)
        one_hot = F.one_hot(shown.clamp(max=9), 10) * (shown != BLANK)[..., None]
        targets = _digits(values.cumsum(1), self.sum_digits)
        mask = torch.ones(shape, dtype=torch.bool)
        mask[:, 0] = False
        lengths = torch.full((batch_size,), self.numbers)
        return Batch(one_hot.flatten(2).float(), targets * mask[..., None], mask, lengths)


def _digits(values: torch.Tensor, width: int) -> torch.Tensor:
    """Digits [..., width] of whole numbers, the highest first, blanks behind."""
    places = torch.arange(width)
    count = (values[..., None] >= 10 ** torch.arange(1, width)).sum(-1, keepdim=True) + 1
    found = values[..., None] // 10 ** (count - 1 - places).clamp(min=0) % 10
    return torch.where(places < count, found, BLANK)
