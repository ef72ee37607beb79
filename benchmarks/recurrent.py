"""``lukasa bench recurrent``: the LSTM and GRU cores beside ``torch.nn``, with and without resets.

Legend: B batch, T time, H hidden units.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lukasa import memory
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse

INPUTS, OUTPUTS = 32, 16
SIZES = tuple((batch, steps, size) for batch in (1, 16, 64) for steps in (20, 100) for size in (64, 128, 256))
BETWEEN = (10, 50)
"""Steps between two resets of a row, on average."""


@dataclass(frozen=True)
class Settings:
    """Measure LSTM and GRU cores beside PyTorch's modules with a linear output.

    Attributes:
        threads: threads of torch.
        repeats: sequences that are timed.
        layers: numbers of layers.
        only: which cores.
        out: write the rows here as JSON.
        json: print the rows as JSON.
    """

    threads: int = 1
    repeats: int = 9
    layers: tuple[int, ...] = (1, 2)
    only: tuple[Literal["lstm", "gru"], ...] = ("lstm", "gru")
    out: Path | None = None
    json: Switch = False


@dataclass(frozen=True)
class Row:
    """One setting; what PyTorch takes in ms of processor time, the others as multiples of it."""

    core: str
    layers: int
    batch: int
    steps: int
    size: int
    gradients: bool
    torch_ms: float
    ours: float
    resets_10: float
    resets_50: float
    stepwise_10: float


def measure(name: str, layers: int, sizes: tuple[int, int, int], repeats: int) -> list[Row]:
    """One size with gradients and without; all take turns."""
    batch, steps, size = sizes
    torch.manual_seed(0)
    core: Any = memory.make_core(name, input_size=INPUTS, output_size=OUTPUTS, size=size, layers=layers)
    inputs = torch.randn(batch, steps, INPUTS)
    starts = [torch.rand(batch, steps) < 1 / between for between in BETWEEN]
    check(core, inputs, starts[0])

    def stepwise() -> Tensor:
        with memory.step_by_step():
            return memory.unroll(core, inputs, None, starts[0])[0]

    ways: dict[str, Callable[[], Tensor]] = {
        "torch_ms": lambda: core.output(core.controller.layers(inputs)[0]),
        "ours": lambda: memory.unroll(core, inputs)[0],
        "resets_10": lambda: memory.unroll(core, inputs, None, starts[0])[0],
        "resets_50": lambda: memory.unroll(core, inputs, None, starts[1])[0],
        "stepwise_10": stepwise,
    }
    return [Row(name, layers, *sizes, trains, **timed(core, ways, trains, repeats)) for trains in (True, False)]


def check(core: Any, inputs: Tensor, starts: Tensor) -> None:
    """Only what is right is timed."""
    torch.testing.assert_close(memory.unroll(core, inputs)[0], core.output(core.controller.layers(inputs)[0]))
    with memory.step_by_step():
        expected = memory.unroll(core, inputs, None, starts)[0]
    torch.testing.assert_close(memory.unroll(core, inputs, None, starts)[0], expected)


def timed(core: nn.Module, ways: dict[str, Callable[[], Tensor]], trains: bool, repeats: int) -> dict[str, float]:
    """PyTorch's median in ms, and of the others the median of the ratios to it in the same turn."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats + 2):
        for way, run in ways.items():
            core.zero_grad()
            before = time.process_time()
            with torch.set_grad_enabled(trains):
                outputs = run()
                if trains:
                    outputs.square().sum().backward()
            times[way].append(time.process_time() - before)
    own = times["torch_ms"][2:]
    ratios = {way: statistics.median(a / b for a, b in zip(times[way][2:], own, strict=True)) for way in ways}
    return {**ratios, "torch_ms": 1e3 * statistics.median(own)}


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [
        "| core | layers | batch | steps | size | | torch, ms | ours | resets every 10 | every 50 | step by step |",
        "|---|--:|--:|--:|--:|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        ratios = " | ".join(f"{ratio:.2f}" for ratio in (row.ours, row.resets_10, row.resets_50, row.stepwise_10))
        what = "forward + backward" if row.gradients else "forward"
        sizes = " | ".join(map(str, (row.core, row.layers, row.batch, row.steps, row.size, what)))
        lines.append(f"| {sizes} | {row.torch_ms:.2f} | {ratios} |")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    settings = parse(Settings, argv, prog="lukasa bench recurrent")
    check_least(settings, threads=1, repeats=1, layers=1)
    torch.set_num_threads(settings.threads)
    rows: list[Row] = []
    for name in settings.only:
        for layers in settings.layers:
            for sizes in SIZES:
                rows += measure(name, layers, sizes, settings.repeats)
                print(f"{name} {layers} {sizes}", file=sys.stderr)
    text = json.dumps([asdict(row) for row in rows], indent=1)
    if settings.out:
        settings.out.write_text(text + "\n")
    print(text if settings.json else table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
