"""Write down a sequence, forwards or backwards.

Dimensions: B rows, T steps, R rounds, L words of the longest sequence.
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
class Copy:
    """Repeat a sequence of random words after a delimiter.

    One sample of length 3, along time (w: words of random bits, ``.``: all zero)::

        step        0   1   2   3   4   5   6
        word        w1  w2  w3  .   .   .   .
        delimiter   .   .   .   1   .   .   .
        target                      w1  w2  w3

    Chance: 84.0 bits per sequence, one for each bit to be recalled.
    Best: 0.0 bits per sequence.
    Paper: Graves et al. 2014, section 4.1.

    Attributes:
        bits: random bits in each word.
        min_length: words in the shortest sequence.
        max_length: words in the longest sequence.
        rounds: sequences shown and recalled one after another in one row, as in the test of memory re-use of
            Graves et al. 2016.
        pause: steps that show nothing between a sequence and its delimiter, over which it has to be kept.
        equal_lengths: whether all rows of a batch have the same lengths, so that none is padded.
    """

    bits: int = 8
    min_length: int = 1
    max_length: int = 20
    rounds: int = 1
    pause: int = 0
    equal_lengths: bool = False

    def __post_init__(self) -> None:
        check_whole("copy", "bits", self.bits, 1)
        check_whole("copy", "rounds", self.rounds, 1)
        check_whole("copy", "pause", self.pause, 0)
        check_range("copy", "length", self.min_length, self.max_length)

    @property
    def spec(self) -> Spec:
        """Words of ``bits`` and a delimiter in; words out."""
        words = self.rounds * (self.min_length + self.max_length) / 2
        return _spec(self.bits, words, self.max_length, "Graves et al. 2014, section 4.1")

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        sizes = (batch_size, self.rounds)
        lengths = draw_whole(sizes, self.min_length, self.max_length, generator, alike=self.equal_lengths)
        return _show_and_recall(lengths, self.bits, generator, pause=self.pause)


@dataclass(frozen=True, kw_only=True)
class Reverse:
    """Recall a sequence of random words from the last to the first.

    One sample of length 3, along time (w: words of random bits, ``.``: all zero)::

        step        0   1   2   3   4   5   6
        word        w1  w2  w3  .   .   .   .
        delimiter   .   .   .   1   .   .   .
        target                      w3  w2  w1

    Chance: 84.0 bits per sequence, one for each bit to be recalled.
    Best: 0.0 bits per sequence.
    Paper: Zaremba and Sutskever 2015.

    Attributes:
        bits: random bits in each word.
        min_length: words in the shortest sequence.
        max_length: words in the longest sequence.
        equal_lengths: whether all rows of a batch have the same length, so that none is padded.
    """

    bits: int = 8
    min_length: int = 1
    max_length: int = 20
    equal_lengths: bool = False

    def __post_init__(self) -> None:
        check_whole("reverse", "bits", self.bits, 1)
        check_range("reverse", "length", self.min_length, self.max_length)

    @property
    def spec(self) -> Spec:
        """Words of ``bits`` and a delimiter in; words out."""
        return _spec(self.bits, (self.min_length + self.max_length) / 2, self.max_length, "Zaremba and Sutskever 2015")

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        sizes = (batch_size, 1)
        lengths = draw_whole(sizes, self.min_length, self.max_length, generator, alike=self.equal_lengths)
        return _show_and_recall(lengths, self.bits, generator, backwards=True)


def _spec(bits: int, mean_words: float, holds: int, paper: str) -> Spec:
    return Spec(
        inputs=(Field("word", "binary", bits), Field("delimiter", "binary")),
        target=Field("word", "binary", bits),
        unit="bits per sequence",
        chance=bits * mean_words,
        best=0.0,
        paper=paper,
        holds=holds,
    )


def _show_and_recall(
    lengths: torch.Tensor, bits: int, generator: Generator, *, pause: int = 0, backwards: bool = False
) -> Batch:
    # lengths: [B, R], words in each round
    longest = int(lengths.max())
    words = draw_bits((len(lengths), lengths.shape[1] * longest, bits), generator)  # [B, R * L, bits]
    waits, once = torch.full_like(lengths, pause), torch.ones_like(lengths)
    blocks = lay_out(torch.stack([lengths, waits, once, lengths], -1).flatten(1))
    shown, delimiter, recalled = (blocks.phase(number, of=4) for number in (0, 2, 3))
    turn = blocks.block // 4
    place = torch.where(recalled & backwards, lengths.gather(1, turn) - 1 - blocks.offset, blocks.offset)
    word = pick(words, turn * longest + place)  # [B, T, bits]
    inputs = torch.cat([word * shown[..., None], delimiter[..., None].float()], -1)
    return Batch(inputs, word * recalled[..., None], recalled, blocks.lengths)
