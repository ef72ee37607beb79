"""The interpreter: runs a core on many problems side by side, each with a stack of its own.

Algorithm 1 of Reed and de Freitas 2016, without recursion of its own: a called program begins in the zero state, and
the caller's state waits on the stack. Departure: a step that returns calls nothing.

Dimensions: P problems, D depth of the stacks, O places that are seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from lukasa.memory.programs.core import NPI
from lukasa.memory.programs.memo import Memo

RUNNING, RETURNED, REFUSED, SPENT, TOO_DEEP = range(5)
ENDINGS = ("is running", "returned", "asked for what cannot be done", "ran out of steps", "called too deep")
"""How a run ends, by number."""
DEEPEST = 200_000
"""Programs that may wait for one another, so that one that calls itself for ever ends."""


class Surroundings(Protocol):
    """What programs see and change, for many problems side by side."""

    def observe(self, rows: np.ndarray) -> np.ndarray:
        """Symbols that some problems show, int64 [rows, O]."""
        ...

    def act(self, rows: np.ndarray, arguments: np.ndarray) -> np.ndarray:
        """Do something in some problems, int64 [rows, 3]; whether it could be done, bool [rows]."""
        ...


class Taken(NamedTuple):
    """A step that one problem's program took, in numbers.

    Attributes:
        depth: programs that wait.
        program: that runs.
        arguments: it was called with.
        seen: before the step.
        call: which program is called; -1 where this one returns.
        given: what that is called with.
    """

    depth: int
    program: int
    arguments: tuple[int, int, int]
    seen: tuple[int, ...]
    call: int
    given: tuple[int, int, int]


class Executed(NamedTuple):
    """How programs ended.

    Attributes:
        endings: [P], one of RETURNED, REFUSED, SPENT, TOO_DEEP.
        steps: [P], that each took.
        computed: steps that the core computed; the others were looked up.
        taken: of each problem the steps, where they were recorded.
    """

    endings: np.ndarray
    steps: np.ndarray
    computed: int
    taken: list[list[Taken]]


class Interpreter:
    """Runs the programs of a core in one environment.

    Args:
        core: trained; the interpreter keeps what it says, so make a new one when its weights change.
        scene: which environment.
        memo: whether steps that were seen before are looked up. It is exact: see ``Memo``.
    """

    def __init__(self, core: NPI, scene: str, *, memo: bool = True):
        self.core = core.eval()
        self.memo = Memo(core, scene, keeps=memo)
        self.act = core.number("ACT")

    def run(
        self, surroundings: Surroundings, main: str, budgets: Sequence[int] | np.ndarray, *, record: bool = False
    ) -> Executed:
        """Run a program on each of many problems, until it returns or may go no further.

        Args:
            surroundings: the problems.
            main: which program.
            budgets: [P], steps that each may take.
            record: whether to keep the steps.
        """
        run = _Run(self.memo, surroundings, np.asarray(budgets, np.int64), record)
        asked = self.memo.asked
        run.push(np.arange(len(run.budgets)), np.full(len(run.budgets), self.core.number(main)))
        while len(run.active):
            run.step(self.act)
        return Executed(run.endings, run.steps, self.memo.asked - asked, run.taken)


class _Run:
    """The stacks of all problems, and what has become of each."""

    def __init__(self, memo: Memo, surroundings: Surroundings, budgets: np.ndarray, record: bool):
        self.memo, self.surroundings, self.budgets, self.record = memo, surroundings, budgets, record
        count = len(budgets)
        self.active = np.arange(count)
        self.stack = np.zeros((count, 8), np.int64)  # [P, D]: nodes of the memo
        self.depth = np.full(count, -1)
        self.endings, self.steps = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self.taken: list[list[Taken]] = [[] for _ in range(count)]

    def push(self, rows: np.ndarray, programs: np.ndarray, arguments: np.ndarray | None = None) -> None:
        """Call a program in each row."""
        self.depth[rows] += 1
        if len(rows) and self.depth[rows].max() >= self.stack.shape[1]:
            self.stack = np.concatenate([self.stack, np.zeros_like(self.stack)], 1)
        given = np.zeros((len(rows), 3), np.int64) if arguments is None else arguments
        self.stack[rows, self.depth[rows]] = self.memo.begin(programs, given)

    def step(self, act: int) -> None:
        """One step of every program that still runs."""
        memo, rows = self.memo, self.active
        seen = self.surroundings.observe(rows)
        after = memo.step(self.stack[rows, self.depth[rows]], seen)
        self.steps[rows] += 1
        ends, calls, given = memo.ends[after], memo.calls[after], memo.given[after]
        if self.record:
            self._note(rows, after, seen)
        self.stack[rows, self.depth[rows]] = after
        memo.leave(after[ends])
        self.depth[rows[ends]] -= 1
        acts = ~ends & (calls == act)
        done = self.surroundings.act(rows[acts], given[acts])
        pushes = ~ends & (calls != act)
        self.push(rows[pushes], calls[pushes], given[pushes])
        endings = self.endings
        endings[rows[self.steps[rows] >= self.budgets[rows]]] = SPENT
        endings[rows[self.depth[rows] >= DEEPEST]] = TOO_DEEP
        endings[rows[acts][~done]] = REFUSED
        endings[rows[self.depth[rows] < 0]] = RETURNED
        self._clear(rows[(endings[rows] != RUNNING) & (self.depth[rows] >= 0)])
        self.active = rows[endings[rows] == RUNNING]

    def _clear(self, rows: np.ndarray) -> None:
        """Give back what waits on the stacks of programs that will not go on."""
        for row in rows.tolist():
            self.memo.leave(self.stack[row, : self.depth[row] + 1])

    def _note(self, rows: np.ndarray, after: np.ndarray, seen: np.ndarray) -> None:
        memo = self.memo
        columns = (memo.frame[after], seen, memo.ends[after], memo.calls[after], memo.given[after])
        for row, frame, saw, end, call, given in zip(rows.tolist(), *(one.tolist() for one in columns), strict=True):
            program, *arguments = frame
            taken = Taken(
                int(self.depth[row]), program, tuple(arguments), tuple(saw), -1 if end else call, tuple(given)
            )
            self.taken[row].append(taken)
