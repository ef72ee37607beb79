"""Pictures of found programs: who feeds whom, and the memory after each step."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from lukasa.launch.pictures.figures import BAD, BLUE, GREEN, ORANGE, QUIET, save_figure
from lukasa.memory.neural_ram import HardRun, Layout, Program, Wiring, live_sources
from lukasa.tasks.ram import Memories

MOST_CIRCUITS = 4
"""Circuits that a picture shows; a program takes few different ones."""


def draw_circuit(program: Program, path: Path, *, title: str) -> Path:
    """The different circuits of a program, one beside the other: registers above, modules in order, registers below.

    Args:
        program: what was found.
        path: the picture to write.
        title: of what.
    """
    found: dict[Wiring, list[int]] = {}
    for number, step in enumerate(program.steps, 1):
        for wiring in step.values():
            places = found.setdefault(wiring, [])
            places += [number] if number not in places else []
    shown = list(found.items())[:MOST_CIRCUITS]
    figure, grid = plt.subplots(1, len(shown), figsize=(3.6 * len(shown), 4.6), squeeze=False, layout="constrained")
    for axes, (wiring, steps) in zip(grid[0], shown, strict=True):
        which = f"steps {steps[0]} to {steps[-1]}" if len(steps) > 1 else f"step {steps[0]}"
        _draw_wiring(axes, program, wiring)
        axes.set_title(which + (", then stop" if wiring.stop else ""), fontsize=10)
    figure.suptitle(title, fontsize=11)
    save_figure(figure, path)
    return path


def _draw_wiring(axes: Axes, program: Program, wiring: Wiring) -> None:
    layout, live = program.layout, live_sources(program.layout, wiring, program.registers)
    places = _places(layout, program, live)
    bottom = min((y for _, y in places.values()), default=0) - 1
    for source, module, place in layout.places():
        if source not in live:
            continue
        for number, feeds in enumerate(wiring.arguments[place : place + module.arguments]):
            _draw_arrow(axes, places[feeds], places[source], BLUE if number == 0 else ORANGE)
    for number, register in enumerate(program.registers):
        end = (number, bottom)
        _draw_arrow(axes, places[wiring.registers[register]], end, GREEN)
        _draw_box(axes, end, f"r{register}'", GREEN)
    for source, where in places.items():
        name = f"r{source}" if source < layout.registers else layout.modules[source - layout.registers].name
        _draw_box(axes, where, name, QUIET if source < layout.registers else BLUE)
    wide = max([x for x, _ in places.values()] + [1])
    axes.set_xlim(-0.7, wide + 0.7)
    axes.set_ylim(bottom - 0.6, 0.6)
    axes.set_axis_off()


def _places(layout: Layout, program: Program, live: set[int]) -> dict[int, tuple[float, float]]:
    """Where each source stands: registers in the first line, then a module a line, from left to right and back."""
    registers = sorted(set(program.registers) | {one for one in live if one < layout.registers})
    places: dict[int, tuple[float, float]] = {one: (number, 0) for number, one in enumerate(registers)}
    modules = sorted(one for one in live if one >= layout.registers)
    across = max(2, len(registers))
    for number, one in enumerate(modules):
        places[one] = ((number * 0.9 + 0.3) % across, -1 - number)
    return places


def _draw_arrow(axes: Axes, begin: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    style = {"arrowstyle": "->", "color": colour, "shrinkA": 9, "shrinkB": 9, "connectionstyle": "arc3,rad=0.12"}
    axes.annotate("", xy=end, xytext=begin, arrowprops=style)


def _draw_box(axes: Axes, where: tuple[float, float], name: str, colour: str) -> None:
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": colour}
    axes.text(*where, name, ha="center", va="center", fontsize=8, bbox=box)


def draw_memory(drawn: Memories, left: HardRun, path: Path, *, title: str) -> Path:
    """The memory before the first step and after each: what changed is marked, and what is wrong in the end.

    Args:
        drawn: one memory, before and as it should be.
        left: its run, with the trace.
        path: the picture to write.
        title: of what.
    """
    steps = int(left.steps[0])
    rows = [drawn.memory[0].numpy(), *(memory[0] for _, _, _, memory in left.trace[:steps])]
    table = np.stack(rows)
    changed = np.vstack([np.zeros_like(table[:1], dtype=bool), table[1:] != table[:-1]])
    size = (max(3.5, 0.36 * table.shape[1] + 1.5), 0.32 * (len(table) + 1) + 1.2)
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    axes.imshow(changed, cmap="Oranges", vmin=0, vmax=2, aspect="auto")
    for (row, cell), value in np.ndenumerate(table):
        last = row == len(table) - 1
        wrong = last and bool(drawn.mask[0, cell]) and int(drawn.target[0, cell]) != value
        bold = "bold" if changed[row, cell] else "normal"
        axes.text(cell, row, str(value), ha="center", va="center", fontsize=8, color=BAD if wrong else "k", weight=bold)
    axes.set_yticks(range(len(table)), ["before", *(f"step {one}" for one in range(1, steps + 1))])
    axes.set_xticks(range(table.shape[1]))
    axes.set_xlabel("cell")
    axes.set_title(title, fontsize=9)
    save_figure(figure, path)
    return path
