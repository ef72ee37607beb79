"""``lukasa bench sparse``: what a step of SAM costs from a thousand slots to millions, beside a dense NTM."""

from __future__ import annotations

import dataclasses
import gc
import importlib.util
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lukasa.benchmarks import recall, sparse_report
from lukasa.benchmarks.contestants import (
    Contestant,
    before_contestant,
    index_ms,
    make_sam,
    ntm_contestant,
    race,
    sam_contestant,
    sequence,
    use_one_thread,
)
from lukasa.benchmarks.extra_memory import measure_apart
from lukasa.benchmarks.fitting import available_bytes, check_fits, dense_bytes, fit_line
from lukasa.benchmarks.public_sam import public_sam
from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs.directory import describe_run
from lukasa.memory.sparse.indexes import INDEXES

PUBLIC_UP_TO = 2**18
"""Slots of the largest public SAM: a step of it copies the whole memory several times."""

DENSE_STEPS = 10
"""Steps of the dense NTM's timed sequences: its time a step does not depend on them, its memory does."""

Numbers = dict[str, Any]


@dataclass(frozen=True)
class SparseOptions:
    """Measure SAM: LSTM of 100 units, 4 heads, K = 4, words of 32, float32, one thread, every slot written before.

    Attributes:
        slots: sizes to time, such as 1024,16384 or 2^10,2^14.
        dense: sizes of the dense NTM; what does not fit is left out.
        batch: rows of the sequences that are compared with one row.
        batch_slots: slots of each of those rows.
        index: the index of SAM.
        before: largest size at which the equations with FAISS, as they were, are timed too.
        public: folder with a checkout `pytorch-dnc` of ixaxaar, whose SAM is timed too, up to 2^18 slots.
        steps: steps of a sequence.
        repeats: sequences that are timed at each size.
        empty: slots of the empty memory whose first step is timed.
        long: slots of the memory that is filled step by step, to see how much of that is building the index.
        recall_slots: slots of the memory on which the indexes are compared; 0 leaves this out.
        run: directory of a SAM trained by `lukasa train task`, whose keys are searched; by default a little training
            on associative recall comes first.
        training: batches of that training.
        queries: steps whose keys are searched.
        out: folder for sparse.md, sparse.json, time.png and memory.png.
        quick: small sizes, a minute in all, to see that it works.
        json: print one JSON object.
    """

    slots: str = "2^10,2^14,2^16,2^17,2^18,2^20,2^22,2^24"
    dense: str = "2^8,2^10,2^12,2^14,2^16"
    batch: int = 16
    batch_slots: int = 65536
    index: str = "auto"
    before: int = 2**20
    public: Path | None = None
    steps: int = 100
    repeats: int = 7
    empty: int = 2**24
    long: int = 2**17
    recall_slots: int = 65536
    run: str | None = None
    training: int = 200
    queries: int = 1000
    out: Path | None = None
    quick: Switch = False
    json: Switch = False


QUICK = SparseOptions(
    slots="2^8,2^10,2^12",
    dense="2^6,2^8,2^10",
    batch=4,
    batch_slots=1024,
    before=1024,
    steps=20,
    repeats=3,
    empty=2**16,
    long=2**10,
    recall_slots=2**10,
    training=3,
    queries=20,
)


def main(argv: Sequence[str]) -> int:
    """Measure, print and save, in that order: what was measured is seen whatever becomes of the files."""
    options = parse(SparseOptions, argv, prog="lukasa bench sparse", default=QUICK if "--quick" in argv else None)
    plan = check(options)
    result = measure(options, *plan)
    if options.json:
        print(json.dumps(result, allow_nan=False))
    else:
        sparse_report.show(result)
    if options.out is not None:
        from lukasa.benchmarks.sparse_pictures import save  # loads matplotlib

        for path in save(result, options.out):
            tell(f"wrote {path}")
    return 0


def check(options: SparseOptions) -> tuple[list[int], list[int]]:
    """The sizes of SAM and of the dense NTM, in ascending order.

    Raises:
        UserError: an option cannot be used, or the sizes do not fit into this machine.
    """
    numbers = (field.name for field in dataclasses.fields(options) if field.type == "int")
    check_least(options, **(dict.fromkeys(numbers, 1) | {"recall_slots": 0}))
    if options.index not in INDEXES:
        raise UserError(f"unknown index {options.index!r}: {nearest(options.index, INDEXES)}")
    slots, dense = read_sizes("slots", options.slots), read_sizes("dense", options.dense)
    for what, sizes in (("slots", [*slots, options.batch_slots, options.empty, options.long]), ("dense", dense)):
        if min(sizes) < 8:
            raise UserError(f"option --{what}: a memory of {min(sizes)} slots is too small to measure: expected 8")
    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise UserError(f"--out {options.out} is a file: choose a folder")
    if options.public is not None and not (options.public / "pytorch-dnc").is_dir():
        raise UserError(f"--public {options.public} holds no folder pytorch-dnc: expected a checkout of that name")
    if options.run is not None:
        recall.trained_agent(options.run, options.recall_slots or 8, "exact")  # tells a wrong one before hours of work
    check_fits("slots", [*slots, options.batch * options.batch_slots])
    check_fits("long", [options.long])
    check_fits("recall-slots", [options.recall_slots])
    return slots, dense


def read_sizes(option: str, text: str) -> list[int]:
    """Sizes out of the command line, ascending.

    Raises:
        UserError: one is not a whole number.

    Example:
        >>> read_sizes("slots", "2^14,1024")
        [1024, 16384]
    """
    sizes = set()
    for word in text.split(","):
        base, _, power = word.strip().partition("^")
        if not base.isdecimal() or not (power or "1").isdecimal() or int(power or 1) > 40:
            raise UserError(f"option --{option} has {word!r}: expected whole numbers such as 1024,16384 or 2^10,2^14")
        sizes.add(int(base) ** int(power or 1))
    return sorted(sizes)


def measure(options: SparseOptions, slots: list[int], dense: list[int]) -> Numbers:
    """Everything, in the order that needs the least memory at once; see ``sparse_report`` for what the keys mean."""
    use_one_thread()
    started = time.perf_counter()
    result: Numbers = describe_run("bench", None, {"subject": "sparse"} | _asked(options))
    result["notes"] = []
    try:
        result["first_step"] = first_step(options)
        result |= times(options, slots, dense, result["notes"])
        gc.collect()  # the full memories, before the processes to come need the room
        result["long_run"] = long_run(options)
        if options.recall_slots:
            result |= recalls(options, result["notes"])
        result["memory"] = extra_memory(options, slots, dense, result["notes"])
    except (ImportError, ValueError) as error:
        raise UserError(str(error)) from None
    result["seconds"] = time.perf_counter() - started
    sparse_report.compare(result)
    return result


def _asked(options: SparseOptions) -> Numbers:
    """The options as they stand in a file; where things lie says nothing of what was measured."""
    return dataclasses.asdict(options) | {"out": None, "public": options.public is not None}


def first_step(options: SparseOptions) -> Numbers:
    """Seconds to make an empty memory and take one step with it."""
    tell("the first step of an empty memory")
    taken = []
    for slots in (8, options.empty, options.empty, options.empty):  # the small one loads what has to be loaded
        core = make_sam(slots, options.index)
        begun = time.perf_counter()
        core(sequence(1, 1)[:, 0], core.initial_state(1))
        taken.append(time.perf_counter() - begun)
    return {"slots": options.empty, "seconds": max(taken[1:])}


def times(options: SparseOptions, slots: list[int], dense: list[int], notes: list[str]) -> Numbers:
    """Time a step of all sizes in turns, and to build the indexes of the full memories."""
    alone = {size: sam_contestant(size, 1, options.steps, options.index) for size in announced("filling", slots)}
    before = {
        size: before_contestant(size, 1, options.steps)
        for size in slots
        if size <= options.before and importlib.util.find_spec("faiss") is not None
    }
    single = alone.get(options.batch_slots) or sam_contestant(options.batch_slots, 1, options.steps, options.index)
    batch = sam_contestant(options.batch_slots, options.batch, options.steps, options.index)
    fitting = [size for size in dense if dense_bytes(size, DENSE_STEPS) < 0.8 * available_bytes()]
    rivals = {size: ntm_contestant(size, DENSE_STEPS) for size in fitting}
    for size in set(dense) - set(fitting):
        notes.append(f"the dense NTM of {size:,} slots was not timed: it does not fit into the memory that is free")
    built = {size: _index(one).rebuild_seconds for size, one in alone.items()}
    public = {size: public_sam(options.public, size) for size in slots if options.public and size <= PUBLIC_UP_TO}
    everyone = (*alone.values(), *before.values(), single, batch, *rivals.values(), *public.values())
    race({id(one): one for one in everyone}.values(), options.repeats, tell)
    first = alone[slots[0]]
    sparse = [
        _times_row("sam", size, one, first)
        | {"index": getattr(_index(one), "name", options.index), "build_seconds_per_million": built[size] / size * 1e6}
        | {"index_ms": index_ms(one, options.steps), "before": _before_row(one, before.get(size))}
        for size, one in alone.items()
    ]
    ratio = options.batch / batch.times_as_long_as(single)
    batched = {"rows": options.batch, "slots": options.batch_slots, "ms": batch.median, "sequences_ratio": ratio}
    ntm = [_times_row("ntm", size, one, rivals[fitting[0]]) for size, one in rivals.items()]
    theirs = [
        {"slots": size, "ms": one.median, "ratio": one.times_as_long_as(alone[size])} for size, one in public.items()
    ]
    return {"times": sparse, "dense_times": ntm, "batch": batched, "public_times": theirs}


def _before_row(one: Contestant, before: Contestant | None) -> Numbers | None:
    """How long a step took by the equations with FAISS, and how many times that is."""
    return None if before is None else {"ms": before.median, "ratio": before.times_as_long_as(one)}


def _times_row(core: str, slots: int, one: Contestant, smallest: Contestant) -> Numbers:
    row = {"core": core, "slots": slots, "ms": one.median, "low": min(one.times), "high": max(one.times)}
    return row | {"ratio_to_smallest": one.times_as_long_as(smallest)}


def long_run(options: SparseOptions) -> Numbers:
    """Train sequence after sequence on one memory until it is full: the share of its time that builds the index."""
    tell(f"a long run: filling {options.long:,} slots step by step")
    core = make_sam(options.long, options.index)
    runner = Contestant(core, sequence(1, options.steps), core.initial_state(1))
    while int(runner.state.memory.used[0]) < options.long:
        runner.run()
    seconds, steps = sum(runner.times) * options.steps / 1e3, len(runner.times) * options.steps
    built = _index(runner).rebuild_seconds
    return {"slots": options.long, "steps": steps, "seconds": seconds, "build_seconds": built, "share": built / seconds}


def recalls(options: SparseOptions, notes: list[str]) -> Numbers:
    """The indexes against the exact one, on what a trained SAM wrote and looks for."""
    tell("recall of the indexes: training or loading a SAM")
    if options.run is None:
        agent = recall.briefly_trained_agent(options.recall_slots, options.index, options.training)
    else:
        agent = recall.trained_agent(options.run, options.recall_slots, options.index)
    tell(f"recall of the indexes: it fills {options.recall_slots:,} slots")
    words, keys = recall.lived_in(agent, options.queries)
    rows = recall.compare_indexes(words, keys, agent.core.reads, notes.append)
    return {"recall": rows, "recall_of": {"agent": agent.source, "slots": words.shape[1], "steps": len(keys)}}


def extra_memory(options: SparseOptions, slots: list[int], dense: list[int], notes: list[str]) -> list[Numbers]:
    """Bytes that one sequence takes to train on, each size in a process of its own."""
    rows: list[Numbers] = []
    for core, sizes in (("ntm", dense), ("sam", slots)):
        for size in announced(f"extra memory of {core}", sizes):
            if core == "ntm" and _expected(rows, size, options.steps) > 0.8 * available_bytes():
                notes.append(f"the dense NTM of {size:,} slots was not trained on: {options.steps} steps do not fit")
                continue
            counted = measure_apart(core, size, options.steps, options.index)
            if isinstance(counted, str):
                notes.append(f"extra memory of {core} with {size:,} slots is not known: {counted}")
            else:
                rows.append({"core": core, "slots": size} | counted)
    return rows


def _expected(rows: list[Numbers], slots: int, steps: int) -> float:
    """What the dense NTM will need, from the smaller sizes measured so far."""
    if len(rows) < 2:
        return dense_bytes(slots, steps)
    base, slope = fit_line([row["slots"] for row in rows], [row["tensors"] for row in rows])
    return base + slope * slots


def announced(what: str, sizes: Sequence[int]) -> Any:
    """The sizes, each told when its turn comes."""
    for size in sizes:
        tell(f"{what}: {size:,} slots")
        yield size


def tell(text: str) -> None:
    """Progress, for people."""
    print(text, file=sys.stderr, flush=True)


def _index(one: Contestant) -> Any:
    """The index in use; "auto" has a name, that of the one that it picked."""
    return one.state.memory.store.index
