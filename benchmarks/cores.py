"""``lukasa bench cores``: time of the dense cores beside plain references and a public package, in one process.

The public DNC is the package ``dnc`` (pip install --no-deps dnc==1.1.0), measured where it is installed.
"""

from __future__ import annotations

import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from lukasa import memory
from lukasa.benchmarks.plain import PlainDNC, PlainNTM
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse

INPUTS, HIDDEN, BATCH = 9, 100, 16
WORD = {"ntm": 20, "dnc": 32}
LENGTH = {"ntm": 40, "dnc": 20}
# The fastest public row at each size, ms a step on two threads, as published beside the settings in docs/speed.md.
PUBLISHED = {
    ("ntm", 128): 7.06,
    ("ntm", 1024): 15.3,
    ("ntm", 8192): 88.4,
    ("dnc", 64): 4.40,
    ("dnc", 256): 12.3,
    ("dnc", 1024): 302.0,
}
PUBLIC_PACKAGE = {64: 4.52, 256: 12.3, 1024: 302.0}
"""What the package ``dnc`` took in the same table: it fixes how fast that machine was beside this one."""


@dataclass(frozen=True)
class Settings:
    """Measure the dense cores beside plain references and a public package.

    Attributes:
        threads: threads of torch.
        repeats: sequences that are timed.
        compile: compile each core's step first (needs a C++ compiler); adds half a minute a setting.
        only: which cores.
        out: write the rows here as JSON.
        json: print the rows as JSON.
    """

    threads: int = 2
    repeats: int = 9
    compile: bool = False
    only: tuple[Literal["ntm", "dnc"], ...] = ("ntm", "dnc")
    out: Path | None = None
    json: Switch = False


@dataclass(frozen=True)
class Row:
    """One setting; times in ms a step, forward and backward."""

    core: str
    slots: int
    ours: float
    ours_low: float
    ours_high: float
    plain: float
    ratio_to_plain: float
    package: float | None
    ratio_to_package: float | None
    published: float
    ratio_to_published: float
    """The published time, scaled by how this machine runs the yardstick, over ours; see ``scaled``."""


def public_dnc(slots: int) -> Callable[[Tensor], Tensor] | None:
    """The package's DNC, None where it is not installed."""
    try:
        from dnc import DNC  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    core = DNC(INPUTS, HIDDEN, num_hidden_layers=1, nr_cells=slots, cell_size=WORD["dnc"], read_heads=4)
    return lambda inputs: core(inputs, (None, None, None), reset_experience=True)[0]


def ours(name: str, slots: int, compiled: bool) -> Callable[[Tensor], Tensor]:
    """Our core of that name, as a function of inputs [B, T, D]."""
    options = {"read_heads": 4} if name == "dnc" else {}
    core = memory.make_core(
        name,
        input_size=INPUTS,
        output_size=INPUTS,
        slots=slots,
        word_size=WORD[name],
        controller_size=HIDDEN,
        **options,
    )
    if compiled:
        core.compile(dynamic=False)
    return lambda inputs: memory.unroll(core, inputs)[0]


def plain(name: str, slots: int) -> Callable[[Tensor], Tensor]:
    """The plain reference of that name, as a function of inputs [B, T, D]."""
    if name == "ntm":
        return PlainNTM(INPUTS, INPUTS, slots, WORD[name], HIDDEN)
    return PlainDNC(INPUTS, INPUTS, slots, WORD[name], 4, HIDDEN)


def once(run: Callable[[Tensor], Tensor], inputs: Tensor) -> float:
    """Milliseconds a step, forward and backward."""
    start = time.perf_counter()
    run(inputs).square().mean().backward()
    return (time.perf_counter() - start) / inputs.shape[1] * 1e3


def measure(name: str, slots: int, settings: Settings) -> Row:
    """Run the candidates in turn, so that a change of the machine's speed meets all of them."""
    inputs = torch.randn(BATCH, LENGTH[name], INPUTS)
    candidates = {"ours": ours(name, slots, settings.compile), "plain": plain(name, slots)}
    package = public_dnc(slots) if name == "dnc" else None
    if package is not None:
        candidates["package"] = package
    times: dict[str, list[float]] = {label: [] for label in candidates}
    for repeat in range(settings.repeats + 2):
        for label, run in candidates.items():
            taken = once(run, inputs)
            if repeat >= 2:  # two warm-ups: the allocator settles
                times[label].append(taken)
    median = {label: statistics.median(taken) for label, taken in times.items()}

    def ratio(label: str) -> float:
        return statistics.median(other / own for other, own in zip(times[label], times["ours"], strict=True))

    published = PUBLISHED[name, slots]
    scaled = published / PUBLIC_PACKAGE[slots] * ratio("package") if package else published / median["ours"]
    return Row(
        core=name,
        slots=slots,
        ours=median["ours"],
        ours_low=min(times["ours"]),
        ours_high=max(times["ours"]),
        plain=median["plain"],
        ratio_to_plain=ratio("plain"),
        package=median.get("package"),
        ratio_to_package=ratio("package") if package else None,
        published=published,
        ratio_to_published=scaled,
    )


def main(argv: Sequence[str]) -> int:
    """Print a table, or JSON; write JSON where asked."""
    settings = parse(Settings, argv, prog="lukasa bench cores")
    torch.set_num_threads(settings.threads)
    table = sys.stderr if settings.json else sys.stdout
    print(
        f"torch {torch.__version__}, {settings.threads} threads, batch {BATCH}, float32, "
        f"{'compiled' if settings.compile else 'eager'}, {platform.processor() or platform.machine()}",
        file=table,
    )
    print("core  slots   ours ms/step (low-high)    plain  ratio   package  ratio   published  ratio", file=table)
    rows = []
    for name, slots in PUBLISHED:
        if name not in settings.only:
            continue
        row = measure(name, slots, settings)
        rows.append(asdict(row))
        package = f"{row.package:8.2f}  {row.ratio_to_package:5.2f}" if row.package else "       -      -"
        print(
            f"{name}  {slots:6d}  {row.ours:8.2f} ({row.ours_low:.2f}-{row.ours_high:.2f})  {row.plain:8.2f}  "
            f"{row.ratio_to_plain:5.2f}  {package}  {row.published:9.2f}  {row.ratio_to_published:5.2f}",
            file=table,
            flush=True,
        )
    if settings.out is not None:
        settings.out.write_text(json.dumps(rows, indent=1) + "\n")
    if settings.json:
        print(json.dumps(rows))
    return 0
