"""Learn a random table of next-bit probabilities while reading what it generates.

Dimensions: B rows, T steps, C contexts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from lukasa.ground.settings import check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.spec import Field, Spec

PAPER_OPTIMUM = 133.1
"""Mean cost of the best predictor at the paper's size, in bits; by simulation, standard error 0.15."""


@dataclass(frozen=True, kw_only=True)
class NGrams:
    """Predict each bit of a sequence whose bits depend on the 5 before, by a table drawn anew for each sequence.

    One sample, along time (x: bits)::

        step      0   1   2   3   ...  199
        bit       .   x0  x1  x2  ...  x198
        target    x0  x1  x2  x3  ...  x199

    The first bits are fair coins. After them P(1 | context) = p_c, with each p_c ~ Beta(1/2, 1/2). The best predictor
    that does not know the table counts: P(1 | context) = (N1 + 1/2) / (N0 + N1 + 1), with N0 and N1 how often zeros
    and ones have followed this context so far in this sequence (Murphy 2012). ``optimum_bits`` is its cost.

    Chance: 200.0 bits per sequence, one for each bit.
    Best: 133.1 bits per sequence, the mean cost of the best predictor; single sequences differ by about 36. For other
    settings it is not known, and not a number in the spec.
    Paper: Graves et al. 2014, section 4.4.

    Attributes:
        context: bits that decide about the next.
        length: bits in a sequence; more than ``context``.
    """

    context: int = 5
    length: int = 200

    def __post_init__(self) -> None:
        check_whole("ngrams", "context", self.context, 1, 16)
        check_whole("ngrams", "length", self.length, self.context + 1)

    @property
    def spec(self) -> Spec:
        """The bit before in; the bit out."""
        return Spec(
            inputs=(Field("bit", "binary"),),
            target=Field("bit", "binary"),
            unit="bits per sequence",
            chance=float(self.length),
            best=PAPER_OPTIMUM if (self.context, self.length) == (5, 200) else math.nan,
            paper="Graves et al. 2014, section 4.4",
            holds=2**self.context,
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        # sin^2 of a uniform angle is Beta(1/2, 1/2), the arcsine law.
        angles = torch.rand(batch_size, 2**self.context, generator=generator) * (math.pi / 2)
        table = angles.sin().square()  # [B, C]
        thresholds = torch.rand(batch_size, self.length, generator=generator)
        bits = (thresholds < 0.5).long()  # [B, T]; the first ones stay
        context = _contexts(bits[:, : self.context], self.context)[:, -1:]  # [B, 1]
        for step in range(self.context, self.length):
            bits[:, step : step + 1] = thresholds[:, step : step + 1] < table.gather(1, context)
            context = (2 * context + bits[:, step : step + 1]) % 2**self.context
        targets = bits[..., None].float()
        mask = torch.ones(batch_size, self.length, dtype=torch.bool)
        lengths = torch.full((batch_size,), self.length)
        return Batch(F.pad(targets, (0, 0, 1, 0))[:, :-1], targets, mask, lengths)

    def optimum_logits(self, batch: Batch) -> Tensor:
        """The best predictor's log-odds of a one at each step, [B, T, 1], as a model's outputs would be."""
        bits = batch.targets[..., 0].long()
        context = F.pad(_contexts(bits, self.context), (1, 0))[:, :-1]  # [B, T], the bits before each step
        seen = F.one_hot(context, 2**self.context).double()  # [B, T, C]
        seen[:, : self.context] = 0  # the first bits follow no whole context
        ones = _before(seen * bits[..., None]).gather(2, context[..., None])
        total = _before(seen).gather(2, context[..., None])
        logits = torch.log((ones + 0.5) / (total - ones + 0.5))
        logits[:, : self.context] = 0
        return logits

    def optimum_bits(self, batch: Batch) -> Tensor:
        """What the best predictor pays for each sequence of the batch: [B], bits."""
        return self.spec.bits(self.optimum_logits(batch), batch)


def _contexts(bits: Tensor, width: int) -> Tensor:
    """The number that the last ``width`` bits spell at each step, [B, T]; bits before the first are zeros."""
    padded = F.pad(bits, (width - 1, 0))
    powers = 2 ** torch.arange(width - 1, -1, -1)
    return (padded.unfold(1, width, 1) * powers).sum(-1)


def _before(counts: Tensor) -> Tensor:
    """Sums over all earlier steps, [B, T, C]."""
    return F.pad(counts.cumsum(1), (0, 0, 1, 0))[:, :-1]
