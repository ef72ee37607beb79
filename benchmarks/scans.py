"""``lukasa bench scans``: cores that run a whole sequence at once, beside their own single steps and PyTorch's LSTM.

Legend: B batch, T time, H hidden units.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from lukasa import memory
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse

Subject = Literal["mingru", "lru", "ffm", "lmu", "lmu_parallel", "shm", "gated_deltanet", "mlstm"]
OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "mingru": ("mingru", {}),
    "lru": ("lru", {}),
    "ffm": ("ffm", {}),
    "lmu": ("lmu", {}),
    "lmu_parallel": ("lmu", {"parallel": True}),
    **{name: (name, {}) for name in ("shm", "gated_deltanet", "mlstm")},
}
"""What is measured by its name: a core, and options beside ``size`` and ``layers``."""


@dataclass(frozen=True)
class Settings:
    """Measure a training step of cores that run a whole sequence at once: forward, loss and backward.

    Attributes:
        only: which cores; lmu_parallel is an lmu with parallel.
        layers: numbers of layers, of the cores and of the LSTM.
        batch: rows.
        steps: steps of the sequence.
        size: width of the inputs, the layers and the outputs.
        repeats: turns that are timed.
        threads: threads of torch.
        out: write the rows here as JSON.
        json: print the rows as JSON.
    """

    only: tuple[Subject, ...] = get_args(Subject)
    layers: tuple[int, ...] = (1, 2)
    batch: int = 16
    steps: int = 1024
    size: int = 128
    repeats: int = 7
    threads: int = 1
    out: Path | None = None
    json: Switch = False


@dataclass(frozen=True)
class Row:
    """One core: milliseconds of processor time with the least and the most, and how many times as long others take.

    Attributes:
        core: its name here.
        layers: of it and of the LSTM.
        ms: median.
        least: of all turns.
        most: of all turns.
        lstm: the LSTM's time over this one's, the median of turns.
        stepwise: the time of its own single steps over this one's, likewise.
    """

    core: str
    layers: int
    ms: float
    least: float
    most: float
    lstm: float
    stepwise: float


def measure(subject: str, layers: int, settings: Settings) -> Row:
    """All three take turns."""
    torch.manual_seed(0)
    size, (name, options) = settings.size, OPTIONS[subject]
    core = memory.make_core(name, input_size=size, output_size=size, size=size, layers=layers, **options)
    library = nn.LSTM(size, size, layers, batch_first=True)
    output = nn.Linear(size, size)
    inputs = torch.randn(settings.batch, settings.steps, size)
    check(core, inputs)

    def stepwise() -> Tensor:
        with memory.step_by_step():
            return memory.unroll(core, inputs)[0]

    ways: dict[str, Callable[[], Tensor]] = {
        "own": lambda: memory.unroll(core, inputs)[0],
        "lstm": lambda: output(library(inputs)[0]),
        "stepwise": stepwise,
    }
    times = timed(nn.ModuleList([core, library, output]), ways, settings.repeats)
    own = times["own"]
    ratios = [statistics.median(a / b for a, b in zip(times[way], own, strict=True)) for way in ("lstm", "stepwise")]
    return Row(subject, layers, *(1e3 * one for one in (statistics.median(own), min(own), max(own))), *ratios)


def check(core: memory.Core, inputs: Tensor) -> None:
    """Only what is right is timed; single steps of float32 add up in another order."""
    with memory.step_by_step():
        expected = memory.unroll(core, inputs[:, :64])[0]
    torch.testing.assert_close(memory.unroll(core, inputs[:, :64])[0], expected, rtol=1e-3, atol=1e-4)


def timed(parts: nn.Module, ways: dict[str, Callable[[], Tensor]], repeats: int) -> dict[str, list[float]]:
    """Seconds of processor time of every turn but the first."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats + 1):
        for way, run in ways.items():
            parts.zero_grad()
            before = time.process_time()
            run().square().sum().backward()
            times[way].append(time.process_time() - before)
    return {way: found[1:] for way, found in times.items()}


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [
        "| core | layers | ms of processor time (least to most) | LSTM takes times as long | its own single steps |",
        "|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        spread = f"{row.ms:.0f} ({row.least:.0f} to {row.most:.0f})"
        lines.append(f"| {row.core} | {row.layers} | {spread} | {row.lstm:.1f} | {row.stepwise:.1f} |")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    settings = parse(Settings, argv, prog="lukasa bench scans")
    check_least(settings, batch=1, steps=1, size=1, repeats=1, threads=1, layers=1)
    torch.set_num_threads(settings.threads)
    rows: list[Row] = []
    for subject in settings.only:
        for layers in settings.layers:
            rows.append(measure(subject, layers, settings))
            load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
            print(f"{subject} {layers} {load}", file=sys.stderr)
    text = json.dumps([asdict(row) for row in rows], indent=1)
    if settings.out:
        settings.out.write_text(text + "\n")
    print(text if settings.json else table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
