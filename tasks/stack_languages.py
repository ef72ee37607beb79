"""The languages of Joulin and Mikolov 2015 that take counting or a stack: predict each next symbol.

Dimensions: B rows, T steps, W strings in a row, S letters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from lukasa.ground.settings import check_choice, check_range, check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import Blocks, draw_whole, lay_out
from lukasa.tasks.spec import Field, Spec

Language = Literal["anbn", "anbncn", "anbncndn", "anb2n", "anbmcnm", "reversal"]

COUNTS: dict[str, tuple[tuple[int, int], ...]] = {
    "anbn": ((1, 0), (1, 0)),
    "anbncn": ((1, 0), (1, 0), (1, 0)),
    "anbncndn": ((1, 0), (1, 0), (1, 0), (1, 0)),
    "anb2n": ((1, 0), (2, 0)),
    "anbmcnm": ((1, 0), (0, 1), (1, 1)),
    "reversal": ((1, 0), (0, 0), (1, 0)),
}
"""How often each letter of a string comes, in multiples of n and of m; "reversal" is a word, "=", and a word."""

FREE = {"anbn": 1, "anbncn": 1, "anbncndn": 1, "anb2n": 1, "anbmcnm": 2, "reversal": 1}
"""How many first letters are such that what follows them is not decided by what came before."""


@dataclass(frozen=True, kw_only=True)
class StackLanguage:
    """Predict the next symbol of random strings of a language, scored where only one can follow.

    A string is right when each of its scored symbols is. Samples along time::

        language   step     0  1  2  3  4  5  6  7  8
        anbn       symbol   a  a  a  b  b  b
        n = 3      target            b  b  a                (the a starts the next string)
        anbncn     symbol   a  a  b  b  c  c                n = 2
                   target         b  c  c  a
        anbncndn   symbol   a  b  c  d                      n = 1
                   target      c  d  a
        anb2n      symbol   a  a  b  b  b  b                n = 2
                   target         b  b  b  a
        anbmcnm    symbol   a  a  b  c  c  c                n = 2, m = 1
                   target            c  c  a
        reversal   symbol   1  2  2  =  2  2  1             n = 3
                   target            2  2  1

    A symbol that cannot be known, such as whether another a follows, is not asked for. (The paper trains on every
    symbol and scores these.) Strings end where the next could begin, so the last target of the first five is an a.

    Chance: 5.0 accuracy %, for one who guesses n, one of 20.
    Best: 100.0 accuracy %.
    Paper: Joulin and Mikolov 2015, table 1.

    Attributes:
        language: one of the six above.
        min_n: smallest n, and m.
        max_n: largest n, and m.
        strings: strings in a row, one after another.
        alphabet: different symbols in the words of "reversal".
    """

    language: Language = "anbn"
    min_n: int = 1
    max_n: int = 20
    strings: int = 1
    alphabet: int = 2

    def __post_init__(self) -> None:
        check_choice("stack language", "language", self.language, COUNTS)
        check_range("stack language", "n", self.min_n, self.max_n)
        check_whole("stack language", "strings", self.strings, 1)
        check_whole("stack language", "alphabet", self.alphabet, 2)

    @property
    def spec(self) -> Spec:
        """A symbol in; a symbol out."""
        classes = self.alphabet + 1 if self.language == "reversal" else len(COUNTS[self.language])
        return Spec(
            inputs=(Field("symbol", "categorical", 1, classes),),
            target=Field("symbol", "categorical", 1, classes),
            unit="accuracy %",
            item="answer",
            chance=self._chance(),
            best=100.0,
            paper="Joulin and Mikolov 2015, table 1",
            holds=self.max_n if self.language == "reversal" else 0,
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        n, m = (
            draw_whole((batch_size, self.strings, 1), self.min_n, self.max_n, generator) for _ in range(2)
        )  # [B, W, 1]
        counts = torch.tensor(COUNTS[self.language])  # [S, 2]
        lengths = n * counts[:, 0] + m * counts[:, 1]  # [B, W, S]
        if self.language == "reversal":
            lengths[..., 1] = 1
        letters = len(counts)
        blocks = lay_out(lengths.flatten(1))
        letter = blocks.block % letters
        last = blocks.offset + 1 == lengths.flatten(1).gather(1, blocks.block)
        ends = last & (letter == letters - 1)
        scored = (letter >= FREE[self.language]) & blocks.inside
        if self.language == "reversal":
            symbols = self._words(n.squeeze(-1), blocks, generator)
            scored &= ~ends
        else:
            symbols = letter
        following = F.pad(symbols[:, 1:], (0, 1)).masked_fill(ends, 0)  # 0 is the a that starts the next string
        shown = F.one_hot(symbols, self.spec.target.classes).float() * blocks.inside[..., None]
        return Batch(shown, (following * scored)[..., None], scored, blocks.lengths)

    def _words(self, n: Tensor, blocks: Blocks, generator: Generator) -> Tensor:
        words = torch.randint(0, self.alphabet, (len(n), self.strings * self.max_n), generator=generator)
        turn, letter = blocks.block // 3, blocks.block % 3
        place = torch.where(letter == 2, n.gather(1, turn) - 1 - blocks.offset, blocks.offset)
        symbols = words.gather(1, turn * self.max_n + place.clamp(0, self.max_n - 1))
        return symbols.masked_fill(letter == 1, self.alphabet)

    def _chance(self) -> float:
        sizes = self.max_n - self.min_n + 1
        if self.language != "reversal":
            return 100 / sizes
        return 100 * sum(self.alphabet**-n for n in range(self.min_n, self.max_n + 1)) / sizes
