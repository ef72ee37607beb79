"""Traces as text: what people read, and what can be saved, read back and checked.

A line is what a step calls, two spaces deeper for each program that waits, and behind a | what was seen before it::

    lukasa trace 1
    task addition
    form loops
    base 10
    problem 5+7
    ADD
      ADD1            | 6 8 . .
        ACT WRITE OUT 2 | 6 8 . .
    ...
      return          | . . . .
    end 17
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lukasa.ground.names import unknown
from lukasa.tasks.programs.catalogue import TASKS, ProgramTask
from lukasa.tasks.programs.environment import ACT, DIGITS, NONE, ActionError, Arguments, Call, Observation, Scene
from lukasa.tasks.programs.right_programs import FORMS, Form
from lukasa.tasks.programs.traces import Step, Trace

FIRST = "lukasa trace 1"
HEAD = ("task", "form", "base", "problem")
RETURN = "return"
WIDEST = 46


class TraceError(ValueError):
    """A file is no trace; the message has the file, the line, what is wrong and what was expected."""


def written_seen(seen: Observation) -> str:
    """What was seen: a digit for each place, or a point where it is blank.

    Example:
        >>> written_seen((7, 0, 1))
        '6 . 0'
    """
    return " ".join(DIGITS[symbol - 1] if symbol else "." for symbol in seen)


def step_lines(scene: Scene, steps: Sequence[Step]) -> list[str]:
    """A line for each step: what it calls, and what was seen before it."""
    lines = []
    for step in steps:
        called = "  " * (step.depth + 1) + (scene.spell(step.call) if step.call else RETURN)
        lines.append(f"{called:<{WIDEST}}| {written_seen(step.seen)}")
    return lines


def written_trace(trace: Trace) -> str:
    """A trace as text; ``read_trace`` reads it back."""
    task = TASKS.find(trace.task)
    head = [f"{name} {getattr(trace, name)}" for name in HEAD]
    lines = step_lines(task.scene(trace.base), trace.steps)
    return "\n".join([FIRST, *head, task.main, *lines, f"end {len(trace.steps)}", ""])


def read_trace(path: Path | str) -> Trace:
    """Read and check a trace: its programs are known, its actions possible, and it saw what was there.

    Args:
        path: a file that ``written_trace`` wrote.

    Raises:
        TraceError: it cannot be read, or is something else; the message has the file, the line, what is wrong and what
            was expected.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")  # some editors begin a file with a mark of its encoding
    except OSError as error:
        raise TraceError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise TraceError(f"{path}: expected a trace as UTF-8 text, beginning with {FIRST!r}") from None
    return _Reading(str(path), text.splitlines()).trace()


class _Reading:
    """A file while it is read."""

    def __init__(self, path: str, lines: Sequence[str]):
        self.path, self.lines, self.place = path, lines, 0

    def refuse(self, message: str) -> TraceError:
        return TraceError(f"{self.path}, line {self.place}: {message}")

    def next(self, expected: str) -> str:
        self.place += 1
        if self.place > len(self.lines):
            raise self.refuse(f"the file ends here, cut short: expected {expected}")
        return self.lines[self.place - 1]

    def trace(self) -> Trace:
        if self.next(repr(FIRST)) != FIRST:
            raise self.refuse(f"expected {FIRST!r}")
        head: dict[str, str] = {}
        for name in HEAD:
            word, _, head[name] = self.next(f"{name!r} and its value").partition(" ")
            if word != name:
                raise self.refuse(f"{word!r}: expected {name!r} and its value")
        task, base, problem = self.head(head)
        if self.next(f"the main program {task.main}").strip() != task.main:
            raise self.refuse(f"expected the main program of {task.name}, {task.main}")
        form: Form = "recursive" if head["form"] == "recursive" else "loops"
        steps = self.steps(task, form, base, problem)
        return Trace(task.name, form, base, head["problem"], steps)

    def head(self, head: dict[str, str]) -> tuple[ProgramTask, int, Any]:
        try:
            self.place = 2
            task = TASKS.find(head["task"])
            self.place = 3
            if head["form"] not in FORMS:
                raise ValueError(f"form {head['form']!r}: expected one of {', '.join(FORMS)}")
            self.place = 4
            if not (head["base"].isascii() and head["base"].isdigit()) or len(head["base"]) > 9:
                raise ValueError(f"base {head['base']!r}: expected a whole number")
            base = int(head["base"])
            task.scene(base)
            self.place = 5
            return task, base, task.read(head["problem"], base)
        except ValueError as error:
            raise self.refuse(str(error)) from None

    def steps(self, task: ProgramTask, form: Form, base: int, problem: Any) -> tuple[Step, ...]:
        scene, env = task.scene(base), task.make(problem, base)
        known = [ACT, *task.programs(form, base)]
        stack: list[tuple[str, Arguments]] = [(task.main, NONE)]
        steps: list[Step] = []
        while stack:
            call, saw = self.step(scene, known, len(stack))
            seen = env.observe()
            if saw != written_seen(seen):
                raise self.refuse(
                    f"saw {saw!r}: expected {written_seen(seen)!r}, which is there after the steps before"
                )
            steps.append(Step(len(stack) - 1, *stack[-1], seen, call))
            if call is None:
                stack.pop()
            elif call.program == ACT:
                try:
                    env.act(call.arguments)
                except ActionError as error:
                    raise self.refuse(f"{error}: expected an action that can be done") from None
            else:
                stack.append((call.program, call.arguments))
        if self.next(f"'end {len(steps)}'") != f"end {len(steps)}":
            raise self.refuse(f"expected 'end {len(steps)}', the number of steps")
        if any(line.strip() for line in self.lines[self.place :]):
            self.place += 1
            raise self.refuse("expected nothing behind the end")
        return tuple(steps)

    def step(self, scene: Scene, known: Sequence[str], depth: int) -> tuple[Call | None, str]:
        line = self.next(f"a call or {RETURN!r}")
        called, bar, saw = line.partition("|")
        indent, words = len(called) - len(called.lstrip()), called.split()
        if not bar or not words:
            raise self.refuse("expected a call or return, a | and what was seen")
        if indent != 2 * depth:
            raise self.refuse(
                f"{words[0]} is indented by {indent}: expected {2 * depth}, where {depth} programs have begun"
            )
        if words == [RETURN]:
            return None, saw.strip()
        if words[0] not in known:
            if words[0] in (RETURN, "end"):
                raise self.refuse(f"{' '.join(words)!r}: expected {RETURN!r} alone")
            raise self.refuse(f"{unknown('program', words[0], known)}; expected one of {', '.join(known)}")
        try:
            return Call(words[0], scene.read(words[1:])), saw.strip()
        except ValueError as error:
            raise self.refuse(str(error)) from None
