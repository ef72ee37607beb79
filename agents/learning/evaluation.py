"""How well a learner does on examples, with an interval: the same for every type of them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from lukasa.ground.statistics import Interval, ratio_interval, share_ratio_interval
from lukasa.tasks import Score
from lukasa.tasks.spec import Unit


@dataclass(frozen=True)
class Evaluation:
    """The score of a learner on examples it has not learned from.

    Attributes:
        score: in the source's unit.
        interval: 95 % confidence interval of the score.
        loss: mean of the examples, as in training.
        bits: that in bits; None where the loss is no surprise in nats, as for a task of numbers.
        wrong: percent of items (bits, symbols, steps, answers or queries) that are wrong.
        count: examples that there were.
    """

    score: float
    interval: Interval
    loss: float
    bits: float | None
    wrong: float
    count: int


class Answered(NamedTuple):
    """What the answers to one batch are worth."""

    loss: float  # sum over the examples
    scores: list[Score]  # of each example
    wrong: int  # items
    items: int


def evaluation(answers: Iterable[Answered], unit: Unit, *, in_nats: bool = True) -> Evaluation:
    """The score of all batches together.

    Args:
        answers: batch by batch; at least one example.
        unit: of the score; shares in percent get Wilson's interval.
        in_nats: whether the loss is in nats.

    Raises:
        ValueError: there is no example.
    """
    scores: list[Score] = []
    loss, wrong, items = 0.0, 0, 0
    for one in answers:
        scores += one.scores
        loss, wrong, items = loss + one.loss, wrong + one.wrong, items + one.items
    if not scores:
        raise ValueError("there is no example to score: expected at least one")
    mean, total = loss / len(scores), sum(scores, Score(0.0, 0))
    bits = mean / math.log(2) if in_nats else None
    return Evaluation(total.value, score_interval(scores, unit), mean, bits, 100 * wrong / max(1, items), len(scores))


def score_interval(scores: list[Score], unit: Unit) -> Interval:
    """The 95 % confidence interval of a score from those of single examples, which need not have the same items.

    Args:
        scores: one of each example.
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
