"""Name the item that came after the one shown again.

Dimensions: B rows, T steps, M items of the longest list.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator

from lukasa.ground.settings import check_range, check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import draw_bits, draw_whole, lay_out, pick
from lukasa.tasks.spec import Field, Spec


@dataclass(frozen=True, kw_only=True)
class AssociativeRecall:
    """Show a list of items, then one of them again: the answer is the item that followed it.

    An item is several words. One sample of 2 items of 3 words, along time (a, b: words of random bits, ``.``: zero)::

        step      0   1   2   3   4   5   6   7   8   9   10  11  12  13  14  15
        word      .   a1  a2  a3  .   b1  b2  b3  .   a1  a2  a3  .   .   .   .
        item      1   .   .   .   1   .   .   .   .   .   .   .   .   .   .   .
        query     .   .   .   .   .   .   .   .   1   .   .   .   1   .   .   .
        target                                                        b1  b2  b3

    Items are drawn independently: two are the same, and the question may have two answers, once in 2^18 pairs.

    Chance: 18.0 bits per sequence, one for each bit to be recalled.
    Best: 0.0 bits per sequence.
    Paper: Graves et al. 2014, section 4.3.

    Attributes:
        bits: random bits in each word.
        item_length: words in one item.
        min_items: items in the shortest list; at least 2.
        max_items: items in the longest list.
        equal_lengths: whether all rows of a batch have the same length, so that none is padded.
    """

    bits: int = 6
    item_length: int = 3
    min_items: int = 2
    max_items: int = 6
    equal_lengths: bool = False

    def __post_init__(self) -> None:
        check_whole("associative_recall", "bits", self.bits, 1)
        check_whole("associative_recall", "item_length", self.item_length, 1)
        check_range("associative_recall", "items", self.min_items, self.max_items, least=2)

    @property
    def spec(self) -> Spec:
        """Words of ``bits`` and two delimiters in; words out."""
        return Spec(
            inputs=(Field("word", "binary", self.bits), Field("item", "binary"), Field("query", "binary")),
            target=Field("word", "binary", self.bits),
            unit="bits per sequence",
            chance=float(self.bits * self.item_length),
            best=0.0,
            paper="Graves et al. 2014, section 4.3",
            holds=self.max_items * self.item_length,
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        items = draw_whole((batch_size, 1), self.min_items, self.max_items, generator, alike=self.equal_lengths)
        asked = (torch.rand(batch_size, 1, generator=generator) * (items - 1)).long()  # never the last item
        words = draw_bits((batch_size, self.max_items * self.item_length, self.bits), generator)  # [B, M * words, bits]
        once, item = torch.ones_like(items), torch.full_like(items, self.item_length)
        blocks = lay_out(torch.cat([items * (item + 1), once, item, once, item], 1))
        listed, opens, shown, closes, answered = (blocks.phase(number, of=5) for number in range(5))
        # A listed item is its delimiter and then its words.
        number, place = blocks.offset // (self.item_length + 1), blocks.offset % (self.item_length + 1)
        starts, spelled = listed & (place == 0), listed & (place > 0)
        of_list = number * self.item_length + place - 1
        of_question = (asked + answered.long()) * self.item_length + blocks.offset
        word = pick(words, torch.where(listed, of_list, of_question))  # [B, T, bits]
        flags = torch.stack([starts, opens | closes], -1).float()
        inputs = torch.cat([word * (spelled | shown)[..., None], flags], -1)
        return Batch(inputs, word * answered[..., None], answered, blocks.lengths)
