"""Machines whose every choice is made: integers in registers and memory, one source for each argument.

Kurach et al. 2016, section 4.2, "Discretization": the likeliest choice everywhere. A step then takes the same time
whatever M is, and a memory may be far larger than those that were trained on.

Dimensions: N memories, M cells, R registers, K sources, I arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from lukasa.memory.neural_ram.machine import NeuralRAM
from lukasa.memory.neural_ram.modules import LEAST_INTEGERS
from lukasa.memory.neural_ram.wiring import Layout, Wiring


class Wired(NamedTuple):
    """The wirings of one step.

    Attributes:
        arguments: int [N, I].
        registers: int [N, R].
        stop: bool [N].
    """

    arguments: np.ndarray
    registers: np.ndarray
    stop: np.ndarray

    def row(self, number: int) -> Wiring:
        """One machine's wiring."""
        chosen = self.arguments[number].tolist(), self.registers[number].tolist()
        return Wiring(tuple(chosen[0]), tuple(chosen[1]), bool(self.stop[number]))


class Policy(Protocol):
    """What chooses the wirings."""

    def begin(self, rows: int) -> Any:
        """What it carries before the first step."""
        ...

    def choose(self, zero: np.ndarray, carried: Any) -> tuple[Wired, Any]:
        """The wirings of a step, from which registers are 0, bool [N, R]."""
        ...


class Rules:
    """A program by hand: the first rule that fits which registers are 0 says the wiring.

    Args:
        rules: each a pattern with a letter for each register, 0 where it has to be zero, + where it must not be and
            . for either, and its wiring.

    Raises:
        ValueError: a pattern has another letter or length, or no rule fits everything that is left.
    """

    def __init__(self, rules: Sequence[tuple[str, Wiring]]):
        if not rules or set(rules[-1][0]) != {"."}:
            raise ValueError("the last rule has to fit everything: expected only dots")
        for pattern, wiring in rules:
            if len(pattern) != len(wiring.registers) or set(pattern) - set("0+."):
                raise ValueError(f"pattern {pattern!r}: expected {len(wiring.registers)} letters out of 0, + and .")
        self.rules = tuple(rules)

    def begin(self, rows: int) -> None:
        """It carries nothing."""

    def choose(self, zero: np.ndarray, carried: None) -> tuple[Wired, None]:
        """The wirings of the rules that fit."""
        fits = np.stack([_fits(pattern, zero) for pattern, _ in self.rules])
        which = fits.argmax(0)
        wirings = [wiring for _, wiring in self.rules]
        fields = (np.array([getattr(one, name) for one in wirings])[which] for name in Wiring._fields)
        return Wired(*fields), None


def _fits(pattern: str, zero: np.ndarray) -> np.ndarray:
    fits = np.ones(len(zero), dtype=bool)
    for register, letter in enumerate(pattern):
        if letter != ".":
            fits &= zero[:, register] == (letter == "0")
    return fits


class Learned:
    """The likeliest choices of a trained controller.

    Args:
        machine: of one start.

    Raises:
        ValueError: it is of several.
    """

    def __init__(self, machine: NeuralRAM):
        if machine.starts != 1:
            raise ValueError(f"machines of {machine.starts} starts: take one of them with take_start")
        self.machine = machine

    def begin(self, rows: int) -> Any:
        """The controller's first state."""
        return self.machine.controller.initial_state(rows)

    @torch.no_grad()
    def choose(self, zero: np.ndarray, carried: Any) -> tuple[Wired, Any]:
        """Of each argument the likeliest source, and whether stopping is likelier than going on."""
        machine, layout = self.machine, self.machine.layout
        seen = torch.from_numpy(np.ascontiguousarray(zero.T)).to(machine.controller.inner).unsqueeze(0)
        logits, carried = machine.controller(seen, carried)
        choices = logits[0, 1:].view(-1, layout.sources, len(zero)) + machine.barred
        best = choices.argmax(1).T.cpu().numpy()  # [N, I + R]
        stop = (logits[0, 0] > 0).cpu().numpy()
        return Wired(best[:, : layout.arguments], best[:, layout.arguments :], stop), carried


def take_start(machine: NeuralRAM, start: int) -> NeuralRAM:
    """The machine of one start, with weights of its own.

    Args:
        machine: of several.
        start: its number.

    Raises:
        ValueError: there is no such start.
    """
    if not 0 <= start < machine.starts:
        raise ValueError(f"there is no start {start}: expected one from 0 to {machine.starts - 1}")
    controller = machine.controller
    alone = NeuralRAM(machine.layout, controller=controller.kind, hidden=controller.hidden)
    alone = alone.to(controller.inner)
    alone.load_state_dict({name: value[start : start + 1] for name, value in machine.state_dict().items()})
    return alone


@dataclass(frozen=True)
class HardRun:
    """What machines left behind.

    Attributes:
        memory: int64 [N, M], where each stopped.
        steps: int64 [N], the steps that each took.
        stopped: bool [N], whether it stopped by itself, and not at its limit.
        trace: of each step which registers were 0 [N, R], the wirings, the registers before it [N, R] and the memory
            after it [N, M]; empty where it was not asked for. A machine that has stopped goes on there, to no effect.
    """

    memory: np.ndarray
    steps: np.ndarray
    stopped: np.ndarray
    trace: list[tuple[np.ndarray, Wired, np.ndarray, np.ndarray]] = field(default_factory=list)


def run_hard(
    layout: Layout, policy: Policy, memory: np.ndarray, limits: np.ndarray | int, *, trace: bool = False
) -> HardRun:
    """Run machines on integers until each has stopped.

    Args:
        layout: of the machines.
        policy: chooses their wirings.
        memory: int [N, M], each value in 0..M−1.
        limits: the most steps, of each [N] or of all.
        trace: keep what happened.

    Raises:
        ValueError: there are too few cells, or a value is out of range.
    """
    memory = np.array(memory)
    check_memory(memory)
    memory = memory.astype(np.int64)
    rows = len(memory)
    limits = np.broadcast_to(np.asarray(limits), rows)
    registers = np.zeros((rows, layout.registers), dtype=np.int64)
    steps, stopped = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=bool)
    going = steps < limits
    carried, kept = policy.begin(rows), []
    while going.any():
        zero = registers == 0
        wired, carried = policy.choose(zero, carried)
        before = registers
        registers, memory = _step(layout, wired, registers, memory, going)
        steps = steps + going
        stopped |= going & wired.stop
        going = going & ~wired.stop & (steps < limits)
        if trace:
            kept.append((zero, wired, before, memory.copy()))
    return HardRun(memory, steps, stopped, kept)


def check_memory(memory: np.ndarray) -> None:
    """Refuse what is no memory.

    Args:
        memory: int [N, M].

    Raises:
        ValueError: it holds no whole numbers, there are too few cells, or a value is not in 0..M−1.
    """
    if memory.ndim != 2 or memory.dtype.kind not in "iu":
        raise ValueError(f"a memory is {memory.dtype} {list(memory.shape)}: expected whole numbers [rows, cells]")
    if memory.shape[1] < LEAST_INTEGERS:
        raise ValueError(f"a memory of {memory.shape[-1]} cells: expected at least {LEAST_INTEGERS}")
    size = memory.shape[1]
    if ((memory < 0) | (memory >= size)).any():
        wrong = memory[(memory < 0) | (memory >= size)][0]
        raise ValueError(
            f"a memory of {size} cells holds values from 0 to {size - 1}, and it has {wrong}: "
            "add cells, of zeros, or take smaller values"
        )


def _step(
    layout: Layout, wired: Wired, registers: np.ndarray, memory: np.ndarray, going: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    rows, size = np.arange(len(memory)), memory.shape[1]
    values = np.zeros((len(memory), layout.sources), dtype=np.int64)
    values[:, : layout.registers] = registers
    for source, module, place in layout.places():
        chosen = [values[rows, wired.arguments[:, place + one]] for one in range(module.arguments)]
        if module.name == "READ":
            values[:, source] = memory[rows, chosen[0]]
        elif module.name == "WRITE":
            memory[rows[going], chosen[0][going]] = chosen[1][going]
        else:
            assert module.hard is not None
            values[:, source] = module.hard(*chosen, size)
    new = np.take_along_axis(values, wired.registers, 1)
    return np.where(going[:, None], new, registers), memory
