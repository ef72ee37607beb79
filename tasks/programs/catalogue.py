"""What programs are for: the tasks by name, their problems, their environments and their right programs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator

from lukasa.ground.names import UnknownNameError
from lukasa.ground.registry import Registry
from lukasa.tasks.programs.environment import Body, Environment, Many, Scene
from lukasa.tasks.programs.number_array import (
    ManyArrays,
    NumberArray,
    Numbers,
    array_scene,
    read_numbers,
    written_numbers,
)
from lukasa.tasks.programs.right_programs import Form, addition_programs, maximum_programs, sorting_programs
from lukasa.tasks.programs.scratch_pad import (
    Addends,
    ManyPads,
    ScratchPad,
    pad_scene,
    read_sum,
    right_sum,
    written_sum,
)


@dataclass(frozen=True)
class ProgramTask:
    """A task that programs carry out.

    Attributes:
        name: what it is called.
        main: the program that carries it out.
        summary: what it is, for people.
        scene: the kind of environment, given the base.
        programs: the right programs by name, given the form and the base; ``main`` and all that it calls but ACT.
        read: a problem out of text, given the base.
        written: a problem as text.
        draw: a problem of a length and base.
        make: the environment of a problem, given the base.
        many: those of many problems side by side, given the base.
        right: the right answer of a problem, given the base.
        cases: problems whose recursive traces have every case that any problem's has, given the base.
        counted: what the length of a problem counts.
        practised: programs that are run in training once more, one after the other, where the main one has ended: what
            they do must not hang on where the main one calls them.
    """

    name: str
    main: str
    summary: str
    scene: Callable[[int], Scene]
    programs: Callable[[Form, int], Mapping[str, Body]]
    read: Callable[[str, int], Any]
    written: Callable[[Any], str]
    draw: Callable[[Sequence[int], int, Generator], Any]
    make: Callable[[Any, int], Environment]
    many: Callable[[Sequence[Any], int], Many]
    right: Callable[[Any, int], str]
    cases: Callable[[int], Iterator[Any]]
    counted: str
    practised: tuple[str, ...] = ()

    def sample(self, longest: int, base: int, generator: Generator, *, exactly: bool = False) -> Any:
        """A random problem.

        Args:
            longest: its length; of several numbers, that of each.
            base: of its digits or numbers.
            generator: a CPU generator.
            exactly: of that length, and not of any from 1 on.
        """
        lengths = [longest] * 2 if exactly else torch.randint(1, longest + 1, (2,), generator=generator).tolist()
        return self.draw(lengths, base, generator)


class UnknownProgramTaskError(UnknownNameError):
    """There is no such task of programs; the message gives the nearest one."""


def _own(path: str, found: Any) -> ProgramTask:
    if not isinstance(found, ProgramTask):
        raise ValueError("expected a lukasa.tasks.programs.ProgramTask")
    return found


def _draw_sum(lengths: Sequence[int], base: int, generator: Generator) -> Addends:
    """Two numbers; the first digit of each is not 0 where it has more than one."""
    numbers = []
    for length in lengths:
        digits = torch.randint(0, base, (length,), generator=generator)
        if length > 1:
            digits[-1] = torch.randint(1, base, (), generator=generator)
        numbers.append(tuple(digits.tolist()))
    first, second = numbers
    return first, second


def _draw_numbers(lengths: Sequence[int], base: int, generator: Generator) -> Numbers:
    return tuple(torch.randint(0, base, (lengths[0],), generator=generator).tolist())


def sum_cases(base: int) -> Iterator[Addends]:
    """Additions whose recursive traces have every case that an addition can have.

    What a program of addition sees depends on a column, the carry into it, and the digits of the next column alone; so
    there is an addition here for each of those. The column before makes the carry.
    """
    ends = [(first, second) for first in range(base) for second in range(base)]
    numbers = [*ends, *((first,) for first in range(base)), ()]  # a column and the next: digits, or blank
    for first, second in itertools.product(numbers, numbers):
        yield (0, *first), (0, *second)
        yield (base - 1, *first), (1, *second)


def array_cases(base: int) -> Iterator[Numbers]:
    """Arrays whose recursive traces have every case that an array can have.

    What the programs see in a frame are at most three neighbours, the first number, and the largest or the smallest of
    all. All arrays of up to four numbers have each of these; but for three neighbours in the middle while both pointers
    go back, for which four numbers follow the largest, which a sweep takes to the end.
    """
    for length in range(1, 5):
        yield from itertools.product(range(base), repeat=length)
    for rest in itertools.product(range(base), repeat=4):
        yield (base - 1, *rest)


def _largest(problem: Numbers, base: int) -> NumberArray:
    return NumberArray(problem, base, largest=True)


def _many_largest(problems: Sequence[Numbers], base: int) -> ManyArrays:
    return ManyArrays(problems, base, largest=True)


TASKS: Registry[ProgramTask] = Registry("task of programs", {}, _own, UnknownProgramTaskError)
"""Tasks by name; one of your own goes by "package.module:NAME"."""

for _task in (
    ProgramTask(
        name="addition",
        main="ADD",
        summary="two numbers of any length are added on a scratch pad of four rows",
        scene=pad_scene,
        programs=addition_programs,
        read=read_sum,
        written=written_sum,
        draw=_draw_sum,
        make=ScratchPad,
        many=ManyPads,
        right=right_sum,
        cases=sum_cases,
        counted="digits",
    ),
    ProgramTask(
        name="bubble_sort",
        main="BUBBLESORT",
        summary="an array of numbers is sorted by swapping neighbours",
        scene=array_scene,
        programs=sorting_programs,
        read=read_numbers,
        written=written_numbers,
        draw=_draw_numbers,
        make=NumberArray,
        many=ManyArrays,
        right=lambda problem, base: written_numbers(tuple(sorted(problem))),
        cases=array_cases,
        counted="numbers",
        practised=("BUBBLE",),
    ),
    ProgramTask(
        name="maximum",
        main="MAX",
        summary="the largest number of an array is found by sorting it and going to its end",
        scene=array_scene,
        programs=maximum_programs,
        read=read_numbers,
        written=written_numbers,
        draw=_draw_numbers,
        make=_largest,
        many=_many_largest,
        right=lambda problem, base: str(max(problem)),
        cases=array_cases,
        counted="numbers",
    ),
):
    TASKS.register(_task.name, _task)
