"""``lukasa bench acting``: one step without gradient, as a runner takes it: weights packed once, at each step, and not.

Legend: B batch.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from lukasa import memory
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse

CORES: dict[str, dict[str, Any]] = {
    "ntm 48x16": {
        **{"name": "ntm", "slots": 48, "word_size": 16, "controller": "feedforward", "controller_size": 64},
        "initial_motion": "tape",
    },
    "dnc 16x16": {"name": "dnc", "slots": 16, "word_size": 16, "read_heads": 1, "controller_size": 64},
    "mann 48x16": {"name": "mann", "slots": 48, "word_size": 16, "controller_size": 64},
}
"""The first two as in the recipes repeat_previous_medium_ntm and repeat_previous_dnc."""
WIDTH = 64
STEPS = 100
"""Timed together."""


@dataclass(frozen=True)
class Settings:
    """Measure a step without gradient.

    Attributes:
        batches: rows.
        repeats: turns of 100 steps.
        out: write the rows here as JSON.
        json: print the rows as JSON.
    """

    batches: tuple[int, ...] = (1, 8, 32)
    repeats: int = 15
    out: Path | None = None
    json: Switch = False


@dataclass(frozen=True)
class Row:
    """One core and batch; microseconds of processor time a step."""

    core: str
    batch: int
    kept: float
    packed_anew: float
    equations: float
    anew_to_kept: float
    """The median of the ratios of single turns."""


@torch.no_grad()
def measure(name: str, batch: int, repeats: int) -> Row:
    """All three take turns."""
    from lukasa.memory.kernels.sequence import choice, running

    torch.manual_seed(0)
    core: Any = memory.make_core(input_size=WIDTH, output_size=WIDTH, **CORES[name])
    inputs = torch.randn(batch, 1, WIDTH)
    state = memory.unroll(core, inputs)[1]

    def anew() -> Any:
        assert choice.obstacle(core, inputs, state) is None
        return running.run_core(core, inputs, state, None)

    def equations() -> Any:
        with memory.step_by_step():
            return memory.unroll(core, inputs, state)

    ways: dict[str, Callable[[], Any]] = {
        "kept": lambda: memory.unroll(core, inputs, state),
        "packed_anew": anew,
        "equations": equations,
    }
    assert torch.equal(ways["kept"]()[0], anew()[0])
    torch.testing.assert_close(ways["kept"]()[0], equations()[0])
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, run in ways.items():
            run()
            before = time.process_time()
            for _ in range(STEPS):
                run()
            times[way].append(1e6 * (time.process_time() - before) / STEPS)
    ratio = statistics.median(a / b for a, b in zip(times["packed_anew"], times["kept"], strict=True))
    return Row(name, batch, **{way: statistics.median(those) for way, those in times.items()}, anew_to_kept=ratio)


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    settings = parse(Settings, argv, prog="lukasa bench acting")
    check_least(settings, batches=1, repeats=1)
    torch.set_num_threads(1)
    rows = [measure(name, batch, settings.repeats) for name in CORES for batch in settings.batches]
    text = json.dumps([asdict(row) for row in rows], indent=1)
    if settings.out:
        settings.out.write_text(text + "\n")
    if settings.json:
        print(text)
        return 0
    print("| core | batch | kept, µs a step | packed at each step | equations | packed at each step / kept |")
    print("|---|--:|--:|--:|--:|--:|")
    for row in rows:
        times = " | ".join(f"{each:.0f}" for each in (row.kept, row.packed_anew, row.equations))
        print(f"| {row.core} | {row.batch} | {times} | {row.anew_to_kept:.1f} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
