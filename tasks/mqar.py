"""Multi-query associative recall among distracting tokens.

Dimensions: B rows, T steps, M pairs, V tokens of the vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator
from torch.nn import functional as F

from lukasa.ground.settings import check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import draw_distinct
from lukasa.tasks.spec import Field, Spec


@dataclass(frozen=True, kw_only=True)
class MQAR:
    """Show pairs of a key and a value as tokens, then each key once more among random tokens: answer its value.

    One sample of 2 pairs in 10 steps, along time (k, v: keys and values; r: random tokens, not scored)::

        step      0   1   2   3   4   5   6   7   8   9
        token     k1  v1  k2  v2  k2  r   k1  r   r   r
        target                    v2      v1

    The first half of the vocabulary (less token 0) are keys, the second half values. A key comes again soon rather
    than late: its distance follows a power law.

    Chance: 3.1 accuracy %, one of 32 values.
    Best: 100.0 accuracy %.
    Paper: Arora et al. 2023, "Zoology", where the vocabulary has 8192 tokens.

    Attributes:
        vocabulary: tokens, an even number; shown one-hot, so a step is that wide.
        pairs: keys and as many values.
        length: steps; at least 4 for each pair.
        power: exponent of the distances' power law, as in the paper's program: the smaller, the sooner.
    """

    vocabulary: int = 64
    pairs: int = 8
    length: int = 64
    power: float = 0.01

    def __post_init__(self) -> None:
        check_whole("mqar", "vocabulary", self.vocabulary, 4)
        if self.vocabulary % 2:
            raise ValueError(f"mqar: vocabulary is {self.vocabulary}, expected an even number: half are values")
        check_whole("mqar", "pairs", self.pairs, 1, self.vocabulary // 2 - 1)
        check_whole("mqar", "length", self.length, 4 * self.pairs)
        if not self.power > 0:
            raise ValueError(f"mqar: power is {self.power!r}, expected a number above 0")

    @property
    def spec(self) -> Spec:
        """A token in; a token out."""
        return Spec(
            inputs=(Field("token", "categorical", 1, self.vocabulary),),
            target=Field("token", "categorical", 1, self.vocabulary),
            unit="accuracy %",
            chance=200 / self.vocabulary,
            best=100.0,
            paper="Arora et al. 2023",
            holds=self.pairs,
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        half = self.vocabulary // 2
        keys = draw_distinct(batch_size, self.pairs, half - 1, generator) + 1  # [B, M]
        values = draw_distinct(batch_size, self.pairs, half, generator) + half
        tokens = torch.randint(0, self.vocabulary, (batch_size, self.length), generator=generator)
        tokens[:, 0 : 2 * self.pairs : 2] = keys
        tokens[:, 1 : 2 * self.pairs : 2] = values
        asked_at = 2 * self.pairs + 2 * self._distances(batch_size, generator)  # [B, M]
        tokens.scatter_(1, asked_at, keys)
        targets = torch.zeros_like(tokens).scatter_(1, asked_at, values)
        mask = targets > 0
        lengths = torch.full((batch_size,), self.length)
        return Batch(F.one_hot(tokens, self.vocabulary).float(), targets[..., None], mask, lengths)

    def _distances(self, batch_size: int, generator: Generator) -> torch.Tensor:
        places = (self.length - 2 * self.pairs) // 2
        weights = torch.arange(1, places + 1).double() ** (self.power - 1)
        return torch.multinomial(weights.expand(batch_size, -1), self.pairs, generator=generator)
