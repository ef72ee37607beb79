"""What is left of what was learned: scores of a matrix of accuracies.

Dimensions: T tasks. R[i, j] is the accuracy on task j after task i was learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scores:
    """Scores of a stream of tasks, in percent.

    Attributes:
        average_accuracy: over all tasks so far, after the last of them.
        forgetting: by how much each earlier task was better at its best, mean (Chaudhry et al. 2018, equation 3).
        backward_transfer: what later tasks did to earlier ones, mean (Lopez-Paz & Ranzato 2017, equation 3).
        forward_transfer: what earlier tasks did for later ones before these were learned, mean (equation 4); None where
            accuracies from before the first task are not known.
        learning: accuracy on each task right after it was learned, mean.
    """

    average_accuracy: float
    forgetting: float
    backward_transfer: float
    forward_transfer: float | None
    learning: float


def scores_of(matrix: Sequence[Sequence[float]], before: Sequence[float] | None = None) -> Scores:
    """The scores of a matrix.

    Args:
        matrix: R, a row for each task learned so far, with an accuracy in percent on every task of the stream.
        before: accuracies on every task before anything was learned.

    Raises:
        ValueError: no task was learned, or a row is shorter than the number of tasks learned, or of another length.

    Example:
        >>> found = scores_of([[90.0, 10.0], [50.0, 80.0]], [10.0, 10.0])
        >>> found.average_accuracy, found.forgetting, found.backward_transfer, found.forward_transfer
        (65.0, 40.0, -40.0, 0.0)
    """
    lengths = {len(row) for row in [*matrix, *([] if before is None else [before])]}
    if len(lengths) != 1 or not len(matrix) or min(lengths) < len(matrix):
        raise ValueError(
            f"a matrix of accuracies has {len(matrix)} rows of {sorted(lengths)} tasks: expected a row for each task "
            "learned, with all tasks in each"
        )
    table = np.asarray(matrix, dtype=np.float64)
    last = len(table) - 1
    diagonal = np.diag(table)
    earlier = table[last, :last]
    if not last:
        return Scores(float(table[0, 0]), 0.0, 0.0, 0.0 if before is not None else None, float(diagonal[0]))
    forward = None
    if before is not None:
        forward = float(np.mean([table[task - 1, task] - before[task] for task in range(1, last + 1)]))
    return Scores(
        average_accuracy=float(table[last, : last + 1].mean()),
        forgetting=float((table[:last, :last].max(0) - earlier).mean()),
        backward_transfer=float((earlier - diagonal[:last]).mean()),
        forward_transfer=forward,
        learning=float(diagonal.mean()),
    )
