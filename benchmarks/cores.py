"""``lukasa bench cores``: time of the dense cores in native code, beside their equations and public implementations.

All candidates take turns in one process.

Legend: B batch, T time, D input width, N slots, W word size.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from lukasa import memory
from lukasa.benchmarks.extra_memory import peak_of_tensors
from lukasa.benchmarks.plain import PlainDNC, PlainNTM
from lukasa.benchmarks.public_cores import Run, public
from lukasa.ground.mistakes import UserError
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse

HIDDEN = 100
WARM_UPS = 1


class Size(NamedTuple):
    """What is run."""

    core: str
    slots: int
    batch: int
    steps: int  # T
    word: int
    heads: int  # that read
    inputs: int
    hidden: int = HIDDEN


SIZES = (
    *(Size("ntm", slots, batch, 40, 20, 1, 9) for slots, batch in ((128, 1), (128, 16), (1024, 16), (8192, 16))),
    *(Size("dnc", slots, batch, 20, 32, 4, 9) for slots, batch in ((64, 1), (64, 16), (256, 16), (1024, 16))),
    Size("mann", 128, 16, 50, 40, 4, 405, 200),  # of the recipe omniglot_mann
)


@dataclass(frozen=True)
class Settings:
    """Measure the dense cores beside their equations and public implementations.

    Attributes:
        threads: threads of torch.
        repeats: sequences of each that are timed.
        only: which cores.
        public: a folder with checkouts of public implementations.
        forward: forward alone, without gradients.
        compile: compile the step of the equations first (needs a C++ compiler); adds half a minute a setting.
        out: write the rows here as JSON.
        json: print the rows as JSON.
    """

    threads: int = 1
    repeats: int = 9
    only: tuple[Literal["ntm", "dnc", "mann"], ...] = ("ntm", "dnc", "mann")
    public: Path | None = None
    forward: Switch = False
    compile: Switch = False
    out: Path | None = None
    json: Switch = False


@dataclass(frozen=True)
class Row:
    """One size; times in ms a step, forward and backward unless forward alone was asked for.

    Attributes:
        core: its name.
        slots: N.
        batch: B.
        ours: median.
        low: lowest.
        high: highest.
        others: medians of the others.
        ratios: medians of theirs over ours, round by round.
        bound: what the multiplications alone take at the rate of a matrix product of the controller's size.
        load: processes that wanted to run, of the last minute.
        memory: MiB in tensors at the peak of a sequence of ours.
    """

    core: str
    slots: int
    batch: int
    ours: float
    low: float
    high: float
    others: dict[str, float]
    ratios: dict[str, float]
    bound: float
    load: float
    memory: float


def make(size: Size) -> memory.Core:
    """Our core of that size."""
    options: dict[str, Any] = {"slots": size.slots, "word_size": size.word, "controller_size": size.hidden}
    outputs = size.inputs if size.core != "mann" else 5
    return memory.make_core(size.core, input_size=size.inputs, output_size=outputs, read_heads=size.heads, **options)


def plain(size: Size) -> Run | None:
    """The plain reference, as public implementations write it, in this process whatever is installed."""
    if size.core == "ntm":
        return PlainNTM(size.inputs, size.inputs, size.slots, size.word, size.hidden)
    if size.core == "dnc":
        return PlainDNC(size.inputs, size.inputs, size.slots, size.word, size.heads, size.hidden)
    return None


def candidates(size: Size, settings: Settings) -> dict[str, Run]:
    """What takes turns."""
    core = make(size)
    other = make(size)
    if settings.compile:
        other.compile(dynamic=False)

    def equations(inputs: Tensor) -> Tensor:
        with memory.step_by_step():
            return memory.unroll(other, inputs)[0]

    found: dict[str, Run] = {"ours": lambda inputs: memory.unroll(core, inputs)[0], "equations": equations}
    reference = plain(size)
    if reference is not None:
        found["plain"] = reference
    if settings.public is not None:
        found |= public(settings.public, size.core, size.slots, size.word, size.heads, size.inputs, size.hidden)
    return found


def once(run: Run, inputs: Tensor, forward: bool) -> float:
    """Milliseconds a step."""
    with torch.no_grad() if forward else nullcontext():
        began = time.perf_counter()
        outputs = run(inputs)
        if not forward:
            outputs.square().mean().backward()
        return (time.perf_counter() - began) / inputs.shape[1] * 1e3


def multiplications(size: Size) -> int:
    """Of a row and step, forward: weights, content of every head, reads, writes; and the links of a DNC."""
    weights = sum(parameter.numel() for parameter in make(size).parameters() if parameter.dim() == 2)
    writers = {"ntm": 1, "dnc": 1, "mann": size.heads}[size.core]
    pointing = {"ntm": 2, "dnc": size.heads + 1, "mann": size.heads}[size.core]
    words = size.slots * size.word * (pointing + size.heads + 2 * writers)
    links = size.slots**2 * (2 + 2 * size.heads) if size.core == "dnc" else 0
    return weights + words + links


def bound(size: Size, forward: bool) -> float:
    """Milliseconds a step: the multiplications at the rate of the controller's product, three times for gradients."""
    left, right = torch.randn(size.batch, 2 * size.hidden), torch.randn(2 * size.hidden, 4 * size.hidden)
    rounds, best = 200, float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(rounds):
            torch.mm(left, right)
        best = min(best, (time.perf_counter() - began) / rounds)
    rate = left.numel() * right.shape[1] / best
    return multiplications(size) * size.batch * (1 if forward else 3) / rate * 1e3


def measure(size: Size, settings: Settings) -> Row:
    """Run the candidates in turn, so that a change of the machine's speed meets all of them."""
    torch.manual_seed(0)
    inputs = torch.randn(size.batch, size.steps, size.inputs)
    runs = candidates(size, settings)
    times: dict[str, list[float]] = {label: [] for label in runs}
    for repeat in range(settings.repeats + WARM_UPS):
        for label, run in runs.items():
            once(run, inputs, settings.forward)  # what ran before has filled the caches with its own
            taken = once(run, inputs, settings.forward)
            if repeat >= WARM_UPS:  # the allocator settles
                times[label].append(taken)
    own = times.pop("ours")
    return Row(
        core=size.core,
        slots=size.slots,
        batch=size.batch,
        ours=statistics.median(own),
        low=min(own),
        high=max(own),
        others={label: statistics.median(taken) for label, taken in times.items()},
        ratios={
            label: statistics.median(other / ours for other, ours in zip(taken, own, strict=True))
            for label, taken in times.items()
        },
        bound=bound(size, settings.forward),
        load=os.getloadavg()[0],
        memory=peak_of_tensors(lambda: once(runs["ours"], inputs, settings.forward)) / 2**20,
    )


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Of a table in Markdown."""
    labels = list(dict.fromkeys(label for row in rows for label in row.others))
    heads = [f"{label} | ratio" for label in labels]
    yield f"| core | slots | batch | ours (low to high) | bound | {' | '.join(heads)} | load | MiB |"
    yield "|---|--:|--:|--:|--:|" + "--:|--:|" * len(labels) + "--:|--:|"
    for row in rows:
        cells = [
            f"{row.others[label]:.3g} | **{row.ratios[label]:.3g}**" if label in row.others else " | "
            for label in labels
        ]
        ours = f"{row.ours:.3g} ({row.low:.3g} to {row.high:.3g})"
        sizes = f"{row.core} | {row.slots:,} | {row.batch}"
        yield f"| {sizes} | {ours} | {row.bound:.2g} | {' | '.join(cells)} | {row.load:.1f} | {row.memory:.3g} |"


def main(argv: Sequence[str]) -> int:
    """Print a table, or JSON; write JSON where asked.

    Raises:
        UserError: the folder of public implementations is not there.
    """
    settings = parse(Settings, argv, prog="lukasa bench cores")
    if settings.public is not None and not settings.public.is_dir():
        raise UserError(
            f"there is no folder {settings.public}: give one that holds checkouts of public implementations"
        )
    torch.set_num_threads(settings.threads)
    what = "forward alone" if settings.forward else "forward and backward"
    print(
        f"ms a step, {what}; torch {torch.__version__}, {settings.threads} threads, float32, "
        f"{platform.processor() or platform.machine()}",
        file=sys.stderr,
    )
    rows = []
    for size in SIZES:
        if size.core in settings.only:
            rows.append(measure(size, settings))
            print(f"{size.core} {size.slots:,} at batch {size.batch}: {rows[-1].ours:.3g} ms", file=sys.stderr)
    if settings.out is not None:
        settings.out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(json.dumps([asdict(row) for row in rows]) if settings.json else "\n".join(lines(rows)))
    return 0
