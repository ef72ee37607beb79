"""Draws problems of some tasks, and traces how the right programs carry them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Generator

from lukasa.agents.learning import Constant
from lukasa.agents.programs.batches import Traces
from lukasa.tasks.programs import Form, Frame, ProgramTask, frames, run


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
        """The traces of so many problems, with what is practised at the end of each."""
        found = []
        for which in torch.randint(0, len(self.tasks), (rows,), generator=generator).tolist():
            task = self.tasks[which]
            problem = task.sample(self.longest, self.base, generator)
            programs, env = task.programs(self.form, self.base), task.make(problem, self.base)
            seen: Counter[Frame] = Counter()
            for program in (task.main, *task.practised):
                seen += frames(task.scene(self.base).name, run(programs, program, env))
            found.append(seen)
        return Traces(tuple(found))
