"""Execution traces as data: what a program saw, what it called, and the frames that a core learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lukasa.tasks.programs.catalogue import ProgramTask
from lukasa.tasks.programs.environment import ACT, NONE, Arguments, Body, Call, Environment, Observation
from lukasa.tasks.programs.right_programs import Form


class Step(NamedTuple):
    """One step of a program.

    Attributes:
        depth: how many programs wait for this one.
        program: that takes the step.
        arguments: it was called with.
        seen: what was observed before.
        call: what it calls; None where it returns.
    """

    depth: int
    program: str
    arguments: Arguments
    seen: Observation
    call: Call | None


class Trace(NamedTuple):
    """What happened while a task was carried out.

    Attributes:
        task: its name.
        form: of the programs.
        base: of the digits or numbers.
        problem: as text.
        steps: in order.
    """

    task: str
    form: Form
    base: int
    problem: str
    steps: tuple[Step, ...]


class Frame(NamedTuple):
    """One call of a program from its first step to its return: it sees nothing of what goes on elsewhere.

    Attributes:
        scene: kind of the environment.
        program: that was called.
        arguments: it was called with.
        seen: what was observed before each step.
        calls: what each step calls; None, the last, returns.
    """

    scene: str
    program: str
    arguments: Arguments
    seen: tuple[Observation, ...]
    calls: tuple[Call | None, ...]


def run(programs: Mapping[str, Body], main: str, env: Environment) -> Iterator[Step]:
    """The steps of the right programs, while they change an environment.

    Args:
        programs: by name: the main one and all that it calls.
        main: which begins.
        env: what they act on.
    """
    stack = [(main, NONE, programs[main](env))]
    while stack:
        name, arguments, body = stack[-1]
        seen = env.observe()
        call = next(body, None)
        yield Step(len(stack) - 1, name, arguments, seen, call)
        if call is None:
            stack.pop()
        elif call.program == ACT:
            env.act(call.arguments)
        else:
            stack.append((call.program, call.arguments, programs[call.program](env)))


def right_steps(task: ProgramTask, form: Form, base: int, problem: Any) -> Iterator[Step]:
    """The steps of the right programs for a problem."""
    return run(task.programs(form, base), task.main, task.make(problem, base))


def right_trace(task: ProgramTask, form: Form, base: int, problem: Any) -> Trace:
    """The trace of the right programs for a problem.

    Example:
        >>> from lukasa.tasks.programs import TASKS
        >>> trace = right_trace(TASKS["addition"], "loops", 10, ((6, 9), (5, 2, 1)))
        >>> len(trace.steps), trace.steps[0].call.program
        (38, 'ADD1')
    """
    return Trace(task.name, form, base, task.written(problem), tuple(right_steps(task, form, base, problem)))


def frames(scene: str, steps: Iterator[Step] | tuple[Step, ...]) -> Counter[Frame]:
    """The frames of a trace, and how often each occurs.

    Args:
        scene: kind of the environment.
        steps: of a whole trace.
    """
    found: Counter[Frame] = Counter()
    stack: list[tuple[list[Observation], list[Call | None]]] = []
    for depth, program, arguments, observation, call in steps:
        if depth == len(stack):
            stack.append(([], []))
        seen, calls = stack[depth]
        seen.append(observation)
        calls.append(call)
        if call is None:
            stack.pop()
            found[Frame(scene, program, arguments, tuple(seen), tuple(calls))] += 1
    return found


def cases(task: ProgramTask, base: int) -> dict[Frame, str]:
    """Every frame that the recursive programs of a task can have, whatever the problem; with a problem that has it.

    A core begins each frame in the same state and sees nothing outside it. So one that is right in each of these is
    right on every problem of every length (Cai, Shin and Song 2017, section 3: the base cases and the reductions).

    Args:
        task: what is carried out.
        base: of the digits or numbers.
    """
    scene = task.scene(base).name
    found: dict[Frame, str] = {}
    for problem in task.cases(base):
        for frame in frames(scene, right_steps(task, "recursive", base, problem)):
            if frame not in found:
                found[frame] = task.written(problem)
    return found
