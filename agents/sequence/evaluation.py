"""How well a core does on sequences of a task."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from lukasa.agents.sequence.answering import on_core, own_steps, respond
from lukasa.ground.statistics import Interval, ratio_interval, share_ratio_interval
from lukasa.memory import Core
from lukasa.tasks import Batch, Score, Spec
from lukasa.tasks.spec import Unit


@dataclass(frozen=True)
class Evaluation:
    """The result of ``evaluate``.

    Attributes:
        score: in the task's unit.
        interval: 95 % confidence interval of the score.
        bits: mean loss in bits per sequence; None for a task of numbers.
        wrong: percent of items (bits, symbols, steps or answers, as the task's spec says) that are wrong.
        sequences: how many there were.
    """

    score: float
    interval: Interval
    bits: float | None
    wrong: float
    sequences: int


@torch.no_grad()
def evaluate(
    core: Core,
    spec: Spec,
    batches: Iterable[Batch],
    *,
    teacher_forcing: bool = False,
    observe: Callable[[Tensor, Batch], None] | None = None,
) -> Evaluation:
    """Score a core on sequences.

    Args:
        core: who answers.
        spec: of the task.
        batches: at least one sequence.
        teacher_forcing: where outputs feed back, show the right answers; by default the core sees its own.
        observe: called with the outputs of each batch and the batch, for what else is to be measured of them.

    Raises:
        ValueError: there is no sequence.
    """
    scores: list[Score] = []
    losses: list[float] = []
    wrong = count = 0
    for batch in batches:
        batch = on_core(core, batch)
        own = own_steps(spec, batch, float(teacher_forcing))
        outputs, _ = respond(core, spec, batch.inputs, own=own)
        if observe is not None:
            observe(outputs, batch)
        losses += spec.loss(outputs, batch).tolist()
        of_batch = spec.mistakes(outputs, batch)
        wrong, count = wrong + of_batch[0], count + of_batch[1]
        rows = [Batch(*(tensor[row : row + 1] for tensor in batch)) for row in range(len(outputs))]
        scores += [spec.score(outputs[row : row + 1], one) for row, one in enumerate(rows)]
    if not scores:
        raise ValueError("there is no sequence to score: expected at least one")
    total = sum(scores, Score(0.0, 0))
    bits = None if spec.target.kind == "scalar" else sum(losses) / len(losses) / math.log(2)
    return Evaluation(total.value, score_interval(scores, spec.unit), bits, 100 * wrong / max(1, count), len(scores))


def score_interval(scores: list[Score], unit: Unit) -> Interval:
    """The 95 % confidence interval of a score from those of single sequences, which need not have the same items.

    Args:
        scores: one of each sequence.
        unit: of the score; shares in percent get Wilson's interval.

    Example:
        >>> low, high = score_interval([Score(0.0, 1), Score(100.0, 1)] * 50, "accuracy %")
        >>> round(low, 1), round(high, 1)
        (40.4, 59.6)
    """
    totals, counts = [one.total for one in scores], [one.count for one in scores]
    if not any(counts):
        return math.nan, math.nan
    return share_ratio_interval(totals, counts, 100) if unit.endswith("%") else ratio_interval(totals, counts)
