"""A program by hand for each task: what a perfect machine would do, and the oracle of the tasks.

Patterns have a letter for each register, r0 first: 0 where it is zero, + where it is not, . for either.
"""

from __future__ import annotations

from collections.abc import Callable

from lukasa.memory.neural_ram import Layout, Rules, Wiring, wire


def _access(at: Layout) -> list[tuple[str, Wiring]]:
    return [
        ("0", wire(at, INC=["READ"], registers=["r0=INC"])),
        (".", wire(at, WRITE=["ZERO", "READ"], stop=True)),
    ]


def _increment(at: Layout) -> list[tuple[str, Wiring]]:
    # NULL is written back as it was, by the last step; r1 is the element before, and r2 is 1 from the first step on.
    grow = wire(at, INC=["r0"], ADD=["READ", "ONE"], WRITE=["r0", "ADD"], registers=["r0=INC", "r1=READ", "r2=ONE"])
    undo = wire(at, DEC=["r0"], WRITE=["DEC", "ZERO"], stop=True)
    return [(".0+", undo), ("...", grow)]


def _copy(at: Layout) -> list[tuple[str, Wiring]]:
    begin = wire(at, DEC=["READ"], registers=["r0=ONE", "r1=READ", "r2=DEC"])
    move = wire(
        at, INC=["r0"], ADD=["r1", "ONE"], DEC=["r2"], WRITE=["r1", "READ"], registers=["r0=INC", "r1=ADD", "r2=DEC"]
    )
    return [("00.", begin), ("..0", wire(at, stop=True)), ("...", move)]


def _reverse(at: Layout) -> list[tuple[str, Wiring]]:
    begin = wire(at, DEC=["READ"], registers=["r0=DEC", "r1=READ"])
    move = wire(at, INC=["r1"], DEC=["r0"], WRITE=["r1", "READ"], registers=["r0=DEC", "r1=INC"])
    return [("00", begin), ("0+", wire(at, stop=True)), ("..", move)]


def _swap(at: Layout) -> list[tuple[str, Wiring]]:
    return [
        ("0...", wire(at, registers=["r0=ONE", "r1=READ"])),
        ("+0..", wire(at, WRITE=["r2", "r3"], stop=True)),
        ("+.0.", wire(at, registers=["r2=READ"])),
        ("+.+0", wire(at, READ=["r1"], registers=["r3=READ"])),
        ("....", wire(at, READ=["r2"], WRITE=["r1", "READ"], registers=["r1=ZERO"])),
    ]


def _permutation(at: Layout) -> list[tuple[str, Wiring]]:
    move = wire(
        at, READ=["r2"], INC=["r0"], SUB=["r1", "INC"], WRITE=["r0", "READ"], registers=["r0=INC", "r2=ZERO", "r3=SUB"]
    )
    return [
        ("0...", wire(at, registers=["r0=ONE", "r1=READ", "r3=ONE"])),
        ("+.00", wire(at, stop=True)),
        ("+.0.", wire(at, ADD=["r1", "READ"], registers=["r2=ADD"])),
        ("....", move),
    ]


def _list_k(at: Layout) -> list[tuple[str, Wiring]]:
    return [
        ("0..+", wire(at, READ=["r1"], WRITE=["TWO", "READ"], stop=True)),
        ("0...", wire(at, registers=["r0=ONE", "r1=READ"])),
        ("+..0", wire(at, registers=["r2=READ", "r3=ONE"])),
        ("+.0+", wire(at, INC=["r1"], registers=["r0=ZERO", "r1=INC"])),
        ("....", wire(at, READ=["r1"], DEC=["r2"], registers=["r1=READ", "r2=DEC"])),
    ]


def _list_search(at: Layout) -> list[tuple[str, Wiring]]:
    onward = wire(at, READ=["r1"], INC=["READ"], ADD=["r1", "ONE"], registers=["r1=ADD", "r3=INC"])
    look = wire(
        at,
        READ=["r1"],
        SUB=["r3", "ONE"],
        DEC=["r1"],
        EQUALITY_TEST=["READ", "r2"],
        WRITE=["TWO", "DEC"],
        registers=["r1=SUB", "r3=ZERO", "r4=EQUALITY-TEST"],
    )
    return [
        ("....+", wire(at, stop=True)),
        ("0....", wire(at, registers=["r0=ONE", "r1=READ"])),
        ("+.0..", wire(at, registers=["r2=READ"])),
        ("...0.", onward),
        (".....", look),
    ]


def _merge(at: Layout) -> list[tuple[str, Wiring]]:
    put = wire(
        at,
        READ=["r2"],
        INC=["r3"],
        LESS_OR_EQUAL=["r4", "READ"],
        MIN=["r4", "READ"],
        WRITE=["r3", "MIN"],
        registers=["r3=INC", "r5=LESS-OR-EQUAL", "r6=ONE"],
    )
    onward = wire(
        at, INC=["r2"], ADD=["r1", "r5"], SUB=["INC", "r5"], registers=["r1=ADD", "r2=SUB", "r4=ZERO", "r6=ZERO"]
    )
    return [
        ("0......", wire(at, registers=["r0=ONE", "r1=READ"])),
        ("..0....", wire(at, registers=["r0=TWO", "r2=READ"])),
        ("...0...", wire(at, registers=["r3=READ"])),
        ("....0..", wire(at, READ=["r1"], registers=["r4=READ"])),
        ("......0", put),
        (".......", onward),
    ]


def _walk_bst(at: Layout) -> list[tuple[str, Wiring]]:
    turn = wire(at, INC=["r0"], ADD=["r1", "READ"], registers=["r0=INC", "r2=ADD", "r3=READ", "r4=ONE"])
    return [
        ("0....", wire(at, registers=["r0=TWO", "r1=READ"])),
        ("....0", turn),
        ("...0+", wire(at, READ=["r1"], WRITE=["ONE", "READ"], stop=True)),
        (".....", wire(at, READ=["r2"], registers=["r1=READ", "r4=ZERO"])),
    ]


_RULES: dict[str, tuple[int, Callable[[Layout], list[tuple[str, Wiring]]]]] = {
    "access": (1, _access),
    "increment": (3, _increment),
    "copy": (3, _copy),
    "reverse": (2, _reverse),
    "swap": (4, _swap),
    "permutation": (4, _permutation),
    "list_k": (4, _list_k),
    "list_search": (5, _list_search),
    "merge": (7, _merge),
    "walk_bst": (5, _walk_bst),
}


def program_by_hand(task: str) -> tuple[Layout, Rules]:
    """The machine and the program of a task.

    Args:
        task: its name.

    Raises:
        ValueError: there is none of that name.

    Example:
        >>> layout, rules = program_by_hand("reverse")
        >>> layout.registers, len(rules.rules)
        (2, 3)
    """
    if task not in _RULES:
        raise ValueError(f"no program by hand for {task!r}: expected one of {', '.join(_RULES)}")
    registers, rules = _RULES[task]
    layout = Layout(registers)
    return layout, Rules(rules(layout))
