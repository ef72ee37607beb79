"""Draws problems of some tasks, and traces how the right programs carry them out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator

from lukasa.agents.learning import Constant
from lukasa.agents.programs.batches import Traces
from lukasa.tasks.programs import Form, ProgramTask, frames, right_steps


class TraceSource(Constant):
    """Traces of random problems.

    Args:
        tasks: what is carried out; each trace is of any of them.
        form: of the programs.
        base: of digits or numbers.
        longest: length of the longest problem; each is of any length up to it.

    Raises:
        ValueError: there is no task, or no length.
    """

    def __init__(self, tasks: Sequence[ProgramTask], form: Form, base: int, longest: int):
        if not tasks or longest < 1:
            raise ValueError(f"{len(tasks)} tasks of length {longest}: expected at least one of each")
        self.tasks, self.base, self.longest = tuple(tasks), base, longest
        self.form: Form = form

    def sample(self, chosen: None, rows: int, generator: Generator) -> Traces:
        """The traces of so many problems."""
        found = []
        for which in torch.randint(0, len(self.tasks), (rows,), generator=generator).tolist():
            task = self.tasks[which]
            problem = task.sample(self.longest, self.base, generator)
            found.append(frames(task.scene(self.base).name, right_steps(task, self.form, self.base, problem)))
        return Traces(tuple(found))
