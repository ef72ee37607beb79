"""``lukasa bench gpu``: the tests that need a GPU, and what a GPU gives beside the CPU, within a few minutes.

``python -m lukasa.benchmarks.gpu`` is the same, where only PyTorch, NumPy and pytest are installed. Measurements that
no time is left for are left out, and listed.
"""

from __future__ import annotations

import json
import platform
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lukasa import memory, tasks
from lukasa.agents.learning import make_optimizer
from lukasa.agents.sequence import sequence_trainer
from lukasa.ground.files import write_text
from lukasa.ground.mistakes import UserError
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse
from lukasa.memory.sparse import SparseMemory

ROOT = Path(__file__).parents[1]
TESTS_SHARE = 0.5  # of the minutes, at most
CORES: dict[str, dict[str, Any]] = {
    "ntm": {"slots": 128, "word_size": 20},
    "dnc": {"slots": 64, "word_size": 16, "read_heads": 4},
    "mann": {"slots": 128, "word_size": 40},
    "dam": {"slots": 128, "word_size": 32},
    "sam": {"slots": 4096, "word_size": 32, "index": "exact"},
    "sdnc": {"slots": 1024, "word_size": 32, "index": "exact"},
    "snail": {"length": 16},
    "lstm": {"size": 128},
    "gru": {"size": 128},
}
INPUTS, WORD, HEADS, READS = 10, 32, 4, 4
TIMED = 3


@dataclass(frozen=True)
class Settings:
    """Run the tests that need a GPU, and measure what it gives beside the CPU.

    Attributes:
        device: cuda; or cpu for a small version of everything, which shows that the program works.
        minutes: what is not begun within so many minutes is left out.
        out: folder for gpu_DEVICE_MONTH.md and .json.
        no_tests: measure alone.
        json: print the figures as JSON.
    """

    device: Literal["cuda", "cpu"] = "cuda"
    minutes: float = 8.0
    out: Path = Path("results")
    no_tests: Switch = False
    json: Switch = False


class Wanted(NamedTuple):
    """One figure to be measured."""

    section: str
    what: str
    unit: str
    measure: Callable[[], float]


def synchronize(device: str) -> None:
    """Wait until the device has done what it was asked."""
    if device == "cuda":
        torch.cuda.synchronize()


def median_ms(work: Callable[[], Any], device: str, per: int) -> float:
    """Median milliseconds of some rounds after one to warm up, divided by ``per``."""
    times = []
    for _ in range(TIMED + 1):
        synchronize(device)
        began = time.perf_counter()
        work()
        synchronize(device)
        times.append((time.perf_counter() - began) * 1e3 / per)
    return statistics.median(times[1:])


def core_step(name: str, batch: int, device: str, steps: int) -> float:
    """Milliseconds of a step of a core, forward and backward."""
    torch.manual_seed(0)
    core = memory.make_core(name, input_size=INPUTS, output_size=8, **CORES[name]).to(device)
    inputs = torch.randn(batch, steps, INPUTS, device=device)
    return median_ms(lambda: memory.unroll(core, inputs)[0].square().mean().backward(), device, steps)


def sparse_step(index: str, slots: int, device: str) -> float:
    """Milliseconds of a write, a search, a read and marking them accessed, in a memory that is almost full."""
    generator = torch.Generator().manual_seed(0)
    used = slots - 1024
    rows = torch.randn(1, used, WORD, generator=generator).to(device)
    held = SparseMemory.empty(1, slots, WORD, device=torch.device(device), index=index)
    order = torch.arange(used, device=device)[None]
    held = held.from_tensors({"rows": rows, "used": torch.tensor([used], device=device), "order": order})
    words = torch.randn(1, HEADS, WORD, generator=generator).to(device)
    keep = torch.zeros(1, HEADS, dtype=torch.bool, device=device)

    def step() -> Tensor:
        nonlocal held
        fresh = held.least_recent(HEADS)
        held = held.write(fresh, keep, words)
        found = held.search(words, READS).flatten(1)
        both = torch.cat([fresh, found], 1)
        held = held.access(both, torch.ones(both.shape, device=device))
        return held.read(found)[0]

    return median_ms(lambda: [step() for _ in range(10)], device, 10)


def copy_training(name: str, batch: int, device: str, precision: Any, batches: int) -> float:
    """Sequences of the copy task learned from in a second."""
    sampler = tasks.make_task("copy", max_length=20)
    sizes = {"input_size": sampler.spec.input_size, "output_size": sampler.spec.output_size}
    core = memory.make_core(name, **sizes, **CORES[name]).to(device)
    optimizer, generator = make_optimizer("adam", core.parameters(), 1e-3), torch.Generator().manual_seed(0)
    trainer = sequence_trainer(core, sampler, optimizer, generator, batch_size=batch, precision=precision)
    trainer.step()
    synchronize(device)
    began = time.perf_counter()
    for _ in range(batches):
        trainer.step()
    synchronize(device)
    return batches * batch / (time.perf_counter() - began)


def wanted(device: str) -> Iterator[Wanted]:
    """All figures, those of the GPU before those of the CPU; few and small ones where there is the CPU alone."""
    small = device == "cpu"
    steps, batches = (3, 1) if small else (20, 4)
    for at in ("cpu",) if small else ("cuda", "cpu"):
        for batch in (2,) if small else (16, 256):
            for name in CORES:
                measure = _bound(core_step, name, batch, at, steps)
                yield Wanted("A step of a core, forward and backward", f"{name}, batch {batch}, {at}", "ms", measure)
        for power in () if at != device else (11, 12) if small else range(16, 25, 2):
            for index in ("exact", "lsh", "faiss"):
                measure = _bound(sparse_step, index, 1 << power, at)
                yield Wanted("A step of a sparse memory", f"{index}, 2^{power} slots, {at}", "ms", measure)
        for batch in (4,) if small else (16, 256):
            for name in ("ntm", "dnc", "sam", "lstm"):
                for precision in ("float32", "bfloat16") if at == device else ("float32",):
                    measure = _bound(copy_training, name, batch, at, precision, batches)
                    label = f"{name}, batch {batch}, {at}, {precision}"
                    yield Wanted("Training on copy", label, "sequences/s", measure)


def _bound(function: Callable[..., float], *arguments: Any) -> Callable[[], float]:
    return lambda: function(*arguments)


def run_tests(device: str, seconds: float) -> dict[str, Any]:
    """The tests that need a GPU, in a process of their own; on the CPU some of them, on a device that pretends."""
    if not (ROOT / "tests").is_dir():
        return {"result": "left out: the tests are in the source tree, which is not here", "failed": False}
    files = [str(one.relative_to(ROOT)) for one in sorted((ROOT / "tests").rglob("test_devices.py"))]
    choice = ["-m", "gpu"]
    if device == "cpu":
        files, choice = ["tests/memory/test_devices.py"], ["-k", "pretended and kernel"]
    else:
        files.append("tests/memory/test_autocast.py")
    command = [sys.executable, "-m", "pytest", "--tb=short", "-rs", *choice, *files]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return {"result": f"cut off after {seconds:.0f} s", "failed": True, "command": shlex.join(command)}
    said = done.stdout.strip().splitlines()
    told = [line for line in said if line.startswith(("FAILED", "ERROR", "SKIPPED", "E  "))]
    failed = done.returncode != 0
    result = "failed" if failed else "passed"
    counts = next((line for line in reversed(said) if re.search(r"\d+ (passed|failed|skipped)", line)), "")
    return {"result": f"{result} {counts}".strip(), "failed": failed, "told": told, "command": shlex.join(command)}


def measured(device: str, ends: float) -> tuple[list[dict[str, Any]], list[str]]:
    """The figures that time is left for, and what was left out and why."""
    rows, left_out, slow = [], [], set[Any]()
    for one in wanted(device):
        kind = one.what.partition(",")[0], " cpu" in one.what
        began = time.monotonic()
        if began >= ends or (one.section, kind) in slow:
            left_out.append(f"{one.section}: {one.what}: no time was left")
            continue
        try:
            figure = one.measure()
        except (ImportError, ValueError, RuntimeError) as error:  # no FAISS; not enough memory of the device
            left_out.append(f"{one.section}: {one.what}: {str(error).splitlines()[0]}")
            continue
        took = time.monotonic() - began
        if 5 * took > ends - time.monotonic():  # the next of its kind is larger
            slow.add((one.section, kind))
        rows.append({"section": one.section, "what": one.what, "unit": one.unit, "figure": figure})
        print(f"{one.section}: {one.what}: {figure:.3g} {one.unit}", file=sys.stderr, flush=True)
    return rows, left_out


def machine(device: str) -> dict[str, str]:
    """What it ran on."""
    found = {"CPU": platform.processor() or platform.machine(), "threads": str(torch.get_num_threads())}
    if device == "cuda":
        there = torch.cuda.get_device_properties(0)
        found = {"GPU": f"{there.name}, {there.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"} | found
    return found | {"PyTorch": torch.__version__, "NumPy": np.__version__, "Python": platform.python_version()}


def report(found: dict[str, Any]) -> str:
    """The page of results."""
    name = found["machine"].get("GPU", "the CPU alone, a small version of everything").split(",")[0]
    lines = [f"# On a GPU: {name}", "", f"    {found['command']}", ""]
    lines += [f"- {what}: {value}" for what, value in found["machine"].items()]
    lines += [f"- {found['seconds']:.0f} seconds in all; medians of {TIMED} rounds, one process, nothing beside it"]
    lines += ["", "## Tests", "", found["tests"]["result"], *(f"    {line}" for line in found["tests"].get("told", []))]
    for section in dict.fromkeys(row["section"] for row in found["rows"]):
        rows = [row for row in found["rows"] if row["section"] == section]
        lines += ["", f"## {section}", "", f"| what | {rows[0]['unit']} |", "|---|--:|"]
        lines += [f"| {row['what']} | {row['figure']:.3g} |" for row in rows]
    if found["left_out"]:
        lines += ["", "## Left out", "", *(f"- {line}" for line in found["left_out"])]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str]) -> int:
    """Write the page and its figures; 1 where a test failed.

    Raises:
        UserError: there is no GPU, or a number cannot be used.
    """
    settings = parse(Settings, argv, prog="lukasa bench gpu")
    if settings.minutes <= 0:
        raise UserError(f"option --minutes is {settings.minutes:g}: expected more than 0")
    if settings.device == "cuda" and not torch.cuda.is_available():
        built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
        raise UserError(
            f"this needs a GPU that PyTorch can use, and there is none here (PyTorch {torch.__version__} has {built}): "
            "run it where there is one, or add --device cpu for a small version of everything"
        )
    began = time.monotonic()
    seconds = 60 * settings.minutes
    tests: dict[str, Any] = {"result": "left out: --no-tests", "failed": False}
    if not settings.no_tests:
        tests = run_tests(settings.device, TESTS_SHARE * seconds)
        print(f"tests: {tests['result']}", file=sys.stderr, flush=True)
    # On the CPU alone nothing is learned from its times, for which native code would first be compiled.
    with memory.step_by_step() if settings.device == "cpu" else nullcontext():
        rows, left_out = measured(settings.device, began + seconds)
    found = {"command": shlex.join(["lukasa", "bench", "gpu", *argv]), "machine": machine(settings.device)}
    found |= {"seconds": time.monotonic() - began, "tests": tests, "rows": rows, "left_out": left_out}
    name = torch.cuda.get_device_name() if settings.device == "cuda" else "cpu"
    path = settings.out / f"gpu_{re.sub(r'[^a-z0-9]+', '_', name.lower()).strip('_')}_{time.strftime('%Y%m')}.md"
    settings.out.mkdir(parents=True, exist_ok=True)
    write_text(path, report(found))
    write_text(path.with_suffix(".json"), json.dumps(found, indent=1) + "\n")
    print(json.dumps(found) if settings.json else f"written: {path} and {path.with_suffix('.json').name}")
    return int(tests["failed"])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
