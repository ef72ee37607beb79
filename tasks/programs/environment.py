"""What programs act on: environments of pointers and cells, seen through what lies under the pointers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import NamedTuple, Protocol

import numpy as np

Observation = tuple[int, ...]
"""A symbol for each place that is seen; 0 is blank."""
Arguments = tuple[int, int, int]
"""Of a call."""

NONE: Arguments = (0, 0, 0)
"""What a program that takes no arguments is given."""
ACT = "ACT"
"""The one program that is no program of calls: what it is given, the environment does."""
MOVE, WRITE, SWAP = 0, 1, 2
"""First argument of ACT."""
LEFT, RIGHT = 0, 1
"""Third argument of ACT where it moves a pointer."""
ACTIONS = ("MOVE", "WRITE", "SWAP")
DIRECTIONS = ("LEFT", "RIGHT")
POINTER_RANGE = 100_000
"""Places that a pointer reaches: digits of a number, numbers of an array."""
LARGEST_BASE = 36
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class ActionError(ValueError):
    """What an environment cannot do, such as moving a pointer off its end."""


class Call(NamedTuple):
    """A program that is called, and with what."""

    program: str
    arguments: Arguments = NONE


class Environment(Protocol):
    """One problem, as programs see and change it."""

    def observe(self) -> Observation:
        """What lies under the pointers."""
        ...

    def act(self, arguments: Arguments) -> None:
        """Move a pointer, or change what lies under it.

        Raises:
            ActionError: there is no such action, or it leaves the environment.
        """
        ...

    def answer(self) -> str:
        """What has been worked out."""
        ...

    def drawn(self) -> list[str]:
        """Its rows, for people, a mark where each pointer is."""
        ...


class Many(Protocol):
    """Many problems side by side, for programs that run on all of them at once."""

    def observe(self, rows: np.ndarray) -> np.ndarray:
        """Symbols of some problems, int64 [rows, fields]."""
        ...

    def act(self, rows: np.ndarray, arguments: np.ndarray) -> np.ndarray:
        """Do something in each of some problems, int64 [rows, 3]; whether it could be done, bool [rows]."""
        ...

    def answers(self) -> list[str]:
        """Of each problem what has been worked out."""
        ...


Body = Callable[[Environment], Generator[Call, None, None]]
"""The right program: yields its calls in order, looking at the environment before each, and ends where it returns."""


class Scene(NamedTuple):
    """A kind of environment.

    Attributes:
        name: what it is called.
        pointers: what its pointers are called in a trace, from 0 on.
        base: how many digits there are.
        symbols: how many symbols each place that is seen may have.
    """

    name: str
    pointers: tuple[str, ...]
    base: int
    symbols: tuple[int, ...]

    @property
    def arguments(self) -> int:
        """How many values an argument has: digits, and the numbers of pointers."""
        return max(self.base, 4)

    def spell(self, call: Call) -> str:
        """A call in words; the action of ACT by its names where it has some.

        Example:
            >>> Scene("array", ("1", "2", "3"), 10, (11, 11, 2)).spell(Call(ACT, (MOVE, 1, RIGHT)))
            'ACT MOVE 2 RIGHT'
        """
        if call.program != ACT:
            return " ".join([call.program, *(map(str, call.arguments) if any(call.arguments) else ())])
        what, pointer, third = call.arguments
        if what == MOVE and pointer < len(self.pointers) and third < 2:
            return f"{ACT} MOVE {self.pointers[pointer]} {DIRECTIONS[third]}"
        if what == WRITE and pointer < len(self.pointers) and third < self.base:
            return f"{ACT} WRITE {self.pointers[pointer]} {DIGITS[third]}"
        if what == SWAP and max(pointer, third) < len(self.pointers):
            return f"{ACT} SWAP {self.pointers[pointer]} {self.pointers[third]}"
        return f"{ACT} {what} {pointer} {third}"

    def read(self, words: list[str]) -> Arguments:
        """The arguments of a call out of words.

        Raises:
            ValueError: a word means nothing; the message says what was expected.
        """
        if not words:
            return NONE
        if words[0] in ACTIONS:
            if len(words) != 3:
                raise ValueError(f"{' '.join(words)!r} has {len(words)} words: expected 3, such as MOVE, which, where")
            what = ACTIONS.index(words[0])
            third = {MOVE: DIRECTIONS, WRITE: tuple(DIGITS[: self.base]), SWAP: self.pointers}[what]
            return what, _place("pointer", words[1], self.pointers), _place("argument", words[2], third)
        if len(words) != 3 or not all(word.isdecimal() and int(word) < self.arguments for word in words):
            raise ValueError(
                f"arguments {' '.join(words)!r}: expected {', '.join(ACTIONS)} and two words, or three numbers "
                f"from 0 to {self.arguments - 1}"
            )
        first, second, last = map(int, words)
        return first, second, last


def _place(what: str, word: str, known: tuple[str, ...]) -> int:
    if word not in known:
        raise ValueError(f"{what} {word!r}: expected one of {', '.join(known)}")
    return known.index(word)


def check_base(base: int) -> None:
    """Refuse a base that digits cannot be written in.

    Raises:
        ValueError: it is below 2 or above 36.
    """
    if not 2 <= base <= LARGEST_BASE:
        raise ValueError(f"base is {base}: expected a number from 2 to {LARGEST_BASE}")


def check_reach(what: str, length: int) -> None:
    """Refuse a problem that is longer than pointers reach.

    Raises:
        ValueError: it is, or it is empty.
    """
    if not 1 <= length <= POINTER_RANGE:
        raise ValueError(f"{what} {length:,}: expected 1 to {POINTER_RANGE:,}, which is as far as pointers reach")
