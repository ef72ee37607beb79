"""Which vector is the n-th farthest from another.

Dimensions: B rows, T steps, M vectors, D numbers of a vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator
from torch.nn import functional as F

from lukasa.ground.settings import check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.drawing import draw_order, draw_whole
from lukasa.tasks.spec import Field, Spec


@dataclass(frozen=True, kw_only=True)
class NthFarthest:
    """Show labelled vectors in random order; the answer is the label of the n-th farthest from the vector labelled m.

    One sample of 3 vectors, along time; every step asks, only the last is answered::

        step      0    1    2
        vector    x1   x2   x3         numbers uniform between -1 and 1
        label     2    0    1          one-hot, each label once
        n         1    1    1          one-hot: 1 asks for the farthest
        m         0    0    0          one-hot: the distances are from x2
        target              2          if x1 is farther from x2 than x3

    With as many as there are vectors for n, the answer is m itself. Distances are Euclidean.

    Chance: 12.5 accuracy %, one of 8 vectors.
    Best: 100.0 accuracy %.
    Paper: Santoro et al. 2018, section 4.1.

    Attributes:
        vectors: number of vectors, and of labels.
        numbers: numbers in a vector.
        pause: steps between the last vector and the answer that show nothing but the question.
    """

    vectors: int = 8
    numbers: int = 16
    pause: int = 0

    def __post_init__(self) -> None:
        check_whole("nth_farthest", "vectors", self.vectors, 2)
        check_whole("nth_farthest", "numbers", self.numbers, 1)
        check_whole("nth_farthest", "pause", self.pause, 0)

    @property
    def spec(self) -> Spec:
        """A vector, its label and the question in; a label out."""
        return Spec(
            inputs=(
                Field("vector", "scalar", self.numbers),
                *(Field(name, "categorical", 1, self.vectors) for name in ("label", "n", "m")),
            ),
            target=Field("label", "categorical", 1, self.vectors),
            unit="accuracy %",
            chance=100 / self.vectors,
            best=100.0,
            paper="Santoro et al. 2018, section 4.1",
            holds=self.vectors,
        )

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw a batch; nothing but the generator decides which."""
        vectors = torch.rand(batch_size, self.vectors, self.numbers, generator=generator) * 2 - 1  # [B, M, D], by label
        asked = draw_whole((batch_size, 2), 0, self.vectors - 1, generator)  # [B, 2], n less 1, and m
        row = torch.arange(batch_size)
        distances = (vectors - vectors[row, asked[:, 1], None]).square().sum(-1)  # [B, M]
        answer = distances.argsort(dim=1, descending=True, stable=True).gather(1, asked[:, :1])  # [B, 1]
        order = draw_order((batch_size, self.vectors), generator)
        steps = self.vectors + self.pause
        shown = torch.cat([vectors[row[:, None], order], F.one_hot(order, self.vectors).float()], -1)
        shown = F.pad(shown, (0, 0, 0, self.pause))  # [B, T, D + M]
        question = F.one_hot(asked, self.vectors).float().flatten(1)[:, None].expand(-1, steps, -1)
        targets = torch.zeros(batch_size, steps, 1, dtype=torch.long)
        targets[:, -1] = answer
        mask = torch.zeros(batch_size, steps, dtype=torch.bool)
        mask[:, -1] = True
        return Batch(torch.cat([shown, question], -1), targets, mask, torch.full((batch_size,), steps))
