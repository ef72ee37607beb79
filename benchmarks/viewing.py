"""How large the pages of ``lukasa view`` are, how long they take to write, and to load in a headless Chromium.

    python -m lukasa.benchmarks.viewing [--steps 100 1000 10000] [--out FOLDER]

Cores with first weights read random numbers: an NTM of 128 slots with two read heads and two write heads, a DNC, and a
SAM of a million slots, of which those that were touched are shown; beside them a picture of 40 by 40 pixels in colour a
step, which is the same every fifth step, and the gradient of 32 outputs. Random numbers make larger pages than those of
trained runs, whose weights are sharper. Prints a table of Markdown.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lukasa import memory
from lukasa.benchmarks.browser import browser, opened
from lukasa.launch.options.parsing import parse
from lukasa.launch.views.core_tracks import core_view
from lukasa.launch.views.gradients import output_gradients
from lukasa.launch.views.page import write_page
from lukasa.launch.views.view import Film, View
from lukasa.launch.views.watching import watch

CORES: dict[str, tuple[str, dict[str, Any]]] = {
    "ntm, 128 slots": ("ntm", {"slots": 128, "word_size": 20, "read_heads": 2, "write_heads": 2}),
    "dnc, 128 slots": ("dnc", {"slots": 128, "word_size": 20, "read_heads": 2}),
    "sam, 1,048,576 slots": ("sam", {"slots": 2**20, "word_size": 20, "heads": 2}),
}
WIDTH = 8
"""Numbers of an input and of an output."""


@dataclass(frozen=True)
class Settings:
    """Measure pages of episodes.

    Attributes:
        steps: lengths of the episodes.
        loads: times that each page is loaded; the median is reported.
        out: keep the pages in this folder.
    """

    steps: tuple[int, ...] = (100, 1000, 10_000)
    loads: int = 3
    out: Path | None = None


@dataclass(frozen=True)
class Found:
    """One page: seconds to watch the core and to write, megabytes, and milliseconds to load and for a step."""

    core: str
    steps: int
    slots: int
    watched: float
    written: float
    size: float
    loaded: float
    stepped: float


def made_view(name: str, steps: int) -> tuple[View, float]:
    """An episode of a core, and the seconds it took to watch it and to find gradients."""
    kind, options = CORES[name]
    torch.manual_seed(0)
    core = memory.make_core(kind, input_size=WIDTH, output_size=WIDTH, **options).eval()
    inputs = torch.rand(steps, WIDTH)
    began = time.perf_counter()
    seen = core_view(watch(core, inputs))
    gradients, _ = output_gradients(core, inputs, lambda outputs: outputs.sum(-1), range(steps), 32, "the output")
    seconds = time.perf_counter() - began
    pictures = np.random.default_rng(0).integers(0, 255, (5, 40, 40, 3)).astype(np.uint8)
    view = View(
        name,
        steps,
        seen.tracks,
        films=[Film("seen", pictures[np.arange(steps) % 5])],
        words=seen.words,
        links=seen.links,
        gradients=gradients,
        notes=seen.notes,
    )
    return view, seconds


def measure(name: str, steps: int, folder: Path, driver: Any, loads: int) -> Found:
    """Write and load one page."""
    view, watched = made_view(name, steps)
    began = time.perf_counter()
    path = write_page(view, folder / f"{CORES[name][0]}-{steps}.html")
    written = time.perf_counter() - began
    loaded, stepped = [], []
    for _ in range(loads):
        began = time.perf_counter()
        opened(driver, path)
        loaded.append(1000 * (time.perf_counter() - began))
        stepped.append(driver.execute_async_script(STEPS, min(20, steps - 1)))
    size = path.stat().st_size / 1e6
    slots = 0 if view.words is None else len(view.words.slots)
    return Found(name, steps, slots, watched, written, size, statistics.median(loaded), statistics.median(stepped))


STEPS = """
const [count, done] = arguments;
const frame = () => new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
(async () => {
  const began = performance.now();
  for (let step = 1; step <= count; step++) { window.lukasaView.go(step); await frame(); }
  done((performance.now() - began) / count);
})();
"""
"""Milliseconds of a step, until it is painted."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line for every core and length."""
    settings = parse(Settings, list(sys.argv[1:] if argv is None else argv), prog="python -m lukasa.benchmarks.viewing")
    print("| core | steps | slots shown | watching s | writing s | MB | loading ms | a step ms |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as place, browser() as driver:
        folder = settings.out or Path(place)
        for name in CORES:
            for steps in settings.steps:
                one = measure(name, steps, folder, driver, settings.loads)
                cells = (f"{one.watched:.1f}", f"{one.written:.1f}", f"{one.size:.2f}", f"{one.loaded:.0f}")
                print(f"| {name} | {steps:,} | {one.slots:,} | {' | '.join(cells)} | {one.stepped:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
