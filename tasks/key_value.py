"""Recall the value that was stored under a key.

Dimensions: B rows, T steps, M pairs of the longest list.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator

from lukasa.ground.settings import check_range, check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import draw_bits, draw_distinct, draw_whole, lay_out, pick
from lukasa.tasks.spec import Field, Spec


@dataclass(frozen=True, kw_only=True)
class KeyValue:
    """Show pairs of a key and a value, then every key again in another order: each answer is the key's value.

    One sample of 3 pairs, along time (k: words of random bits, all different; v: words of random bits)::

        step      0   1   2   3   4   5
        key       k1  k2  k3  k2  k3  k1
        value     v1  v2  v3  .   .   .
        query     .   .   .   1   1   1
        target                v2  v3  v1

    Chance: 108.0 bits per sequence, one for each bit to be recalled.
    Best: 0.0 bits per sequence.
    Paper: Csordás and Schmidhuber 2019 (12 bits, 2 to 16 pairs).

    Attributes:
        bits: bits of a key and of a value; from 2 to 16.
        min_pairs: pairs in the shortest list.
        max_pairs: pairs in the longest list; at most 2 to the power of ``bits``, for keys are different.
        equal_lengths: whether all rows of a batch have the same length, so that none is padded.
    """

    bits: int = 12
    min_pairs: int = 2
    max_pairs: int = 16
    equal_lengths: bool = False

    def __post_init__(self) -> None:
        check_whole("key_value", "bits", self.bits, 2, 16)
        check_range("key_value", "pairs", self.min_pairs, self.max_pairs, most=2**self.bits)

    @property
    def spec(self) -> Spec:
        """A key, a value and a flag in; a value out."""
        return Spec(
            inputs=(
                Field("key", "binary", self.bits),
                Field("value", "binary", self.bits),
                Field("query", "binary"),
            ),
            target=Field("value", "binary", self.bits),
            unit="bits per sequence",
            chance=self.bits * (self.min_pairs + self.max_pairs) / 2,
            best=0.0,
            paper="Csordás and Schmidhuber 2019",
            holds=self.max_pairs,
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        pairs = draw_whole((batch_size, 1), self.min_pairs, self.max_pairs, generator, alike=self.equal_lengths)
        numbers = draw_distinct(batch_size, self.max_pairs, 2**self.bits, generator)
        keys = (numbers[..., None] >> torch.arange(self.bits) & 1).float()  # [B, M, bits]
        values = draw_bits((batch_size, self.max_pairs, self.bits), generator)
        absent = torch.arange(self.max_pairs) >= pairs
        order = (torch.rand(batch_size, self.max_pairs, generator=generator) + absent).argsort(1)  # absent ones last
        blocks = lay_out(torch.cat([pairs, pairs], 1))
        shown, asked = blocks.phase(0, of=2), blocks.phase(1, of=2)
        pair = torch.where(asked, order.gather(1, blocks.offset.clamp(max=self.max_pairs - 1)), blocks.offset)
        key, value = pick(keys, pair), pick(values, pair)  # [B, T, bits]
        inputs = torch.cat(
            [key * blocks.inside[..., None], value * shown[..., None], asked[..., None].float()],
            -1,
        )
        return Batch(inputs, value * asked[..., None], asked, blocks.lengths)
