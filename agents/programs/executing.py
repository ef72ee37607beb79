"""Cores that carry out tasks: on one problem with its trace, or on many side by side.

Dimensions: P problems.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lukasa.ground.names import UnknownNameError, unknown
from lukasa.memory.programs import ENDINGS, NPI, Interpreter, Taken
from lukasa.memory.programs.interpreter import RETURNED
from lukasa.tasks.programs import Call, Form, ProgramTask, Step, Trace, right_steps, step_lines

PATIENCE, SPARE = 4, 100
"""Steps that a core may take: so many times those of the right programs, and some more."""


class Carried(NamedTuple):
    """How a core did on problems of one task.

    Attributes:
        right: bool [P], whether its main program returned and the answer is right.
        answers: of each.
        endings: how each ended, in words.
        steps: int64 [P], that each took.
        computed: steps that the core computed; the others were looked up.
    """

    right: np.ndarray
    answers: list[str]
    endings: list[str]
    steps: np.ndarray
    computed: int


def fair_budget(task: ProgramTask, form: Form, base: int, problem: Any) -> int:
    """Steps that a core may take on a problem: four times those of the right programs, and a hundred."""
    return PATIENCE * sum(1 for _ in right_steps(task, form, base, problem)) + SPARE


def carry_out(interpreter: Interpreter, task: ProgramTask, base: int, problems: Sequence[Any], budget: int) -> Carried:
    """Run a task's main program on problems side by side.

    Args:
        interpreter: of a trained core, in the task's environment.
        task: what is carried out.
        base: of digits or numbers.
        problems: at least one.
        budget: steps that each may take.
    """
    many = task.many(problems, base)
    done = interpreter.run(many, task.main, np.full(len(problems), budget))
    answers = many.answers()
    same = [answer == task.right(problem, base) for answer, problem in zip(answers, problems, strict=True)]
    endings = [ENDINGS[ending] for ending in done.endings.tolist()]
    return Carried((done.endings == RETURNED) & np.array(same), answers, endings, done.steps, done.computed)


@dataclass(frozen=True)
class Execution:
    """What a core did on one problem.

    Attributes:
        trace: its steps.
        answer: that it came to.
        right: the right answer.
        ending: how it ended, in words.
        lines: the trace, for people.
        drawn: the environment at the end, for people.
    """

    trace: Trace
    answer: str
    right: str
    ending: str
    lines: list[str]
    drawn: list[str]

    @property
    def is_right(self) -> bool:
        """Whether it returned with the right answer."""
        return self.ending == ENDINGS[RETURNED] and self.answer == self.right


class ProgramAgent:
    """A trained core that carries out tasks on problems that are given as text.

    Args:
        core: trained.
        tasks: that it knows.
        form: of its programs.
        base: of digits or numbers.
    """

    def __init__(self, core: NPI, tasks: Sequence[ProgramTask], form: Form, base: int):
        self.core, self.base = core, base
        self.form: Form = form
        self.tasks = {task.name: task for task in tasks}
        self._interpreters: dict[str, Interpreter] = {}

    def interpreter(self, task: ProgramTask) -> Interpreter:
        """That of the task's environment; it keeps the steps that it has seen."""
        scene = task.scene(self.base).name
        if scene not in self._interpreters:
            self._interpreters[scene] = Interpreter(self.core, scene)
        return self._interpreters[scene]

    def find(self, task: str | None = None) -> ProgramTask:
        """A task by name; the last that was taught by default.

        Raises:
            UnknownNameError: the core does not know it.
        """
        name = task or list(self.tasks)[-1]
        if name not in self.tasks:
            raise UnknownNameError(unknown("task of this core", name, self.tasks))
        return self.tasks[name]

    def run(self, problem: str, task: str | None = None, *, budget: int | None = None) -> Execution:
        """Carry out a task on one problem.

        Args:
            problem: such as "345+678", or "5,3,9".
            task: which; the last that was taught by default.
            budget: steps that it may take; four times those of the right programs, and a hundred, by default.

        Raises:
            ValueError: there is no such problem.
            UnknownNameError: the core does not know the task.
        """
        chosen = self.find(task)
        given = chosen.read(problem, self.base)
        if budget is None:
            budget = fair_budget(chosen, self.form, self.base, given)
        many = chosen.many([given], self.base)
        done = self.interpreter(chosen).run(many, chosen.main, [budget], record=True)
        steps = [self._step(taken) for taken in done.taken[0]]
        scene = chosen.scene(self.base)
        return Execution(
            Trace(chosen.name, self.form, self.base, chosen.written(given), tuple(steps)),
            many.answers()[0],
            chosen.right(given, self.base),
            ENDINGS[int(done.endings[0])],
            [chosen.main, *step_lines(scene, steps)],
            drawn_after(chosen, self.base, given, steps),
        )

    def _step(self, taken: Taken) -> Step:
        names = self.core.programs
        call = None if taken.call < 0 else Call(names[taken.call], taken.given)
        return Step(taken.depth, names[taken.program], taken.arguments, taken.seen, call)


def drawn_after(task: ProgramTask, base: int, problem: Any, steps: Sequence[Step]) -> list[str]:
    """The environment after the actions of a trace, as far as they can be done."""
    env = task.make(problem, base)
    for step in steps:
        if step.call and step.call.program == "ACT":
            try:
                env.act(step.call.arguments)
            except ValueError:
                break
    return env.drawn()
