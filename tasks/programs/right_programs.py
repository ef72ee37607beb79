"""The right programs, as generators: what a core learns from are the calls that they make.

Two forms of each (Cai, Shin and Song 2017, section 4): with loops, as Reed and de Freitas 2016 have them, and
recursive, where no program makes more than four calls, so that the cases of all inputs are finitely many.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Literal

from lukasa.tasks.programs.environment import ACT, LEFT, MOVE, RIGHT, SWAP, WRITE, Arguments, Body, Call, Environment
from lukasa.tasks.programs.scratch_pad import CARRY, IN1, IN2, OUT

Form = Literal["loops", "recursive"]
"""Of the programs of a task."""
FORMS: tuple[Form, ...] = ("loops", "recursive")
"""All of them."""
Calls = Generator[Call, None, None]


def _act(what: int, which: int, third: int) -> Call:
    arguments: Arguments = (what, which, third)
    return Call(ACT, arguments)


def _add(env: Environment) -> Calls:
    """ADD: column after column, until there is nothing left to add."""
    while any(env.observe()[:3]):
        yield Call("ADD1")
        yield Call("LSHIFT")


def _add_recursive(env: Environment) -> Calls:
    """ADD: one column, and the rest by itself."""
    if any(env.observe()[:3]):
        yield Call("ADD1")
        yield Call("LSHIFT")
        yield Call("ADD")


def add1_in(base: int) -> Body:
    """ADD1 in a base: write the sum of a column, and mark what is carried."""

    def body(env: Environment) -> Calls:
        total = sum(max(0, symbol - 1) for symbol in env.observe()[:3])
        yield _act(WRITE, OUT, total % base)
        if total >= base:
            yield Call("CARRY")

    return body


def _carry(env: Environment) -> Calls:
    """CARRY: a 1 in the carries, one column to the left."""
    yield _act(MOVE, CARRY, LEFT)
    yield _act(WRITE, CARRY, 1)
    yield _act(MOVE, CARRY, RIGHT)


def _next_column(env: Environment) -> Calls:
    """LSHIFT on the pad: all pointers to the left."""
    for row in (IN1, IN2, CARRY, OUT):
        yield _act(MOVE, row, LEFT)


def addition_programs(form: Form, base: int) -> Mapping[str, Body]:
    """ADD and what it calls."""
    add = {"loops": _add, "recursive": _add_recursive}[form]
    return {"ADD": add, "ADD1": add1_in(base), "CARRY": _carry, "LSHIFT": _next_column}


def _bubble_sort(env: Environment) -> Calls:
    """BUBBLESORT: as many sweeps as there are numbers."""
    while env.observe()[2]:
        yield Call("BUBBLE")
        yield Call("RESET")


def _bubble_sort_recursive(env: Environment) -> Calls:
    if env.observe()[2]:
        yield Call("BUBBLE")
        yield Call("RESET")
        yield Call("BUBBLESORT")


def _bubble(env: Environment) -> Calls:
    """BUBBLE: one sweep from left to right, the second pointer ahead of the first."""
    yield _act(MOVE, 1, RIGHT)
    while env.observe()[1]:
        yield Call("BSTEP")


def _bubble_recursive(env: Environment) -> Calls:
    yield _act(MOVE, 1, RIGHT)
    yield Call("BSTEP")


def _bstep(env: Environment) -> Calls:
    """BSTEP: the larger of two neighbours to the right, and on."""
    yield Call("COMPSWAP")
    yield Call("RSHIFT")


def _bstep_recursive(env: Environment) -> Calls:
    if env.observe()[1]:
        yield Call("COMPSWAP")
        yield Call("RSHIFT")
        yield Call("BSTEP")


def _compswap(env: Environment) -> Calls:
    first, second, _ = env.observe()
    if first > second:
        yield _act(SWAP, 0, 1)


def _rshift(env: Environment) -> Calls:
    yield _act(MOVE, 0, RIGHT)
    yield _act(MOVE, 1, RIGHT)


def _lshift(env: Environment) -> Calls:
    yield _act(MOVE, 0, LEFT)
    yield _act(MOVE, 1, LEFT)


def _lshift_recursive(env: Environment) -> Calls:
    """LSHIFT: both pointers to the left until the first has left the numbers."""
    if env.observe()[0]:
        yield _act(MOVE, 0, LEFT)
        yield _act(MOVE, 1, LEFT)
        yield Call("LSHIFT")


def _reset(env: Environment) -> Calls:
    """RESET: both pointers to the first number, the counter on by one."""
    while env.observe()[0]:
        yield Call("LSHIFT")
    yield _act(MOVE, 0, RIGHT)
    yield _act(MOVE, 2, RIGHT)


def _reset_recursive(env: Environment) -> Calls:
    yield Call("LSHIFT")
    yield _act(MOVE, 0, RIGHT)
    yield _act(MOVE, 2, RIGHT)


def sorting_programs(form: Form, base: int) -> Mapping[str, Body]:
    """BUBBLESORT and what it calls."""
    if form == "loops":
        own = (_bubble_sort, _bubble, _reset, _bstep, _compswap, _lshift, _rshift)
    else:
        own = (
            _bubble_sort_recursive,
            _bubble_recursive,
            _reset_recursive,
            _bstep_recursive,
            _compswap,
            _lshift_recursive,
            _rshift,
        )
    names = ("BUBBLESORT", "BUBBLE", "RESET", "BSTEP", "COMPSWAP", "LSHIFT", "RSHIFT")
    return dict(zip(names, own, strict=True))


def _max(env: Environment) -> Calls:
    """MAX: sort, go past the last number, and back to it."""
    yield Call("BUBBLESORT")
    yield Call("RJMP")
    yield _act(MOVE, 0, LEFT)


def _rjmp(env: Environment) -> Calls:
    """RJMP: both pointers to the right until they have left the numbers."""
    while env.observe()[1]:
        yield Call("RSHIFT")


def _rjmp_recursive(env: Environment) -> Calls:
    if env.observe()[1]:
        yield Call("RSHIFT")
        yield Call("RJMP")


def maximum_programs(form: Form, base: int) -> Mapping[str, Body]:
    """MAX, RJMP, and BUBBLESORT with what it calls."""
    rjmp = {"loops": _rjmp, "recursive": _rjmp_recursive}[form]
    return {**sorting_programs(form, base), "MAX": _max, "RJMP": rjmp}
