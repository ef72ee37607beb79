"""Add two binary numbers, as text.

Dimensions: B rows, T steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from lukasa.ground.settings import check_range
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import draw_whole, lay_out
from lukasa.tasks.spec import Field, Spec

PLUS, EQUALS, STOP = 2, 3, 4
"""Symbols beside the digits 0 and 1."""


@dataclass(frozen=True, kw_only=True)
class BinaryAddition:
    """Read two binary numbers, highest digit first, and write their sum, lowest digit first, then a full stop.

    One sample, 6 + 3 = 9, along time::

        step      0  1  2  3  4  5  6  7  8  9  10
        symbol    1  1  0  +  1  1  =  1  0  0  1
        target                      1  0  0  1  .

    The answer's digits are shown as they come (``feedback``), so one that was wrong can be put right by a trainer or
    left as it was. An answer is right when each of its symbols is.

    Chance: 4.7 accuracy %, for one who knows how many digits the sum has and guesses all but the highest.
    Best: 100.0 accuracy %.
    Paper: Joulin and Mikolov 2015, section 5.2.

    Attributes:
        min_digits: digits of the shortest number; no number but 0 starts with a 0.
        max_digits: digits of the longest number; at most 61.
    """

    min_digits: int = 1
    max_digits: int = 10

    def __post_init__(self) -> None:
        check_range("binary_addition", "digits", self.min_digits, self.max_digits, most=61)

    @property
    def spec(self) -> Spec:
        """A symbol in; a symbol out."""
        return Spec(
            inputs=(Field("symbol", "categorical", 1, 5),),
            target=Field("symbol", "categorical", 1, 5),
            unit="accuracy %",
            item="answer",
            chance=self._chance(),
            best=100.0,
            paper="Joulin and Mikolov 2015, section 5.2",
            holds=2 * self.max_digits,
            feedback="symbol",
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        digits = draw_whole((batch_size, 2), self.min_digits, self.max_digits, generator)
        drawn = torch.randint(0, 2**62, (batch_size, 2), generator=generator)
        highest = 1 << (digits - 1)
        numbers = torch.where(digits == 1, drawn & 1, highest | (drawn & (highest - 1)))  # [B, 2]
        total = numbers.sum(1, keepdim=True)
        written = _digits_of(total)
        once = torch.ones_like(written)
        blocks = lay_out(torch.cat([digits[:, :1], once, digits[:, 1:], once, written, once], 1))
        first, plus, second, equals, answer, stop = (blocks.phase(number, of=6) for number in range(6))
        symbols = torch.where(plus, PLUS, torch.where(equals, EQUALS, STOP))
        symbols = torch.where(first, _digit(numbers[:, :1], digits[:, :1] - 1 - blocks.offset), symbols)
        symbols = torch.where(second, _digit(numbers[:, 1:], digits[:, 1:] - 1 - blocks.offset), symbols)
        symbols = torch.where(answer, _digit(total, blocks.offset), symbols)
        # The stop is only ever a target: each step asks for the symbol of the next.
        shown = F.one_hot(symbols, 5).float() * (blocks.inside & ~stop)[..., None]
        mask = (equals | answer)[:, :-1]
        targets = symbols[:, 1:] * mask
        return Batch(shown[:, :-1], targets[..., None], mask, blocks.lengths - 1)

    def _chance(self) -> float:
        sizes = range(self.min_digits, self.max_digits + 1)
        total = sum(_guess(max(first, second), min(first, second)) for first in sizes for second in sizes)
        return 100 * total / len(sizes) ** 2


def _guess(long: int, short: int) -> float:
    """Mean of 2^-(digits - 1) over the sums of a number of ``long`` and one of ``short`` digits."""
    low = [1 << (size - 1) if size > 1 else 0 for size in (long, short)]
    fewer, more = sorted((1 << size) - least for size, least in zip((long, short), low, strict=True))
    # No carry where i + j < room, with i of the fewer and j of the more numbers counted from their lowest.
    room = (1 << long) - sum(low)
    whole = min(max(room - more + 1, 0), fewer)  # values of i that any j goes with
    end = min(fewer, room)
    pairs = whole * more + (2 * room - whole - end + 1) * (end - whole) // 2
    share = pairs / (fewer * more)
    return share * 2.0 ** (1 - long) + (1 - share) * 2.0**-long


def _digits_of(numbers: Tensor) -> Tensor:
    """How many binary digits each number has; 0 has one."""
    powers = 1 << torch.arange(62)
    return (numbers[..., None] >= powers).sum(-1).clamp(min=1)


def _digit(numbers: Tensor, place: Tensor) -> Tensor:
    """The binary digit at a place from the lowest."""
    return numbers >> place.clamp(0, 62) & 1
