"""What a task shows, asks and costs: typed fields, from which encoder width, loss and score follow.

Dimensions: B rows, T steps, S symbols in one step, C classes, K columns of the output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lukasa.tasks.batch import Batch

Kind = Literal["binary", "categorical", "scalar"]
Unit = Literal["bits per sequence", "error %", "accuracy %", "squared error"]
Item = Literal["symbol", "step", "answer"]


@dataclass(frozen=True)
class Field:
    """One typed part of the inputs or of the targets.

    Attributes:
        name: what it holds.
        kind: "binary" bits, "categorical" symbols shown one-hot, or "scalar" numbers.
        symbols: bits, symbols or numbers in one step.
        classes: values of one symbol; only a categorical field has any.
    """

    name: str
    kind: Kind
    symbols: int = 1
    classes: int = 0

    def __post_init__(self) -> None:
        assert (self.classes > 1) == (self.kind == "categorical"), self

    @property
    def width(self) -> int:
        """Columns it takes."""
        return self.symbols * (self.classes or 1)


@dataclass(frozen=True)
class Score:
    """A sum over sequences or items, so that scores of several batches add up.

    Attributes:
        total: sum of what is scored, in the task's unit.
        count: number of sequences or items in the sum.

    Example:
        >>> (Score(100.0, 2) + Score(0.0, 3)).value
        20.0
    """

    total: float
    count: int

    def __add__(self, other: Score) -> Score:
        return Score(self.total + other.total, self.count + other.count)

    @property
    def value(self) -> float:
        """The mean, in the task's unit; not a number when nothing was scored."""
        return self.total / self.count if self.count else math.nan


@dataclass(frozen=True)
class Spec:
    """A task as a model and its trainer see it.

    Attributes:
        inputs: what one step shows, in the order of the columns.
        target: what one step asks for.
        unit: of the score.
        item: what is right or wrong as a whole in an error or accuracy: one symbol, all symbols of one step, or an
            answer, which is a run of scored steps with no unscored one between.
        chance: the score of one who knows the format and guesses the content.
        best: the score of one who remembers everything.
        paper: where task and unit come from.
        holds: words to be remembered at once at the longest; 0 where that is not a number of words.
        feedback: the input field that shows the answer before; empty where outputs do not feed back.
    """

    inputs: tuple[Field, ...]
    target: Field
    unit: Unit
    chance: float
    best: float
    paper: str
    item: Item = "symbol"
    holds: int = 0
    feedback: str = ""

    @property
    def input_size(self) -> int:
        """Width of one input."""
        return sum(field.width for field in self.inputs)

    @property
    def output_size(self) -> int:
        """Width of one output: a logit a bit, a logit a class of each symbol, or a number each."""
        return self.target.width

    def columns(self, name: str) -> slice:
        """Where one field lies in the last dimension of the inputs."""
        start = 0
        for field in self.inputs:
            if field.name == name:
                return slice(start, start + field.width)
            start += field.width
        raise KeyError(name)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Cross-entropy of the scored steps; squared error where the target is scalar.

        Args:
            outputs: [B, T, K], a model's outputs before any squashing.
            batch: the sequences they answer.

        Returns:
            [B], nats per sequence (for scalars, the sum of squares).

        Raises:
            ValueError: the outputs are of another shape.
        """
        self._check(outputs, batch)
        # A NaN in an unscored step would reach the gradient through a mask that multiplies.
        outputs = outputs.masked_fill(~batch.mask[..., None], 0.0)
        if self.target.kind == "categorical":
            logits = outputs.unflatten(-1, (self.target.symbols, self.target.classes))  # [B, T, S, C]
            costs = -logits.log_softmax(-1).gather(-1, batch.targets[..., None]).squeeze(-1)
        elif self.target.kind == "binary":
            costs = F.binary_cross_entropy_with_logits(outputs, batch.targets.to(outputs), reduction="none")
        else:
            costs = (outputs - batch.targets.to(outputs)).square()
        return costs.masked_fill(~batch.mask[..., None], 0.0).sum((1, 2))

    def bits(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The loss in bits per sequence, [B]; arguments as for ``loss``."""
        return self.loss(outputs, batch) / math.log(2)

    def answers(self, outputs: Tensor) -> Tensor:
        """The likeliest symbols: [B, T, K] -> [B, T, S], in the form of the targets."""
        if self.target.kind == "categorical":
            return outputs.unflatten(-1, (self.target.symbols, self.target.classes)).argmax(-1)
        return (outputs > 0).to(outputs.dtype) if self.target.kind == "binary" else outputs

    def shown(self, answers: Tensor) -> Tensor:
        """Answers as an input would show them: [B, T, S] -> [B, T, K], symbols one-hot, bits and numbers as they are.

        This is what a model's own answers look like in the field ``feedback``.
        """
        if self.target.kind != "categorical":
            return answers
        return F.one_hot(answers.long(), self.target.classes).flatten(-2).to(torch.get_default_dtype())

    def score(self, outputs: Tensor, batch: Batch) -> Score:
        """The batch's score in ``unit``, to be added to that of others; arguments as for ``loss``."""
        outputs = outputs.detach()
        if self.unit == "bits per sequence":
            return Score(float(self.bits(outputs, batch).double().sum()), len(outputs))
        if self.unit == "squared error":
            return Score(float(self.loss(outputs, batch).double().sum()), len(outputs))
        wrong, count = self.mistakes(outputs, batch)
        return Score(100.0 * (wrong if self.unit == "error %" else count - wrong), count)

    def mistakes(self, outputs: Tensor, batch: Batch) -> tuple[int, int]:
        """How many items are wrong, and how many there are, whatever the unit; arguments as for ``loss``."""
        self._check(outputs, batch)
        wrong = (self.answers(outputs) != batch.targets) & batch.mask[..., None]  # [B, T, S]
        if self.item == "symbol":
            return int(wrong.sum()), int(batch.mask.sum()) * self.target.symbols
        wrong = wrong.any(-1)
        if self.item == "step":
            return int(wrong.sum()), int(batch.mask.sum())
        before = F.pad(batch.mask, (1, 0))[:, :-1]
        number = (batch.mask & ~before).cumsum(1)  # [B, T], which answer a step belongs to; the first is 1
        wrong_steps = torch.zeros(len(number), number.shape[1] + 1).scatter_add_(1, number.cpu(), wrong.float().cpu())
        return int((wrong_steps > 0).sum()), int(number[:, -1].sum())

    def _check(self, outputs: Tensor, batch: Batch) -> None:
        expected = (*batch.mask.shape, self.output_size)
        if outputs.shape != expected:
            raise ValueError(f"outputs {list(outputs.shape)} do not fit the batch: expected {list(expected)}")
