"""A model that learns to point, and what its answers are worth.

Dimensions: B sets, N points, T steps of an answer with its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lukasa.agents.learning import Learned
from lukasa.ground.statistics import Interval, mean_interval, wilson_interval
from lukasa.memory.pointers import Decoded, Pointer, Rules, answer_losses, choices_of, decode, scored
from lukasa.tasks import Score
from lukasa.tasks.pointing import PointingTask, PointSets

AT_ONCE = 2048
"""Beams that are searched side by side where a model is scored."""


class PointerLearner:
    """A model as the trainer sees it: taught with the right answer so far (teacher forcing).

    Args:
        model: on its device.
    """

    part = "model"

    def __init__(self, model: Pointer):
        self.model = model

    @property
    def module(self) -> Pointer:
        """The model."""
        return self.model

    def learn(self, batch: PointSets) -> Learned:
        """Add the gradient of the answers' mean surprise, in nats, to that of the parameters.

        The score is the share of answers that are what is taught, step by step, without masks or search.
        """
        batch = batch.to(next(self.model.parameters()).device)
        self.model.train()
        scores = self.model(batch.points, batch.sizes, batch.answers)
        loss = answer_losses(scores, batch.answers, batch.lengths).mean()
        loss.backward()
        right = taught_exactly(scores.detach(), batch)
        return Learned(float(loss.detach()), Score(100.0 * int(right.sum()), len(right)))


def taught_exactly(scores: Tensor, batch: PointSets) -> Tensor:
    """Whether the best choice of every step [B, T, 1 + N] is the right one, bool [B]: what greedy decoding would do."""
    right = scores.argmax(-1) == choices_of(batch.answers)
    return (right | ~scored(batch.answers, batch.lengths)).all(1)


def rules_of(task: PointingTask) -> Rules:
    """What the answers of a task may be."""
    return Rules(task.distinct, task.everything, task.first, task.least, task.multiple)


def answer_sets(
    model: Pointer, task: PointingTask, points: Tensor, sizes: Tensor, *, beams: int = 1, wipe: str = ""
) -> Decoded:
    """A model's answers to sets of points, as the task's rules allow them.

    Args:
        model: trained.
        task: what is to be answered.
        points: [B, N, 2].
        sizes: int64 [B].
        beams: of the search; greedy with one.
        wipe: as of ``lukasa.memory.pointers.decode``.

    Raises:
        ValueError: a set is too large for the model.
    """
    device = next(model.parameters()).device
    limits = torch.tensor([task.longest(size) for size in sizes.tolist()])
    model.eval()
    where = points.to(device), sizes.to(device)
    return decode(model, *where, rules_of(task), limits.to(device), beams=beams, wipe=wipe)


@dataclass(frozen=True)
class Pointed:
    """How a model did on sets of points of one size.

    Attributes:
        size: points of each.
        sets: how many there are.
        exact: percent of the answers that are right.
        exact_interval: 95 % confidence interval of that.
        parts: the other scores of the task, the mean of the answers that have one; None where none has.
        intervals: 95 % confidence intervals of these.
        failed: percent of the answers that are none, such as polygons that cross themselves.
    """

    size: int
    sets: int
    exact: float
    exact_interval: Interval
    parts: dict[str, float | None]
    intervals: dict[str, Interval | None]
    failed: float


def evaluate_pointing(
    model: Pointer, task: PointingTask, sets: PointSets, *, beams: int = 1, wipe: str = ""
) -> Pointed:
    """How a model does on sets of one size.

    Args:
        model: trained.
        task: what is to be answered.
        sets: of equally many points.
        beams: of the search; greedy with one.
        wipe: as of ``lukasa.memory.pointers.decode``.

    Raises:
        ValueError: there is no set, or they are too large for the model.
    """
    if not len(sets.points):
        raise ValueError("there is no set of points to score: expected at least one")
    right, found = 0, []
    for points, answer, wanted in _answered(model, task, sets, beams, wipe):
        right += task.is_right(answer, wanted)
        found.append(task.scores(points.double().numpy(), answer, wanted))
    count = len(found)
    known = {name: [one[name] for one in found if one[name] is not None] for name in task.parts}
    failed = sum(any(value is None for value in one.values()) for one in found)
    low, high = wilson_interval(right / count, count)
    return Pointed(
        size=sets.points.shape[1],
        sets=count,
        exact=100 * right / count,
        exact_interval=(100 * low, 100 * high),
        parts={name: sum(values) / len(values) if values else None for name, values in known.items()},
        intervals={name: mean_interval(values) if len(values) > 1 else None for name, values in known.items()},
        failed=100 * failed / count,
    )


def _answered(
    model: Pointer, task: PointingTask, sets: PointSets, beams: int, wipe: str
) -> Iterator[tuple[Tensor, Sequence[int], Sequence[int]]]:
    """Each set's points, the model's answer, and what is right."""
    step = max(1, AT_ONCE // beams)
    for start in range(0, len(sets.points), step):
        some = sets.rows(start, start + step)
        decoded = answer_sets(model, task, some.points, some.sizes, beams=beams, wipe=wipe)
        for row in range(len(some.points)):
            answer = decoded.answers[row, : decoded.lengths[row]].tolist()
            yield some.points[row, : some.sizes[row]], answer, some.answers[row, : some.lengths[row]].tolist()
