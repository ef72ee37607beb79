"""Addition on a scratch pad of four rows (Reed and de Freitas 2016, section 4.1.1).

The rows are both numbers, the carries and the result; each row has a pointer that begins at its rightmost cell. Columns
count from the right. A cell is blank (0) or holds a digit d as the symbol 1 + d.

Dimensions: P problems, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lukasa.tasks.programs.environment import (
    DIGITS,
    LEFT,
    MOVE,
    RIGHT,
    WRITE,
    ActionError,
    Arguments,
    Observation,
    Scene,
    check_base,
    check_reach,
)

IN1, IN2, CARRY, OUT = range(4)
ROWS = ("IN1", "IN2", "CARRY", "OUT")

Addends = tuple[tuple[int, ...], tuple[int, ...]]
"""The digits of two numbers, the last of each first: as the columns count."""


def pad_scene(base: int) -> Scene:
    """The scratch pad in a base: what is seen are the four cells under the pointers.

    Raises:
        ValueError: the base is below 2 or above 36.
    """
    check_base(base)
    return Scene("pad", ROWS, base, (base + 1,) * 4)


def read_sum(text: str, base: int) -> Addends:
    """Two numbers out of "345+678".

    Raises:
        ValueError: it is something else, a digit is none of the base, or a number is longer than pointers reach.

    Example:
        >>> read_sum("345+67", 10)
        ((5, 4, 3), (7, 6))
    """
    parts = [part.strip() for part in text.split("+")]
    for part in parts:
        if part.startswith(("-", "−")):
            raise ValueError(f"problem {text!r} has the negative number {part}: expected numbers of at least 0")
    if len(parts) != 2 or not all(parts):
        raise ValueError(f"problem {text!r}: expected two numbers and a + between them, such as 345+678")
    return _digits(text, parts[0], base), _digits(text, parts[1], base)


def _digits(text: str, part: str, base: int) -> tuple[int, ...]:
    known = DIGITS[:base]
    for letter in part.lower():
        if letter not in known:
            raise ValueError(f"problem {text!r} has the digit {letter!r}: base {base} has the digits {known}")
    check_reach("digits of a number:", len(part))
    return tuple(known.index(letter) for letter in reversed(part.lower()))


def written_number(digits: Sequence[int]) -> str:
    """A number whose last digit comes first, as people write it.

    Example:
        >>> written_number((5, 4, 3))
        '345'
    """
    return "".join(DIGITS[digit] for digit in reversed(digits))


def written_sum(problem: Addends) -> str:
    """Two numbers and a +."""
    return "+".join(map(written_number, problem))


def right_sum(problem: Addends, base: int) -> str:
    """The sum of two numbers, with as many digits as the longer one has, or one more.

    Example:
        >>> right_sum(((5, 4, 3), (7, 6)), 10)
        '412'
    """
    first, second = sorted(problem, key=len)
    found, carry = [], 0
    for place, digit in enumerate(second):
        carry, left = divmod(digit + (first[place] if place < len(first) else 0) + carry, base)
        found.append(left)
    return written_number([*found, 1] if carry else found)


class ScratchPad:
    """One addition.

    Args:
        problem: the two numbers.
        base: of their digits.
    """

    def __init__(self, problem: Addends, base: int = 10):
        self.base, self.width = base, max(map(len, problem)) + 2  # a column for the carry, and a blank one
        self.cells = [[1 + digit for digit in number] for number in problem] + [[], []]
        for row in self.cells:
            row += [0] * (self.width - len(row))
        self.pointers = [0, 0, 0, 0]

    def observe(self) -> Observation:
        """The cells under the pointers."""
        (first, second, carry, out), (a, b, c, d) = self.cells, self.pointers
        return first[a], second[b], carry[c], out[d]

    def act(self, arguments: Arguments) -> None:
        """Move a pointer by one column, or write a digit into the carries or the result.

        Raises:
            ActionError: there is no such action, or it leaves the pad.
        """
        what, row, third = arguments
        if what == MOVE and row < 4 and third < 2:
            place = self.pointers[row] + (1 if third == LEFT else -1)
            if not 0 <= place < self.width:
                raise ActionError(f"pointer {ROWS[row]} leaves the pad")
            self.pointers[row] = place
        elif what == WRITE and row in (CARRY, OUT) and third < self.base:
            self.cells[row][self.pointers[row]] = 1 + third
        else:
            raise ActionError(f"the pad has no action {arguments}")

    def answer(self) -> str:
        """What is written in the row of the result."""
        return _answer(self.cells[OUT])

    def drawn(self) -> list[str]:
        """The rows, the pointed cell of each in brackets."""
        lines = []
        for name, row, pointer in zip(ROWS, self.cells, self.pointers, strict=True):
            cells = [
                f"[{_letter(cell)}]" if place == pointer else f" {_letter(cell)} " for place, cell in enumerate(row)
            ]
            lines.append(f"{name:<6}{''.join(reversed(cells))}".rstrip())
        return lines


class ManyPads:
    """Many additions side by side; acts like so many ``ScratchPad``.

    Args:
        problems: at least one.
        base: of their digits.
    """

    def __init__(self, problems: Sequence[Addends], base: int = 10):
        self.base = base
        self.widths = np.array([max(map(len, problem)) + 2 for problem in problems])
        self.cells = np.zeros((len(problems), 4, self.widths.max()), np.int8)  # [P, 4, W]
        self.pointers = np.zeros((len(problems), 4), np.int64)  # [P, 4]
        for place, problem in enumerate(problems):
            for row, number in enumerate(problem):
                self.cells[place, row, : len(number)] = np.array(number) + 1

    def observe(self, rows: np.ndarray) -> np.ndarray:
        """The cells under the pointers of some problems."""
        return self.cells[rows[:, None], np.arange(4), self.pointers[rows]].astype(np.int64)

    def act(self, rows: np.ndarray, arguments: np.ndarray) -> np.ndarray:
        """Act in each of some problems; whether it could be done."""
        what, row, third = arguments.T
        moves = (what == MOVE) & (row < 4) & (third < 2)
        writes = (what == WRITE) & ((row == CARRY) | (row == OUT)) & (third < self.base)
        row = np.where(row < 4, row, 0)
        places = self.pointers[rows, row] + np.where(moves, np.where(third == RIGHT, -1, 1), 0)
        fine = (moves | writes) & (places >= 0) & (places < self.widths[rows])
        moves, writes = moves & fine, writes & fine
        self.pointers[rows[moves], row[moves]] = places[moves]
        self.cells[rows[writes], row[writes], places[writes]] = 1 + third[writes]
        return fine

    def answers(self) -> list[str]:
        """What is written in the row of the result of each."""
        return [_answer(cells) for cells in self.cells[:, OUT].tolist()]


def _letter(cell: int) -> str:
    return DIGITS[cell - 1] if cell else "."


def _answer(cells: Sequence[int]) -> str:
    return "".join(map(_letter, reversed(cells))).lstrip(".")
