"""``lukasa bench field``: what a step of every core costs, beside PyTorch's LSTM and GRU and packages of others.

All candidates take turns in one process, and time is processor time, which other programs disturb least. Packages are
measured where they can be imported: ``dnc``, ``mambapy``, ``mingru-pytorch`` and ``lru-pytorch``.

Legend: B batch, T time, D input width.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lukasa import memory
from lukasa.ground.mistakes import UserError
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse

WIDTH = 128
"""Inputs, outputs, and the numbers that a step hands on, of all that is measured."""
ACTED = 200
"""Steps one after another, of which the time of one is the mean."""

ROOM: dict[str, Any] = {"size": WIDTH, "layers": 1, "controller_size": WIDTH, "slots": 64, "word_size": 32}
"""Options that a core is given where it has them; all others are its defaults."""
OWN: dict[str, dict[str, Any]] = {
    "act": {"core": "lstm", "core_options": {"size": WIDTH}, "max_steps": 4},
    "sam": {"slots": 1024},
    "sdnc": {"slots": 1024},
    "snail": {"length": 64, "filters": 32, "key_size": 16, "value_size": 16},
}

Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Settings:
    """Measure every core beside PyTorch's own and packages of others.

    Attributes:
        cores: which cores; all by default.
        steps: steps of a sequence that is trained on.
        batch: sizes of a batch.
        repeats: rounds that are timed.
        threads: threads of torch.
        stepwise: also run each core step by step, to see what the whole sequence at once is worth.
        export: also try to export a step of each core.
        out: write the rows here as JSON.
        json: print the rows as JSON.
    """

    cores: tuple[str, ...] = ()
    steps: int = 64
    batch: tuple[int, ...] = (1, 16)
    repeats: int = 5
    threads: int = 1
    stepwise: Switch = False
    export: Switch = False
    out: Path | None = None
    json: Switch = False

    def __post_init__(self) -> None:
        check_least(self, steps=1, repeats=1, threads=1)
        if not self.batch or min(self.batch) < 1:
            raise UserError("option --batch has no size of at least 1")


@dataclass(frozen=True)
class Row:
    """One candidate.

    Attributes:
        name: the core, or the package.
        parameters: how many.
        state: bytes that a row carries from step to step; None of a package.
        acting: steps a second at batch 1 without gradient; None of a package that cannot go step by step.
        training: for each batch size the median, lowest and highest milliseconds of a sequence, forward and backward.
        against_lstm: for each batch size the median of PyTorch's LSTM's time over this one's, round by round.
        stepwise: for each batch size the median of the time step by step over that at once; empty where not measured.
        exported: whether ``torch.export`` takes a step; None where not tried.
        load: processes that wanted to run, of the last minute.
    """

    name: str
    parameters: int
    state: int | None
    acting: float | None
    training: dict[int, tuple[float, float, float]]
    against_lstm: dict[int, float]
    stepwise: dict[int, float]
    exported: bool | None
    load: float


def core_of(name: str) -> memory.Core:
    """A core of about the width of the others."""
    known = memory.core_options(name)
    options = {option: size for option, size in ROOM.items() if option in known} | OWN.get(name, {})
    return memory.make_core(name, input_size=WIDTH, output_size=WIDTH, **options)


class _Recurrent(nn.Module):
    """PyTorch's own, with the linear output that our cores have."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU]):
        super().__init__()
        self.layers, self.output = kind(WIDTH, WIDTH, batch_first=True), nn.Linear(WIDTH, WIDTH)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.output(self.layers(inputs)[0])


def _dnc() -> tuple[nn.Module, Run]:
    found = importlib.import_module("dnc").DNC(
        WIDTH, WIDTH, nr_cells=64, cell_size=32, read_heads=4, num_hidden_layers=1
    )
    return found, lambda inputs: found(inputs, (None, None, None), reset_experience=True)[0]


def _mamba() -> tuple[nn.Module, Run]:
    module = importlib.import_module("mambapy.mamba")
    found = module.Mamba(module.MambaConfig(d_model=WIDTH, n_layers=1))
    return found, found


def _mingru() -> tuple[nn.Module, Run]:
    found = importlib.import_module("minGRU_pytorch").minGRU(WIDTH)
    return found, found


def _lru() -> tuple[nn.Module, Run]:
    found = importlib.import_module("LRU_pytorch").LRU(WIDTH, WIDTH, WIDTH)
    return found, found


PACKAGES: dict[str, tuple[str, Callable[[], tuple[nn.Module, Run]]]] = {
    "dnc 64x32 (PyPI)": ("dnc", _dnc),
    "mambapy": ("mambapy", _mamba),
    "mingru-pytorch": ("minGRU_pytorch", _mingru),
    "lru-pytorch": ("LRU_pytorch", _lru),
}
"""What PyPI has, by the module whose presence says so."""


@dataclass
class Candidate:
    """Who takes turns."""

    name: str
    module: nn.Module
    run: Run
    core: memory.Core | None = None


def candidates(settings: Settings) -> Iterator[Candidate]:
    """PyTorch's own first."""
    yield from (Candidate(f"torch.nn.{kind.__name__}", made := _Recurrent(kind), made) for kind in (nn.LSTM, nn.GRU))
    for name in settings.cores or memory.CORES:
        core = core_of(name)
        yield Candidate(name, core, lambda inputs, core=core: memory.unroll(core, inputs)[0], core)
    for name, (module, make) in PACKAGES.items():
        if not settings.cores and importlib.util.find_spec(module) is not None:
            yield Candidate(name, *make())


def train(candidate: Candidate, inputs: Tensor) -> float:
    """Milliseconds of a sequence, forward and backward."""
    candidate.module.zero_grad()
    began = time.process_time()
    candidate.run(inputs).square().mean().backward()
    return (time.process_time() - began) * 1e3


def by_steps(candidate: Candidate, inputs: Tensor) -> float:
    """The same, step by step."""
    with memory.step_by_step():
        return train(candidate, inputs)


@torch.no_grad()
def act(core: memory.Core) -> float:
    """Steps a second at batch 1, the best of three runs."""
    inputs, best = torch.randn(1, 1, WIDTH), float("inf")
    for _ in range(3):
        state = core.initial_state(1)
        began = time.process_time()
        for _ in range(ACTED):
            _, state = memory.unroll(core, inputs, state)
        best = min(best, time.process_time() - began)
    return ACTED / best


def state_bytes(core: memory.Core) -> int:
    """Of a row after a sequence, so that a memory that grows has grown."""
    with torch.no_grad():
        _, state = memory.unroll(core, torch.randn(1, 64, WIDTH))
    return bytes_of(state)


def bytes_of(state: memory.State) -> int:
    """What the tensors of a state take."""
    return sum(part.numel() * part.element_size() for part in memory.state_to_dict(state).values())


def exports(core: memory.Core) -> bool:
    """Whether a step can be exported."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(None):
        warnings.simplefilter("ignore")
        try:
            torch.export.export(core.eval(), (torch.randn(2, WIDTH), core.initial_state(2)))
        except Exception:  # whatever keeps it from being exported
            return False
        finally:
            core.train()
    return True


def measure(settings: Settings) -> list[Row]:
    """Run the candidates in turn, so that a change of the machine's speed meets all of them."""
    torch.manual_seed(0)
    taking_part = list(candidates(settings))
    times: dict[tuple[str, int], list[float]] = {}
    slow: dict[tuple[str, int], list[float]] = {}
    for batch in settings.batch:
        inputs = torch.randn(batch, settings.steps, WIDTH)
        for repeat in range(settings.repeats + 1):
            for one in taking_part:
                taken = train(one, inputs)
                if not repeat:
                    continue  # compiles, and fills the allocator
                times.setdefault((one.name, batch), []).append(taken)
                if settings.stepwise and one.core is not None and repeat <= max(1, settings.repeats // 2):
                    slow.setdefault((one.name, batch), []).append(by_steps(one, inputs) / taken)
            print(f"batch {batch}: round {repeat} of {settings.repeats}", file=sys.stderr)
    return [_row(one, settings, times, slow) for one in taking_part]


def _row(one: Candidate, settings: Settings, times: dict[Any, list[float]], slow: dict[Any, list[float]]) -> Row:
    lstm = {batch: times["torch.nn.LSTM", batch] for batch in settings.batch}
    mine = {batch: times[one.name, batch] for batch in settings.batch}
    return Row(
        name=one.name,
        parameters=sum(parameter.numel() for parameter in one.module.parameters()),
        state=None if one.core is None else state_bytes(one.core),
        acting=None if one.core is None else act(one.core),
        training={batch: (statistics.median(taken), min(taken), max(taken)) for batch, taken in mine.items()},
        against_lstm={
            batch: statistics.median(theirs / ours for theirs, ours in zip(lstm[batch], taken, strict=True))
            for batch, taken in mine.items()
        },
        stepwise={
            batch: statistics.median(slow[one.name, batch]) for batch in settings.batch if (one.name, batch) in slow
        },
        exported=exports(one.core) if settings.export and one.core is not None else None,
        load=os.getloadavg()[0],
    )


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Of a table in Markdown."""
    sizes = list(rows[0].training)
    heads = [f"training, batch {size}: ms (low to high) | torch's LSTM over it" for size in sizes]
    extra = [f"step by step over at once, batch {size}" for size in sizes if any(size in row.stepwise for row in rows)]
    yield f"| core | parameters | state, bytes | acting, steps a second | {' | '.join([*heads, *extra])} | exports |"
    yield "|---|--:|--:|--:|" + "--:|--:|" * len(sizes) + "--:|" * len(extra) + "---|"
    for row in rows:
        cells = [
            f"{row.training[size][0]:.3g} ({row.training[size][1]:.3g} to {row.training[size][2]:.3g}) | "
            f"**{row.against_lstm[size]:.2g}**"
            for size in sizes
        ]
        cells += [f"{row.stepwise[size]:.3g}" if size in row.stepwise else "" for size in sizes][: len(extra)]
        known = [f"{row.parameters:,}", "" if row.state is None else f"{row.state:,}"]
        known.append("" if row.acting is None else f"{row.acting:,.0f}")
        exported = {None: "", True: "yes", False: "no"}[row.exported]
        yield f"| {row.name} | {' | '.join([*known, *cells])} | {exported} |"


def main(argv: Sequence[str]) -> int:
    """Print a table, or JSON; write JSON where asked.

    Raises:
        UnknownNameError: there is no core of that name.
    """
    settings = parse(Settings, argv, prog="lukasa bench field")
    for name in settings.cores:
        memory.core_class(name)
    torch.set_num_threads(settings.threads)
    print(
        f"sequences of {settings.steps} steps, width {WIDTH}; torch {torch.__version__}, {settings.threads} threads, "
        f"float32, {platform.processor() or platform.machine()}",
        file=sys.stderr,
    )
    rows = measure(settings)
    if settings.out is not None:
        settings.out.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    print(json.dumps([asdict(row) for row in rows]) if settings.json else "\n".join(lines(rows)))
    return 0
