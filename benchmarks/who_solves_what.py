"""Which core solves which stack language, binary addition and MQAR of which size, with one budget for every cell.

    python -m lukasa.benchmarks.who_solves_what [--cores lstm ntm] [--seeds 0 1] [--seconds 40] [--out FILE.jsonl]

Each cell of the table is one core on one subject: it is trained until its sequences or its seconds of CPU are used
up, then scored on the validation split and at twice the trained length; where it has a memory beside its controller,
also with that memory wiped before every step. A cell is a line of JSON in ``--out``, written when it is done: what was
killed and is started again goes on with the cells that are missing. The table stands beside it, and a picture of what
each core gets right against the bytes of its state.

A core may be given options: ``workbench+writing=append+addressing=top_k`` takes part beside ``workbench``.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR

from lukasa import memory
from lukasa.agents.learning import make_optimizer
from lukasa.agents.sequence import evaluate, sequence_trainer
from lukasa.benchmarks.every_core import bytes_of
from lukasa.benchmarks.solved_cells import EVALUATED, Cell, draw, table
from lukasa.ground.names import UnknownNameError
from lukasa.launch.kinds.supervised.settings import make_sampler, split_sequences
from lukasa.launch.options.parsing import parse
from lukasa.memory.controlled import Controlled
from lukasa.tasks import Spec
from lukasa.tasks.stack_languages import COUNTS

MEMORY = {"slots": 32, "word_size": 16, "controller_size": 64}


@dataclass(frozen=True)
class Contestant:
    """How a core takes part: the options it differs in from its defaults, and its learning rate."""

    options: dict[str, Any] = field(default_factory=dict)
    lr: float = 1e-3


CONTESTANTS = {
    "lstm": Contestant(lr=3e-3),
    "gru": Contestant(lr=3e-3),
    "ntm": Contestant(MEMORY | {"initial_weights": "first"}, lr=3e-3),
    "dnc": Contestant(MEMORY | {"read_heads": 2}, lr=3e-3),
    "workbench": Contestant(MEMORY, lr=1e-2),  # at 1e-3 it has not begun to use its memory after a minute
}
"""Any other core of ``memory.CORES`` takes part with the sizes of ``MEMORY`` that it has, and its own defaults."""


def contestant(name: str) -> Contestant:
    """How a core takes part, with the options that its name ends in.

    Raises:
        UnknownNameError: there is no such core or option.
        ValueError: an option has a value that it cannot have.
    """
    core, *given = name.split("+")
    known = memory.core_options(core)
    sizes = {option: size for option, size in MEMORY.items() if option in known}
    usual = CONTESTANTS.get(core) or Contestant(sizes)
    options = {key: _typed(value) for key, _, value in (one.partition("=") for one in given)}
    memory.check_core_options(core, options)
    return Contestant(usual.options | options, usual.lr)


def _typed(word: str) -> Any:
    """A number, true, false or null as JSON has them; else the word itself."""
    try:
        return json.loads(word)
    except json.JSONDecodeError:
        return word


@dataclass(frozen=True)
class Subject:
    """A task at the size that it is trained at, and what makes it twice as long."""

    task: str
    trained: dict[str, Any]
    doubled: dict[str, Any]


def _ranged(task: str, name: str, longest: int) -> Subject:
    ends = {f"min_{name}": 1, f"max_{name}": longest}
    return Subject(task, ends, dict.fromkeys(ends, 2 * longest))


def _mqar(pairs: int) -> Subject:
    # The fewest tokens that leave keys for twice the pairs.
    sizes = ({"pairs": count, "length": 6 * count, "vocabulary": 4 * pairs + 2} for count in (pairs, 2 * pairs))
    return Subject("mqar", *sizes)


SUBJECTS = {
    **{f"stack_{name}": _ranged(f"stack_{name}", "n", 10) for name in COUNTS},
    "binary_addition": _ranged("binary_addition", "digits", 5),
    "copy": _ranged("copy", "length", 10),
    "associative_recall": Subject(
        "associative_recall", {"min_items": 2, "max_items": 6}, {"min_items": 12, "max_items": 12}
    ),
    "changing_pairs": Subject(
        "changing_pairs",
        {"keys": 4, "min_pairs": 16, "max_pairs": 16},
        {"keys": 4, "min_pairs": 36, "max_pairs": 36},
    ),
    "nth_farthest": Subject("nth_farthest", {"vectors": 4, "numbers": 4}, {"vectors": 4, "numbers": 4, "pause": 4}),
    **{f"mqar_{pairs}": _mqar(pairs) for pairs in (4, 8, 16)},
}


USUAL = tuple(name for name in SUBJECTS if name.startswith(("stack_", "binary_", "mqar_")))
"""What is measured if nothing else is asked for."""


@dataclass(frozen=True)
class Settings:
    """What to measure; a cell ends with its sequences or its seconds of CPU, whichever are used up first.

    Attributes:
        cores: contestants to measure.
        subjects: tasks to measure them on.
        seeds: seeds of each cell.
        sequences: most sequences of a cell.
        seconds: most seconds of CPU of a cell.
        batch_size: sequences of one gradient step.
        threads: threads of this process.
        out: file that the cells are written to, with a table beside it.
    """

    cores: tuple[str, ...] = tuple(CONTESTANTS)
    subjects: tuple[str, ...] = USUAL
    seeds: tuple[int, ...] = (0,)
    sequences: int = 100_000
    seconds: float = 40.0
    batch_size: int = 32
    threads: int = 1
    out: Path = Path("runs/who_solves_what.jsonl")

    @property
    def budget(self) -> dict[str, float]:
        """What has to be the same in all cells of a table."""
        return {"sequences": self.sequences, "seconds": self.seconds, "batch_size": self.batch_size}


def measure(subject: str, name: str, seed: int, settings: Settings) -> Cell:
    """Train one core on one subject and score it."""
    taking_part, on = contestant(name), SUBJECTS[subject]
    sampler = make_sampler(on.task, "train", on.trained)
    spec = sampler.spec
    torch.manual_seed(seed)
    sizes = {"input_size": spec.input_size, "output_size": spec.output_size}
    core = memory.make_core(name.partition("+")[0], **sizes, **taking_part.options)
    trained = [parameter for parameter in core.parameters() if parameter.requires_grad]
    optimizer = make_optimizer("adam", trained, taking_part.lr)
    started = time.process_time()  # not the clock's: others may use the machine too
    trainer = sequence_trainer(
        core,
        sampler,
        optimizer,
        torch.Generator().manual_seed(1_000_000 + seed),  # no seed of a split
        batch_size=settings.batch_size,
        clip_norm=10.0,
    )

    def used() -> float:
        shares = trainer.done / settings.sequences, (time.process_time() - started) / settings.seconds
        return min(1.0, max(shares))

    # The rate falls to 0 along a cosine as the budget is used up, whichever of its two parts that is.
    trainer.schedule = LambdaLR(optimizer, lambda _: (1 + math.cos(math.pi * used())) / 2)
    loss = math.nan
    while used() < 1:
        loss = trainer.step().loss
    seconds = time.process_time() - started
    has_one = isinstance(core, Controlled) or "controller" in memory.state_parts(core)
    wiped = memory.without(core, "memory") if has_one else None
    return Cell(
        subject=subject,
        core=name,
        seed=seed,
        validation=score(core, on.task, on.trained),
        doubled=score(core, on.task, on.doubled),
        chance=percent_of_chance(spec),
        sequences=trainer.done,
        seconds=round(seconds, 1),
        loss=loss,
        options=taking_part.options,
        lr=taking_part.lr,
        budget=settings.budget,
        wiped=None if wiped is None else score(wiped, on.task, on.trained),
        state=state_bytes(core, on.task, on.trained),
    )


def percent_of_chance(spec: Spec) -> float:
    """Percent right of one who guesses."""
    return {"bits per sequence": 50.0, "error %": 100 - spec.chance}.get(spec.unit, spec.chance)


def score(core: memory.Core, task: str, sizes: dict[str, Any]) -> float:
    """Percent right on sequences of the validation split; where answers feed back, the core sees its own."""
    sampler = make_sampler(task, "validation", sizes)
    return 100 - evaluate(core, sampler.spec, split_sequences(task, sampler, "validation", EVALUATED)).wrong


@torch.no_grad()
def state_bytes(core: memory.Core, task: str, sizes: dict[str, Any]) -> int:
    """Of one row after a sequence, so that a memory that grows has grown."""
    batch = make_sampler(task, "validation", sizes).sample(1, torch.Generator().manual_seed(0))
    _, state = memory.unroll(core, batch.inputs)
    return bytes_of(state)


def read_cells(settings: Settings) -> list[Cell]:
    """The cells that are in the file; a last line that a kill cut short is taken out of it.

    Raises:
        SystemExit: they were measured with another budget.
    """
    if not settings.out.exists():
        return []
    whole, _, cut = settings.out.read_text().rpartition("\n")
    cells = [Cell(**json.loads(line)) for line in whole.splitlines()]
    if cut:
        settings.out.write_text(f"{whole}\n" if whole else "")
    for cell in cells:
        if cell.budget != settings.budget:
            raise SystemExit(
                f"{settings.out} was measured with {cell.budget}, not {settings.budget}: choose another --out"
            )
    return cells


def missing(settings: Settings, cells: list[Cell]) -> Iterator[tuple[str, str, int]]:
    """Subject, core and seed of the cells that are not in the file yet; the first seed of all comes first."""
    done = {(cell.subject, cell.core, cell.seed) for cell in cells}
    for seed in settings.seeds:
        for subject in settings.subjects:
            for name in settings.cores:
                if (subject, name, seed) not in done:
                    yield subject, name, seed


def check(settings: Settings) -> None:
    """Refuse names that there are not.

    Raises:
        SystemExit: the message lists those that there are.
    """
    for name in settings.subjects:
        if name not in SUBJECTS:
            raise SystemExit(f"unknown subject {name!r}: choose among {', '.join(SUBJECTS)}")
    for name in settings.cores:
        try:
            contestant(name)
        except (UnknownNameError, ValueError) as error:
            raise SystemExit(str(error)) from None


def main(settings: Settings) -> None:
    """Measure the cells that are missing, then write the table beside the file of cells and print it."""
    check(settings)
    torch.set_num_threads(settings.threads)
    cells = read_cells(settings)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    with open(settings.out, "a") as file:
        for subject, name, seed in missing(settings, cells):
            cell = measure(subject, name, seed, settings)
            cells.append(cell)
            file.write(json.dumps(asdict(cell)) + "\n")
            file.flush()
            print(
                f"{subject}  {name}  seed {seed}: {cell.validation:.1f} %, {cell.doubled:.1f} % at twice the length, "
                f"{cell.sequences:,} sequences in {cell.seconds:.0f} s",
                flush=True,
            )
    if not cells:
        raise SystemExit("there is no cell to measure: give at least one core, subject and seed")
    settings.out.with_suffix(".md").write_text(table(cells))
    if all(cell.state for cell in cells):
        draw(cells, settings.out.with_suffix(".png"))
    print(table(cells), end="")


if __name__ == "__main__":
    main(parse(Settings, sys.argv[1:], prog="python -m lukasa.benchmarks.who_solves_what"))
