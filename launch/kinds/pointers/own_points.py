"""Answers to a user's own points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lukasa.agents.pointers import answer_sets
from lukasa.ground.mistakes import as_user_error
from lukasa.memory.pointers import Pointer
from lukasa.tasks.pointing import PointingTask, padded, point_sets, read_points


def answer_file(path: Path, model: Pointer, task: PointingTask, *, beams: int, fit: bool) -> dict[str, Any]:
    """Answer each set of a file, beside what is right.

    Args:
        path: of the file.
        model: trained.
        task: what is to be answered.
        beams: of the search.
        fit: move and scale each set into the unit square.

    Raises:
        tasks.DataError: the file cannot be used.
        UserError: a set is too large for the model.
    """
    points, sizes = padded(read_points(path, task.least, fit=fit))
    with as_user_error():
        sets = point_sets(task, points, sizes)
        decoded = answer_sets(model, task, points, sizes, beams=beams)
    found = []
    for row, size in enumerate(sizes.tolist()):
        answer = decoded.answers[row, : decoded.lengths[row]].tolist()
        right = sets.answers[row, : sets.lengths[row]].tolist()
        found.append(
            {
                "points": size,
                "answer": answer,
                "probability": float(np.exp(-float(decoded.surprise[row]))),
                "right": right,
                "exact": task.is_right(answer, right),
                "parts": task.scores(sets.points[row, :size].double().numpy(), answer, right),
            }
        )
    exact = 100 * sum(one["exact"] for one in found) / len(found)
    return {"file": str(path), "answers": found, "grouped": task.multiple, "parts": task.parts, "score": exact}


def describe_answers(result: dict[str, Any]) -> None:
    """Print each answer, and what is right where that is something else."""
    print(f"{result['file']}: points are numbered from 0, in the order of the file")
    for number, one in enumerate(result["answers"], 1):
        kept = {name: value for name, value in one["parts"].items() if value is not None}
        scores = "".join(f", {result['parts'][name]} {value:.4g}" for name, value in kept.items())
        none = ", no answer" if len(kept) < len(one["parts"]) else ""
        verdict = "right" if one["exact"] else f"the known answer is {_written(one['right'], result['grouped'])}"
        answer = _written(one["answer"], result["grouped"])
        print(f"set {number}, {one['points']} points: {answer}  ({verdict}{scores}{none})")


def _written(answer: list[int], grouped: int) -> str:
    """Pointers in their order; triangles with a stroke between them.

    Example:
        >>> _written([0, 1, 2, 0, 2, 3], 3), _written([2, 0, 1], 1)
        ('0 1 2 | 0 2 3', '2 0 1')
    """
    if grouped == 1:
        return " ".join(map(str, answer))
    return " | ".join(" ".join(map(str, answer[at : at + grouped])) for at in range(0, len(answer), grouped))
