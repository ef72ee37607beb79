"""What trained machines are worth: run hard, on memories of any length."""

from __future__ import annotations

from typing import NamedTuple

from torch import Generator

from lukasa.memory.neural_ram import Layout, Policy, run_hard
from lukasa.tasks.ram import RamTask


class Scored(NamedTuple):
    """How a program did.

    Attributes:
        length: of the arrays, lists or trees.
        cells: of the memories.
        rows: how many memories.
        error: percent of the cells that count which hold another value.
        exact: percent of the memories without such a cell.
        stopped: percent of the machines that stopped by themselves.
        steps: mean.
    """

    length: int
    cells: int
    rows: int
    error: float
    exact: float
    stopped: float
    steps: float


def score_hard(task: RamTask, layout: Layout, policy: Policy, length: int, rows: int, generator: Generator) -> Scored:
    """Run a program on memories that are drawn, with the task's limit of steps.

    Args:
        task: what it is to do.
        layout: of its machine.
        policy: the program.
        length: of the arrays, lists or trees.
        rows: how many memories.
        generator: decides, alone, what is drawn.
    """
    drawn = task.sample(length, rows, generator)
    left = run_hard(layout, policy, drawn.memory.numpy(), task.steps(length))
    wrong = (left.memory != drawn.target.numpy()) & drawn.mask.numpy()
    return Scored(
        length,
        drawn.memory.shape[1],
        rows,
        100 * float(wrong.sum()) / int(drawn.mask.sum()),
        100 * float((~wrong.any(1)).mean()),
        100 * float(left.stopped.mean()),
        float(left.steps.mean()),
    )
