"""``lukasa bench sharded``: a memory in shards beside the same in one process, and a shard killed and brought back."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lukasa.benchmarks.contestants import clustered_words, use_one_thread
from lukasa.benchmarks.fitting import check_fits
from lukasa.benchmarks.sharded_report import show, table
from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse
from lukasa.launch.ray.session import running_ray
from lukasa.launch.ray.sharded import ShardedMemories, Sharding
from lukasa.launch.ray.sharded.routing import Gather
from lukasa.launch.runs.directory import describe_run
from lukasa.memory.sparse import SparseMemory
from lukasa.memory.sparse.indexes import INDEXES

Numbers = dict[str, Any]
WORD = 32
QUERIES = 4
NEAREST = 4
WRITTEN = QUERIES * (NEAREST + 1)
"""What a step of SAM with 4 heads of K = 4 writes."""


@dataclass(frozen=True)
class ShardedOptions:
    """Measure a full memory, one row of words of 32: 4 queries for 4 slots each, 20 slots written a step.

    Attributes:
        shards: how many.
        slots: of all shards together.
        index: of every shard and of the memory in one process.
        steps: of each kind that are timed, in turns.
        changes: writes between the save and the kill.
        cpus: logical CPUs of the Ray that is started.
        folder: where shards save their states; a temporary folder by default.
        out: folder for sharded-INDEX.md and sharded-INDEX.json.
        quick: a small memory, to see that it works.
        json: print one JSON object.
    """

    shards: int = 4
    slots: int = 2**22
    index: str = "auto"
    steps: int = 100
    changes: int = 1000
    cpus: int = 4
    folder: Path | None = None
    out: Path | None = None
    quick: Switch = False
    json: Switch = False


QUICK = ShardedOptions(shards=2, slots=2**12, steps=5, changes=10)


def main(argv: Sequence[str]) -> int:
    """Measure, print and save."""
    options = parse(ShardedOptions, argv, prog="lukasa bench sharded", default=QUICK if "--quick" in argv else None)
    check(options)
    use_one_thread()
    result = describe_run("bench", None, {"subject": "sharded"} | dataclasses.asdict(options))
    result["experiment"] |= {"out": None, "folder": None}
    with tempfile.TemporaryDirectory(prefix="lukasa-shards-") as temporary, running_ray(options.cpus):
        folder = options.folder or Path(temporary)
        sharding = Sharding(options.shards, folder, cpus=options.cpus / options.shards, log_bytes=1 << 28)
        with ShardedMemories(sharding) as memories:
            result |= measure(options, memories)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        path = options.out / f"sharded-{options.index}"
        path.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
        path.with_suffix(".md").write_text(table(result))
    print(json.dumps(result)) if options.json else show(result)
    return 0


def check(options: ShardedOptions) -> None:
    """Refuse what cannot be measured.

    Raises:
        UserError: an option cannot be used, or the memories do not fit into this machine.
    """
    check_least(options, shards=1, slots=1, steps=1, changes=1, cpus=1)
    if options.slots < WRITTEN:
        raise UserError(f"option --slots is {options.slots}: a step writes {WRITTEN}, expected at least as many")
    if options.index not in INDEXES:
        raise UserError(f"unknown index {options.index!r}: {nearest(options.index, INDEXES)}")
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise UserError(f"--out {options.out} is a file: choose a folder")
    check_fits("slots", [options.slots, options.slots])


def measure(options: ShardedOptions, memories: ShardedMemories) -> Numbers:
    """Everything; see ``sharded_report`` for what the keys mean."""
    words = clustered_words(options.slots, WORD, torch.Generator().manual_seed(0))[:-1]
    written = {"rows": words[None], "used": torch.tensor([options.slots]), "order": torch.arange(options.slots)[None]}
    filled: dict[str, SparseMemory] = {}
    seconds: dict[str, float] = {}
    for where, make in (("one", SparseMemory.empty), ("sharded", memories.empty)):
        tell(f"filling {options.slots:,} slots: {where}")
        begun = time.perf_counter()
        filled[where] = make(1, options.slots, WORD, index=options.index).from_tensors(written)
        filled[where].search(words[None, :1], 1)
        seconds[where] = time.perf_counter() - begun
    queries = words[torch.randint(options.slots, (options.steps, QUERIES), generator=torch.Generator().manual_seed(1))]
    queries = queries + 0.05 * torch.randn(queries.shape, generator=torch.Generator().manual_seed(2))
    del words, written
    equal = equal_answers(filled, queries.unsqueeze(1))
    times = take_turns(filled, queries.unsqueeze(1))
    result: Numbers = {"fill_seconds": seconds, "times": times, "equal_answers": equal}
    result["hop_ms"] = hop(filled["sharded"], options.steps)
    store: Any = filled["sharded"].store
    fleet = store.fleet
    result["shard_bytes"] = max(resident_bytes(pid) for pid in fleet.pids)
    return result | lose_a_shard(filled["sharded"], options.changes, queries.unsqueeze(1))


def equal_answers(filled: dict[str, SparseMemory], queries: torch.Tensor) -> float:
    """The share of queries for which both memories find the same slots in the same order."""
    tell("comparing")
    found = [torch.cat([one.search(some, NEAREST)[0] for some in queries]) for one in filled.values()]
    return (found[0] == found[1]).all(1).float().mean().item()


def take_turns(filled: dict[str, SparseMemory], queries: torch.Tensor) -> Numbers:
    """Time reads, writes and whole steps, one of each kind in either memory a round.

    Args:
        filled: the memories, which go on changing.
        queries: [steps, 1, R, W].

    Returns:
        By kind and memory, wall milliseconds and processor milliseconds of all processes.
    """
    wall: dict[tuple[str, str], list[float]] = {}
    used: dict[tuple[str, str], list[float]] = {}
    kinds: dict[str, Callable[[SparseMemory, torch.Tensor], SparseMemory]]
    kinds = {"read": read, "write": write, "step": step}
    tell("timing")
    for some in [queries[0], *queries]:  # the first round warms up
        for kind, work in kinds.items():
            for where, one in filled.items():
                fleet: Any = getattr(one.store, "fleet", None)
                pids = [os.getpid(), *(fleet.pids if fleet else [])]
                before, begun = processor_seconds(pids), time.perf_counter()
                filled[where] = work(one, some)
                wall.setdefault((kind, where), []).append(1e3 * (time.perf_counter() - begun))
                used.setdefault((kind, where), []).append(1e3 * (processor_seconds(pids) - before))
    return {
        kind: {
            where: {
                "ms": statistics.median(wall[kind, where][1:]),
                "low": min(wall[kind, where][1:]),
                "processor_ms": statistics.mean(used[kind, where][1:]),
            }
            for where in filled
        }
        for kind in kinds
    }


def read(one: SparseMemory, queries: torch.Tensor) -> SparseMemory:
    """Search, and copy what was found."""
    return one.read(one.search(queries, NEAREST))[1]


def write(one: SparseMemory, queries: torch.Tensor) -> SparseMemory:
    """Write to the oldest slots, and have it delivered."""
    slots = one.least_recent(WRITTEN)
    words = queries.repeat(1, WRITTEN // QUERIES, 1) + torch.linspace(0, 1, WRITTEN).view(1, -1, 1)
    one = one.write(slots, torch.zeros_like(slots), words).access(slots, torch.ones(slots.shape))
    fleet: Any = getattr(one.store, "fleet", None)
    if fleet is not None:
        fleet.ask({})
    return one


def step(one: SparseMemory, queries: torch.Tensor) -> SparseMemory:
    """What SAM does in a step: write, search, copy what was found and mark it."""
    written = one.least_recent(WRITTEN)
    words = queries.repeat(1, WRITTEN // QUERIES, 1) + torch.linspace(0, 1, WRITTEN).view(1, -1, 1)
    one = one.write(written, torch.zeros_like(written), words)
    found = one.search(queries, NEAREST)
    _, one = one.read(found)
    accessed = torch.cat([written, found.flatten(1)], 1)
    return one.access(accessed, torch.ones(accessed.shape))


def hop(one: SparseMemory, steps: int) -> float:
    """Median milliseconds in which all shards answer a question that asks nothing of them."""
    store: Any = one.store
    fleet = store.fleet
    nothing = Gather(torch.full((1, 1), -1).numpy())
    taken = []
    for _ in range(steps):
        begun = time.perf_counter()
        fleet.ask(dict.fromkeys(range(fleet.sharding.shards), nothing))
        taken.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(taken)


def lose_a_shard(one: SparseMemory, changes: int, queries: torch.Tensor) -> Numbers:
    """Save, change, kill a shard, and time the next answer; it has to be the one from before."""
    store: Any = one.store
    tell("saving")
    begun = time.perf_counter()
    store.save()
    saved = time.perf_counter() - begun
    size = sum(path.stat().st_size for path in store.fleet.saved.iterdir())
    for some in range(changes):
        one = write(one, queries[some % len(queries)])
    expected = one.search(queries[0], NEAREST)
    tell("killing a shard")
    os.kill(store.fleet.pids[0], signal.SIGKILL)
    begun = time.perf_counter()
    found = one.search(queries[0], NEAREST)
    seconds = time.perf_counter() - begun
    recovery = store.fleet.recoveries[-1]
    if not torch.equal(found, expected):
        raise RuntimeError("the shard that was brought back answers otherwise than before")
    return {
        "save_seconds": saved,
        "saved_bytes": size,
        "recovery_seconds": seconds,
        "replayed": recovery.replayed,
        "lost": 0,
    }


def processor_seconds(pids: Sequence[int]) -> float:
    """Processor time that processes have taken, all their threads; exact to the scheduler's nanoseconds."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            total += int(task.read_text().split()[0])
    return total / 1e9


def resident_bytes(pid: int) -> int:
    """Memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tell(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)
