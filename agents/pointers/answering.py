"""A trained model that answers sets of points, for use in any program.

Dimensions: L pointers, N points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lukasa.agents.pointers.learner import answer_sets
from lukasa.memory.pointers import Pointer
from lukasa.tasks.pointing import PointingTask
from lukasa.tasks.pointing.geometry import Array
from lukasa.tasks.pointing.own_sets import check_set


@dataclass(frozen=True)
class PointerAnswer:
    """What a model answers.

    Attributes:
        pointers: places of the points, from 0 on, in the order of the answer.
        probability: that the model gives this answer, among those that the task allows.
        attention: [L, N], how much each step looked at each point.
    """

    pointers: list[int]
    probability: float
    attention: Tensor


class PointerAgent:
    """Answers sets of points.

    Args:
        model: trained.
        task: what it was trained to answer.
        beams: of the search; greedy with one.

    Example:
        >>> from lukasa.memory.pointers import make_pointer
        >>> from lukasa.tasks.pointing import make_pointing_task
        >>> agent = PointerAgent(make_pointer("pointer_network", 5, size=8), make_pointing_task("tsp"))
        >>> sorted(agent.answer([[0.1, 0.1], [0.9, 0.2], [0.8, 0.9], [0.2, 0.7]]).pointers)
        [0, 1, 2, 3]
    """

    def __init__(self, model: Pointer, task: PointingTask, beams: int = 1):
        self.model, self.task, self.beams = model.eval(), task, beams

    def answer(self, points: Any) -> PointerAnswer:
        """Answer one set.

        Args:
            points: [N, 2] numbers in the unit square, as an array, a tensor or lists; ``lukasa.tasks.pointing.fitted``
                moves and scales others into it.

        Raises:
            ValueError: they are no points, too few for the task, too many for the model, outside the unit square, one
                comes twice, or all lie on one line.
        """
        array = _array(points)
        if len(array) < self.task.least:
            raise ValueError(f"{len(array)} points are too few: {self.task.title} needs at least {self.task.least}")
        places = [f"point {place}" for place in range(len(array))]
        check_set(array, self.task.least, places, "lukasa.tasks.pointing.fitted moves and scales a set into it")
        sizes = torch.tensor([len(array)])
        inputs = torch.from_numpy(array)[None].to(next(self.model.parameters()).dtype)
        found = answer_sets(self.model, self.task, inputs, sizes, beams=self.beams)
        length = int(found.lengths[0])
        probability = float(torch.exp(-found.surprise[0]))
        return PointerAnswer(found.answers[0, :length].tolist(), probability, found.attention[0, :length].cpu())


def _array(points: Any) -> Array:
    """Points as float64 [N, 2].

    Raises:
        ValueError: they are none.
    """
    try:
        array = np.asarray(points.detach().cpu() if isinstance(points, Tensor) else points, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"points are {str(points)[:60]}: expected finite numbers [N, 2]") from None
    if array.ndim != 2 or array.shape[1] != 2 or not np.isfinite(array).all():
        raise ValueError(f"points are {list(array.shape)}: expected finite numbers [N, 2]")
    return array
