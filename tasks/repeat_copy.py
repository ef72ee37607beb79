"""Write down a sequence as many times as told.

Dimensions: B rows, T steps, L words of the longest sequence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor

from lukasa.ground.settings import check_choice, check_range, check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import draw_bits, draw_whole, lay_out, pick
from lukasa.tasks.spec import Field, Spec

NTM_MEAN, NTM_DEVIATION = 5.5, 8.25**0.5
"""Mean and standard deviation of a whole number from 1 to 10, the repeats of Graves et al. 2014."""

DNC_REPEATS = 10.0
"""What the released DNC divides the repeats by."""


@dataclass(frozen=True, kw_only=True)
class RepeatCopy:
    """Repeat a sequence of random words a given number of times, then mark the end.

    One sample of length 2 to be repeated 3 times, along time, in the "ntm" layout (w: words of random bits, n: the
    number of repeats on a scale of its own, ``.``: zero)::

        step      0   1   2   3   4   5   6   7   8   9
        word      w1  w2  .   .   .   .   .   .   .   .
        flag      .   .   1   .   .   .   .   .   .   .
        repeats   .   .   n   .   .   .   .   .   .   .
        target                w1  w2  w1  w2  w1  w2  .
        end                   .   .   .   .   .   .   1

    In the "dnc" layout, that of the released DNC, the flag marks the start instead, one step before the first word.

    Chance: 242.0 bits per sequence, one for each bit to be recalled.
    Best: 0.0 bits per sequence.
    Paper: Graves et al. 2014, section 4.2.

    Attributes:
        bits: random bits in each word.
        min_length: words in the shortest sequence.
        max_length: words in the longest sequence.
        min_repeats: fewest repeats that are asked for.
        max_repeats: most repeats that are asked for.
        layout: "ntm" shows the repeats less 5.5 over 2.87, mean 0 and variance 1 for 1 to 10 repeats, beside a
            flag that the paper does not mention (without it a count of 0 would show nothing); "dnc" shows the
            repeats over 10. Neither scale moves with the range, so a model can be tested beyond it.
        equal_lengths: whether all rows of a batch have the same length, so that none is padded.
    """

    bits: int = 8
    min_length: int = 1
    max_length: int = 10
    min_repeats: int = 1
    max_repeats: int = 10
    layout: Literal["ntm", "dnc"] = "ntm"
    equal_lengths: bool = False

    def __post_init__(self) -> None:
        check_whole("repeat_copy", "bits", self.bits, 1)
        check_range("repeat_copy", "length", self.min_length, self.max_length)
        check_range("repeat_copy", "repeats", self.min_repeats, self.max_repeats)
        check_choice("repeat_copy", "layout", self.layout, ("ntm", "dnc"))

    @property
    def spec(self) -> Spec:
        """Words of ``bits``, a flag and a number in; words and an end marker out."""
        mean_words = (self.min_length + self.max_length) / 2 * (self.min_repeats + self.max_repeats) / 2
        return Spec(
            inputs=(Field("word", "binary", self.bits), Field("flag", "binary"), Field("repeats", "scalar")),
            target=Field("word and end", "binary", self.bits + 1),
            unit="bits per sequence",
            chance=self.bits * mean_words,
            best=0.0,
            paper="Graves et al. 2014, section 4.2" if self.layout == "ntm" else "Graves et al. 2016, released code",
            holds=self.max_length,
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        sizes = (batch_size, 1)
        lengths = draw_whole(sizes, self.min_length, self.max_length, generator, alike=self.equal_lengths)
        repeats = draw_whole(sizes, self.min_repeats, self.max_repeats, generator, alike=self.equal_lengths)
        words = draw_bits((batch_size, self.max_length, self.bits), generator)  # [B, L, bits]
        once = torch.ones_like(lengths)
        start = once * (self.layout == "dnc")
        blocks = lay_out(torch.cat([start, lengths, once, lengths * repeats, once], 1))
        begins, shown, told, copies, end = (blocks.phase(number, of=5) for number in range(5))
        word = pick(words, torch.where(copies, blocks.offset % lengths, blocks.offset))  # [B, T, bits]
        inputs = torch.cat(
            [
                word * shown[..., None],
                (begins if self.layout == "dnc" else told)[..., None].float(),
                (told * self._scaled(repeats))[..., None],
            ],
            -1,
        )
        targets = torch.cat([word * copies[..., None], end[..., None].float()], -1)
        return Batch(inputs, targets, copies | end, blocks.lengths)

    def _scaled(self, repeats: Tensor) -> Tensor:
        return (repeats - NTM_MEAN) / NTM_DEVIATION if self.layout == "ntm" else repeats / DNC_REPEATS
