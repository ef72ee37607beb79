"""What is fixed about a machine: its registers, its modules, and who may feed whom.

Sources of a circuit are numbered: registers 0..R−1, then the modules in order. A module may take any register and the
result of any module before it; a register's new value may come from any source (Kurach et al. 2016, section 3.1).

Dimensions: R registers, Q modules, K = R + Q sources, I arguments of all modules together.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lukasa.memory.neural_ram.modules import MODULES, Module, modules_named


@dataclass(frozen=True)
class Layout:
    """The parts of a machine.

    Attributes:
        registers: R.
        names: of the Q modules, in order; those of the paper by default.

    Raises:
        ValueError: there is no register, or a module is unknown.
    """

    registers: int = 4
    names: tuple[str, ...] = tuple(MODULES)
    modules: tuple[Module, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        if self.registers < 1:
            raise ValueError(f"a machine has {self.registers} registers: expected at least 1")
        object.__setattr__(self, "modules", modules_named(self.names))

    @property
    def sources(self) -> int:
        """K."""
        return self.registers + len(self.modules)

    @property
    def arguments(self) -> int:
        """I."""
        return sum(one.arguments for one in self.modules)

    def places(self) -> Iterator[tuple[int, Module, int]]:
        """Each module with its source's number and the place of its first argument among all of them."""
        place = 0
        for number, module in enumerate(self.modules):
            yield self.registers + number, module, place
            place += module.arguments

    def allowed(self) -> Tensor:
        """Bool [I + R, K]: which source each argument and each register's new value may come from."""
        before = [source for source, module, _ in self.places() for _ in range(module.arguments)]
        rows = [torch.arange(self.sources) < source for source in before]
        return torch.stack(rows + [torch.ones(self.sources, dtype=torch.bool)] * self.registers)

    def source(self, name: str) -> int:
        """The number of a source: "r0" or the name of a module, the first of that name.

        Raises:
            ValueError: there is none.
        """
        if name[:1] == "r" and name[1:].isdecimal() and int(name[1:]) < self.registers:
            return int(name[1:])
        if name not in self.names:
            raise ValueError(
                f"unknown source {name!r}: expected r0 to r{self.registers - 1} or a module of the machine"
            )
        return self.registers + self.names.index(name)


NATIVE = ("READ", "", "INC", "ADD", "SUB", "DEC", "LESS-THAN", "LESS-OR-EQUAL", "EQUALITY-TEST", "MIN", "MAX", "WRITE")
"""Modules by their code in ``lukasa.memory.kernels.circuit``; numbers are 1."""


@functools.cache
def plan_of(layout: Layout) -> tuple[np.ndarray, ...] | None:
    """Each module's code, number and first argument, for native code; None where it cannot run such a machine.

    There a memory is written to once in a step, after it is read.
    """
    names = layout.names
    if names.count("WRITE") != 1 or "READ" in names[names.index("WRITE") :]:
        return None
    codes = [1 if one.number is not None else NATIVE.index(one.name) for one in layout.modules]
    places = [place for _, _, place in layout.places()]
    return tuple(np.array(one) for one in (codes, [one.number or 0 for one in layout.modules], places))


class Wiring(NamedTuple):
    """A circuit whose choices are made, for one step.

    Attributes:
        arguments: the source of each of the I arguments.
        registers: the source of each of the R new values.
        stop: whether the machine stops after this step.
    """

    arguments: tuple[int, ...]
    registers: tuple[int, ...]
    stop: bool


def wire(layout: Layout, *, stop: bool = False, registers: Sequence[str] = (), **arguments: Sequence[str]) -> Wiring:
    """A wiring by hand; what is not said comes from register 0, and a register not named keeps its value.

    A WRITE that is not given puts back what READ has read, so that it changes nothing.

    Args:
        layout: of the machine.
        stop: whether the machine stops after this step.
        registers: new values, as "r1=INC".
        **arguments: sources of a module's arguments; LESS_THAN stands for LESS-THAN.

    Raises:
        ValueError: a source or a module is unknown, or comes after what it feeds.

    Example:
        >>> layout = Layout(2, ("READ", "INC"))
        >>> wire(layout, READ=["r1"], INC=["READ"], registers=["r1=INC"])
        Wiring(arguments=(1, 2), registers=(0, 3), stop=False)
    """
    chosen, given = [0] * layout.arguments, {name.replace("_", "-"): value for name, value in arguments.items()}
    if "WRITE" in layout.names and "READ" in layout.names:
        given.setdefault("WRITE", (*given.get("READ", ("r0",)), "READ"))
    for source, module, place in layout.places():
        sources = given.pop(module.name, ("r0",) * module.arguments)
        if len(sources) != module.arguments:
            raise ValueError(f"{module.name} is given {len(sources)} arguments: expected {module.arguments}")
        for offset, name in enumerate(sources):
            chosen[place + offset] = layout.source(name)
            if chosen[place + offset] >= source:
                raise ValueError(f"{module.name} is fed by {name}, which comes after it")
    if given:
        raise ValueError(f"the machine has no module {next(iter(given))!r}")
    new = list(range(layout.registers))
    for one in registers:
        target, _, name = one.partition("=")
        new[layout.source(target)] = layout.source(name)
    return Wiring(tuple(chosen), tuple(new), stop)
