"""An array of numbers with two pointers and a counter, for bubble sort (Reed and de Freitas 2016, section 4.1.2).

Cells count from 1; before the first and behind the last there is a blank one. The counter is a third pointer on a row
of marks, one for each number, with a blank at its end. Each number n is the symbol 1 + n.

Dimensions: P problems, N cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lukasa.tasks.programs.environment import (
    MOVE,
    RIGHT,
    SWAP,
    ActionError,
    Arguments,
    Observation,
    Scene,
    check_base,
    check_reach,
)

POINTERS = ("1", "2", "3")
Numbers = tuple[int, ...]


def array_scene(base: int) -> Scene:
    """An array of numbers below a base: what is seen are two numbers, and whether the counter has come to its end.

    Raises:
        ValueError: the base is below 2 or above 36.
    """
    check_base(base)
    return Scene("array", POINTERS, base, (base + 1, base + 1, 2))


def read_numbers(text: str, base: int) -> Numbers:
    """Numbers out of "5,3,9" or "5 3 9".

    Raises:
        ValueError: it is something else, a number is not below the base, or there are more than pointers reach.

    Example:
        >>> read_numbers("5, 3 9", 10)
        (5, 3, 9)
    """
    words = text.replace(",", " ").split()
    for word in words:
        if word.startswith(("-", "−")):
            raise ValueError(f"problem {text!r} has the negative number {word}: expected numbers from 0 to {base - 1}")
        if not (word.isascii() and word.isdigit()) or len(word) > 9 or int(word) >= base:
            raise ValueError(f"problem {text!r} has {word!r}: expected numbers from 0 to {base - 1}, such as 1,0,1")
    check_reach("numbers of an array:", len(words))
    return tuple(map(int, words))


def written_numbers(problem: Numbers) -> str:
    """The numbers with commas."""
    return ",".join(map(str, problem))


class NumberArray:
    """One array.

    Args:
        problem: its numbers.
        base: which they are below.
        largest: whether the answer is the number under the first pointer, and not the whole array.
    """

    def __init__(self, problem: Numbers, base: int = 10, *, largest: bool = False):
        self.base, self.largest = base, largest
        self.cells = [0, *(1 + number for number in problem), 0]
        self.marks = [0, *([1] * len(problem)), 0]
        self.pointers = [1, 1, 1]

    def observe(self) -> Observation:
        """The numbers under the first two pointers, and the mark under the third."""
        first, second, counter = self.pointers
        return self.cells[first], self.cells[second], self.marks[counter]

    def act(self, arguments: Arguments) -> None:
        """Move a pointer by one cell, or swap the numbers under the first two.

        Raises:
            ActionError: there is no such action, or it leaves the array.
        """
        what, pointer, third = arguments
        if what == MOVE and pointer < 3 and third < 2:
            place = self.pointers[pointer] + (1 if third == RIGHT else -1)
            if not 0 <= place < len(self.cells):
                raise ActionError(f"pointer {POINTERS[pointer]} leaves the array")
            self.pointers[pointer] = place
        elif arguments == (SWAP, 0, 1):
            first, second, _ = self.pointers
            if not (self.cells[first] and self.cells[second]):
                raise ActionError("there is no number to swap")
            self.cells[first], self.cells[second] = self.cells[second], self.cells[first]
        else:
            raise ActionError(f"the array has no action {arguments}")

    def answer(self) -> str:
        """The numbers as they lie; or the one under the first pointer."""
        return _answer(self.cells, self.pointers[0], self.largest)

    def drawn(self) -> list[str]:
        """The numbers, the marks, and where the pointers are."""
        width = 1 + max(len(str(cell - 1)) for cell in self.cells)
        rows = [["." if not cell else str(cell - 1) for cell in self.cells], [".*"[mark] for mark in self.marks]]
        numbers, marks = ("".join(f"{cell:>{width}}" for cell in row) for row in rows)
        first, second, counter = (
            " " * (width * (place + 1) - 1) + name for name, place in zip(POINTERS, self.pointers, strict=True)
        )
        return [numbers, first, second, marks, counter]


class ManyArrays:
    """Many arrays side by side; acts like so many ``NumberArray``.

    Args:
        problems: at least one.
        base: which their numbers are below.
        largest: as of ``NumberArray``.
    """

    def __init__(self, problems: Sequence[Numbers], base: int = 10, *, largest: bool = False):
        self.base, self.largest = base, largest
        self.lengths = np.array([len(problem) for problem in problems])
        self.cells = np.zeros((len(problems), self.lengths.max() + 2), np.int64)  # [P, N]
        self.pointers = np.ones((len(problems), 3), np.int64)  # [P, 3]
        for place, problem in enumerate(problems):
            self.cells[place, 1 : 1 + len(problem)] = np.array(problem) + 1

    def observe(self, rows: np.ndarray) -> np.ndarray:
        """The numbers under the first two pointers of some problems, and the mark under the third."""
        first, second, counter = self.pointers[rows].T
        mark = (counter > 0) & (counter <= self.lengths[rows])
        return np.stack([self.cells[rows, first], self.cells[rows, second], mark], 1)

    def act(self, rows: np.ndarray, arguments: np.ndarray) -> np.ndarray:
        """Act in each of some problems; whether it could be done."""
        what, pointer, third = arguments.T
        moves = (what == MOVE) & (pointer < 3) & (third < 2)
        swaps = (what == SWAP) & (pointer == 0) & (third == 1)
        pointer = np.where(pointer < 3, pointer, 0)
        places = self.pointers[rows, pointer] + np.where(third == RIGHT, 1, -1)
        moves &= (places >= 0) & (places < self.lengths[rows] + 2)
        self.pointers[rows[moves], pointer[moves]] = places[moves]
        first, second, _ = self.pointers[rows].T
        swaps &= (self.cells[rows, first] > 0) & (self.cells[rows, second] > 0)
        some = rows[swaps]
        left, right = self.cells[some, first[swaps]], self.cells[some, second[swaps]]
        self.cells[some, first[swaps]], self.cells[some, second[swaps]] = right, left
        return moves | swaps

    def answers(self) -> list[str]:
        """The numbers of each as they lie; or the one under the first pointer."""
        return [
            _answer(cells[: length + 2], pointer, self.largest)
            for cells, length, pointer in zip(
                self.cells.tolist(), self.lengths.tolist(), self.pointers[:, 0].tolist(), strict=True
            )
        ]


def _answer(cells: Sequence[int], pointer: int, largest: bool) -> str:
    if largest:
        return str(cells[pointer] - 1) if cells[pointer] else ""
    return written_numbers(tuple(cell - 1 for cell in cells if cell))
