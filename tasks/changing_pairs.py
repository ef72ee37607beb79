"""Recall the newest value of a key, in a stream that keeps changing its mind.

Dimensions: B rows, T steps, M keys, L pairs shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator

from lukasa.ground.settings import check_range, check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import draw_bits, draw_distinct, draw_order, draw_whole, lay_out, pick
from lukasa.tasks.spec import Field, Spec


@dataclass(frozen=True, kw_only=True)
class ChangingPairs:
    """Show pairs of a key and a value, where later pairs overwrite earlier ones; then ask for the value of every key.

    One sample of 2 keys and 5 pairs, along time (k: words of random bits, all different; v: words of random bits)::

        step      0   1   2   3   4   5   6
        key       k1  k2  k1  k1  k2  k2  k1
        value     v1  v2  v3  v4  v5  .   .
        query     .   .   .   .   .   1   1
        target                        v5  v4

    Every key is shown at least once. A memory that only appends finds every value that a key ever had; one that
    overwrites finds the newest.

    Chance: 36.0 bits per sequence, one for each bit to be recalled.
    Best: 0.0 bits per sequence.
    Paper: none; key-value retrieval (Csordás and Schmidhuber 2019) with values that change.

    Attributes:
        bits: bits of a key and of a value; from 2 to 16.
        keys: number of keys; at most 2 to the power of ``bits``, for keys are different.
        min_pairs: pairs in the shortest stream; at least as many as keys.
        max_pairs: pairs in the longest stream.
        equal_lengths: whether all rows of a batch have the same length, so that none is padded.
    """

    bits: int = 6
    keys: int = 6
    min_pairs: int = 12
    max_pairs: int = 24
    equal_lengths: bool = False

    def __post_init__(self) -> None:
        check_whole("changing_pairs", "bits", self.bits, 2, 16)
        check_whole("changing_pairs", "keys", self.keys, 1, 2**self.bits)
        check_range("changing_pairs", "pairs", self.min_pairs, self.max_pairs, least=self.keys)

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
            chance=float(self.bits * self.keys),
            best=0.0,
            paper="none",
            holds=self.keys,
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        rows = torch.arange(batch_size)[:, None]
        pairs = draw_whole((batch_size, 1), self.min_pairs, self.max_pairs, generator, alike=self.equal_lengths)
        numbers = draw_distinct(batch_size, self.keys, 2**self.bits, generator)
        keys = (numbers[..., None] >> torch.arange(self.bits) & 1).float()  # [B, M, bits]
        values = draw_bits((batch_size, self.max_pairs, self.bits), generator)
        # Every key once, at random places of the stream; the others are drawn.
        places = torch.rand(batch_size, self.max_pairs, generator=generator) + (torch.arange(self.max_pairs) >= pairs)
        key_at = draw_whole((batch_size, self.max_pairs), 0, self.keys - 1, generator).clone()
        key_at[rows, places.argsort(1)[:, : self.keys]] = torch.arange(self.keys)
        shown_at = torch.arange(self.max_pairs)
        is_of = (key_at[:, :, None] == torch.arange(self.keys)) & (shown_at < pairs)[..., None]  # [B, L, M]
        newest = torch.where(is_of, shown_at[:, None], -1).amax(1)  # [B, M]
        order = draw_order((batch_size, self.keys), generator)
        blocks = lay_out(torch.cat([pairs, torch.full_like(pairs, self.keys)], 1))
        shown, asked = blocks.phase(0, of=2), blocks.phase(1, of=2)
        turn = order.gather(1, blocks.offset.clamp(max=self.keys - 1))
        at = blocks.offset.clamp(max=self.max_pairs - 1)
        key = pick(keys, torch.where(asked, turn, key_at.gather(1, at)))
        value = pick(values, torch.where(asked, newest.gather(1, turn), at))  # [B, T, bits]
        inputs = torch.cat(
            [key * blocks.inside[..., None], value * shown[..., None], asked[..., None].float()],
            -1,
        )
        return Batch(inputs, value * asked[..., None], asked, blocks.lengths)
