"""What is on the tapes: the input of an episode, what has to be written, and where each symbol of that can be read.

Dimensions: R rows of the input, W its width, Y symbols to write.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from lukasa.ground.settings import check_choice, check_whole

LONGEST = 10_000


class Tape(NamedTuple):
    """One episode's tapes.

    ``source`` are the rows and columns at which a head that walks from one to the next, and writes at each, reads all
    that it needs.
    """

    cells: np.ndarray  # [R, W], symbols
    target: np.ndarray  # [Y], symbols
    source: np.ndarray  # [Y, 2]


class Draw(Protocol):
    """Draws the tapes of an episode of a length."""

    def __call__(self, generator: np.random.Generator, length: int, symbols: int, rows: int) -> Tape:
        """The tapes."""
        ...


def copy(generator: np.random.Generator, length: int, symbols: int, rows: int) -> Tape:
    """Write the symbols of the tape in their order."""
    cells = generator.integers(symbols, size=length)
    return _along(cells, cells, np.arange(length))


def duplicated_input(generator: np.random.Generator, length: int, symbols: int, rows: int) -> Tape:
    """Every symbol is on the tape twice in a row: write it once."""
    target = generator.integers(symbols, size=length)
    return _along(target.repeat(2), target, 2 * np.arange(length))


def reverse(generator: np.random.Generator, length: int, symbols: int, rows: int) -> Tape:
    """Write the symbols of the tape from the last to the first."""
    cells = generator.integers(symbols, size=length)
    return _along(cells, cells[::-1], np.arange(length)[::-1])


def repeat_copy(generator: np.random.Generator, length: int, symbols: int, rows: int) -> Tape:
    """The first symbol says how often, 2 or 3 times, what follows is to be written."""
    times = int(generator.integers(2, 4))
    cells = generator.integers(symbols, size=length)
    places = 1 + np.tile(np.arange(length), times)
    return _along(np.concatenate([[times], cells]), np.tile(cells, times), places)


def addition(generator: np.random.Generator, length: int, symbols: int, rows: int) -> Tape:
    """Rows are numbers, lowest digit first: write their sum, one digit more than they have, lowest digit first."""
    cells = generator.integers(symbols, size=(rows, length))
    target, carry = np.zeros(length + 1, np.int64), 0
    for column in range(length):
        carry, target[column] = divmod(carry + int(cells[:, column].sum()), symbols)
    target[length] = carry
    columns = np.arange(length + 1)
    # down one column and up the next: each digit is written where its column was last read
    return Tape(cells, target, np.stack([np.where(columns % 2 == 0, rows - 1, 0), columns], 1))


def _along(cells: np.ndarray, target: np.ndarray, columns: np.ndarray) -> Tape:
    return Tape(cells[None], target, np.stack([np.zeros_like(columns), columns], 1))


TASKS: dict[str, Draw] = {
    "copy": copy,
    "duplicated_input": duplicated_input,
    "reverse": reverse,
    "repeat_copy": repeat_copy,
    "addition": addition,
}
"""By name."""


class Limits(NamedTuple):
    """How large the tapes of a task can be, for an episode of the greatest length."""

    width: int
    target: int
    steps: int


def limits(task: str, length: int, rows: int) -> Limits:
    """What has to be kept for episodes of at most ``length``."""
    width = {"duplicated_input": 2 * length, "repeat_copy": length + 1}.get(task, length)
    target = {"repeat_copy": 3 * length, "addition": length + 1}.get(task, length)
    return Limits(width, target, patience(longest_way(task, length, rows)))


def longest_way(task: str, length: int, rows: int) -> int:
    """Steps of the oracle in the longest episode of a length."""
    ways = {
        "copy": length,
        "duplicated_input": 2 * length - 1,
        "reverse": 2 * length,
        "repeat_copy": 3 * length + 2 * max(0, length - 2) + 1,
        "addition": rows * length + 1,
    }
    return ways[task]


def steps_needed(source: np.ndarray) -> int:
    """Steps of a head that starts at (0, 0), visits all of ``source`` [Y, 2] in order and writes once at each."""
    apart = np.abs(np.diff(source, axis=0)).sum(1)
    return int(np.abs(source[0]).sum() + np.maximum(apart, 1).sum()) + 1


def patience(needed: int) -> int:
    """Steps after which an episode is lost, twice those that are needed and 4 more."""
    return 2 * needed + 4


def check_settings(
    name: str, task: str, length: int, shortest: int, symbols: int, rows: int, memory: bool, forward: bool
) -> None:
    """Refuse settings that make no tape.

    Raises:
        ValueError: one is out of range, or two contradict each other.
    """
    check_choice(name, "task", task, TASKS)
    check_whole(name, "length", length, 1, LONGEST)
    check_whole(name, "shortest", shortest, 1, LONGEST)
    check_whole(name, "rows", rows, 1, 3)
    check_whole(name, "symbols", symbols, 4 if task == "repeat_copy" else max(2, rows), 1000)
    for setting, value in (("memory", memory), ("forward", forward)):
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name}: {setting} is {value!r}, expected true or false")
    if shortest > length:
        raise ValueError(f"{name}: shortest is {shortest} and length {length}: raise length, or lower shortest")
    if (task == "addition") != (rows > 1):
        expected = "2 or 3" if task == "addition" else "1: its input is one tape"
        raise ValueError(f"{name}: rows is {rows}, and for task {task!r} expected {expected}")
    if forward and not (memory and task == "reverse"):
        raise ValueError(
            f"{name}: forward is true, with which the input is read once: expected task 'reverse' and memory=true"
        )
