"""Put words in the order of their priorities.

Dimensions: B rows, T steps, M words of the longest list.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from lukasa.ground.settings import check_range, check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import draw_bits, draw_whole, lay_out, pick
from lukasa.tasks.spec import Field, Spec


@dataclass(frozen=True, kw_only=True)
class PrioritySort:
    """Show words with a priority each; the answer is those of the highest priorities, highest first.

    One sample of 3 words of which 2 are asked for, along time (w: words of random bits, ``.``: zero)::

        step        0     1     2     3   4   5
        word        w1    w2    w3    .   .   .
        priority    -0.3  0.9   0.4   .   .   .
        delimiter   .     .     .     1   .   .
        target                            w2  w3

    Priorities are uniform between -1 and 1. Of 20 words the 16 of the highest priorities are asked for.

    Chance: 128.0 bits per sequence, one for each bit to be recalled.
    Best: 0.0 bits per sequence.
    Paper: Graves et al. 2014, section 4.5.

    Attributes:
        bits: random bits in each word.
        min_items: words in the shortest list.
        max_items: words in the longest list.
        kept: share of the words that is asked for, above 0 and at most 1; rounded, at least one word.
        equal_lengths: whether all rows of a batch have the same length, so that none is padded.
    """

    bits: int = 8
    min_items: int = 20
    max_items: int = 20
    kept: float = 0.8
    equal_lengths: bool = False

    def __post_init__(self) -> None:
        check_whole("priority_sort", "bits", self.bits, 1)
        check_range("priority_sort", "items", self.min_items, self.max_items)
        if not 0 < self.kept <= 1:
            raise ValueError(f"priority_sort: kept is {self.kept!r}, expected a share above 0 and at most 1")

    @property
    def spec(self) -> Spec:
        """Words of ``bits``, a priority and a delimiter in; words out."""
        asked = self._asked(torch.arange(self.min_items, self.max_items + 1))
        return Spec(
            inputs=(Field("word", "binary", self.bits), Field("priority", "scalar"), Field("delimiter", "binary")),
            target=Field("word", "binary", self.bits),
            unit="bits per sequence",
            chance=self.bits * float(asked.double().mean()),
            best=0.0,
            paper="Graves et al. 2014, section 4.5",
            holds=self.max_items,
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        items = draw_whole((batch_size, 1), self.min_items, self.max_items, generator, alike=self.equal_lengths)
        words = draw_bits((batch_size, self.max_items, self.bits), generator)  # [B, M, bits]
        priorities = torch.rand(batch_size, self.max_items, generator=generator) * 2 - 1
        absent = torch.arange(self.max_items) >= items
        order = priorities.masked_fill(absent, -2.0).argsort(dim=1, descending=True, stable=True)  # absent ones last
        blocks = lay_out(torch.cat([items, torch.ones_like(items), self._asked(items)], 1))
        shown, delimiter, answered = (blocks.phase(number, of=3) for number in range(3))
        place = blocks.offset.clamp(max=self.max_items - 1)
        word = pick(words, torch.where(answered, order.gather(1, place), place))  # [B, T, bits]
        inputs = torch.cat(
            [
                word * shown[..., None],
                priorities.gather(1, place).masked_fill(~shown, 0.0)[..., None],
                delimiter[..., None].float(),
            ],
            -1,
        )
        return Batch(inputs, word * answered[..., None], answered, blocks.lengths)

    def _asked(self, items: Tensor) -> Tensor:
        return (items * self.kept).round().long().clamp(min=1)
