"""A found circuit as a program that a person can read.

What nothing uses is left out: modules that feed neither a register that is used nor the memory, and registers that feed
nothing and on which no choice depends.

Dimensions: N memories, R registers, T steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lukasa.memory.neural_ram.hard import HardRun
from lukasa.memory.neural_ram.wiring import Layout, Wiring

Zeros = tuple[bool, ...]
"""Which registers are 0."""


def live_sources(layout: Layout, wiring: Wiring, registers: Sequence[int]) -> set[int]:
    """The sources of a wiring that are used: by WRITE, or by the new values of registers.

    Args:
        layout: of the machine.
        wiring: of a step.
        registers: those whose new values are used.
    """
    places = {source: (module, place) for source, module, place in layout.places()}
    writes = [source for source, (module, _) in places.items() if module.name == "WRITE"]
    waiting = writes + [wiring.registers[one] for one in registers]
    live: set[int] = set()
    while waiting:
        source = waiting.pop()
        if source not in live:
            live.add(source)
            if source in places:
                module, place = places[source]
                waiting += wiring.arguments[place : place + module.arguments]
    return live


@dataclass(frozen=True)
class Program:
    """What a machine did on some memories, step by step.

    Attributes:
        layout: of the machine.
        steps: of each step, which wirings were taken, by which of the used registers were 0.
        registers: those that are used.
        flags: those of them on which choices depend.
    """

    layout: Layout
    steps: tuple[Mapping[Zeros, Wiring], ...]
    registers: tuple[int, ...]
    flags: tuple[int, ...]

    def lines(self) -> list[str]:
        """The program: a block for each step, and one for steps that repeat one another."""
        blocks: list[tuple[int, int, list[str]]] = []
        for number, step in enumerate(self.steps, 1):
            body = self._body(step)
            if blocks and blocks[-1][2] == body:
                blocks[-1] = (blocks[-1][0], number, body)
            else:
                blocks.append((number, number, body))
        lines = []
        for first, last, body in blocks:
            to = "on" if last == len(self.steps) else f"to {last}"
            lines.append(f"step {first}:" if first == last else f"repeat from step {first} {to}:")
            lines += ["    " + line for line in body]
        return lines

    def _body(self, step: Mapping[Zeros, Wiring]) -> list[str]:
        wirings: dict[tuple[str, ...], list[Zeros]] = {}
        for zero, wiring in sorted(step.items(), reverse=True):
            wirings.setdefault(tuple(self._statements(wiring)), []).append(zero)
        if len(wirings) == 1:
            return list(next(iter(wirings)))
        lines = []
        for statements, zeros in wirings.items():
            when = " or ".join(self._condition(one) for one in zeros)
            lines += [f"if {when}:", *("    " + one for one in statements)]
        return lines

    def _condition(self, zero: Zeros) -> str:
        return " and ".join(f"r{one} {'==' if zero[one] else '!='} 0" for one in self.flags) or "always"

    def _statements(self, wiring: Wiring) -> list[str]:
        layout, written = self.layout, {one: f"r{one}" for one in range(self.layout.registers)}
        live, lines = live_sources(layout, wiring, self.registers), []
        for source, module, place in layout.places():
            if source not in live:
                continue
            if module.number is not None:
                written[source] = str(module.number)
                continue
            arguments = [written[one] for one in wiring.arguments[place : place + module.arguments]]
            made = module.written.format(*arguments)
            if module.name == "WRITE":
                lines.append(made)
                written[source] = "0"
            else:
                written[source] = _name_of(layout, source)
                lines.append(f"{written[source]} = {made}")
        moves = [(one, wiring.registers[one]) for one in self.registers if wiring.registers[one] != one]
        if moves:
            lines.append(", ".join(f"r{one}" for one, _ in moves) + " = " + ", ".join(written[one] for _, one in moves))
        return lines + (["stop"] if wiring.stop else []) or ["nothing"]


def _name_of(layout: Layout, source: int) -> str:
    name = layout.modules[source - layout.registers].name
    same = [one for one, module in enumerate(layout.modules) if module.name == name]
    number = same.index(source - layout.registers) + 1
    word = {"LESS-THAN": "less", "LESS-OR-EQUAL": "not_more", "EQUALITY-TEST": "same"}.get(name, name.lower())
    return word if len(same) == 1 else f"{word}{number}"


def read_program(layout: Layout, left: HardRun) -> Program:
    """What a machine did, from a run that kept its trace.

    Args:
        layout: of the machine.
        left: of some memories; together they should take every way there is.

    Raises:
        ValueError: the run has no trace.
    """
    if not left.trace:
        raise ValueError("the run kept no trace: run it with trace=True")
    seen: list[dict[Zeros, Wiring]] = []
    for number, (zero, wired, _, _) in enumerate(left.trace):
        going = np.nonzero(left.steps > number)[0]
        taken: dict[Zeros, Wiring] = {}
        for row in going:
            taken.setdefault(tuple(zero[row].tolist()), wired.row(int(row)))
        seen.append(taken)
    registers, flags = _used(layout, seen)
    return Program(layout, tuple(_by_flags(step, flags) for step in seen), registers, flags)


def _by_flags(step: Mapping[Zeros, Wiring], flags: Sequence[int]) -> dict[Zeros, Wiring]:
    """The same by the flags alone; the others count as not zero."""
    return {tuple(one and place in flags for place, one in enumerate(zero)): wiring for zero, wiring in step.items()}


def _used(layout: Layout, seen: Sequence[Mapping[Zeros, Wiring]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The registers that feed something or decide something, and those that decide."""
    registers: tuple[int, ...] = ()
    while True:
        flags = _deciding(layout, seen, registers)
        used = set(flags)
        for step in seen:
            for wiring in step.values():
                used |= {one for one in live_sources(layout, wiring, registers) if one < layout.registers}
        grown = tuple(sorted(used | set(registers)))
        if grown == registers:
            return registers, flags
        registers = grown


def _deciding(layout: Layout, seen: Sequence[Mapping[Zeros, Wiring]], registers: Sequence[int]) -> tuple[int, ...]:
    """As few registers as tell apart the wirings that differ in what is used."""
    flags = list(range(layout.registers))
    for one in reversed(range(layout.registers)):
        fewer = [other for other in flags if other != one]
        if all(_tell_apart(layout, step, fewer, registers) for step in seen):
            flags = fewer
    return tuple(flags)


def _tell_apart(layout: Layout, step: Mapping[Zeros, Wiring], flags: Sequence[int], registers: Sequence[int]) -> bool:
    found: dict[Zeros, object] = {}
    for zero, wiring in step.items():
        key = tuple(zero[one] for one in flags)
        if found.setdefault(key, _essence(layout, wiring, registers)) != _essence(layout, wiring, registers):
            return False
    return True


def _essence(layout: Layout, wiring: Wiring, registers: Sequence[int]) -> object:
    """What of a wiring is used."""
    live = live_sources(layout, wiring, registers)
    places = [(place, module.arguments) for source, module, place in layout.places() if source in live]
    fed = tuple(wiring.arguments[place : place + count] for place, count in places)
    return live, fed, tuple(wiring.registers[one] for one in registers), wiring.stop
