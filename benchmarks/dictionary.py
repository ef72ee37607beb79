"""``lukasa bench dictionary``: a neural dictionary of a million entries beside one of ten thousand.

Legend: W key size, R queries, P neighbours.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from lukasa.launch.options.bounds import check_least
from lukasa.launch.options.fields import Switch
from lukasa.launch.options.parsing import parse
from lukasa.memory.sparse import NeuralDictionary


@dataclass(frozen=True)
class Settings:
    """Measure steps of a neural dictionary that is full: look up, go back, move keys, take in new estimates.

    Attributes:
        entries: sizes of the dictionaries that are measured.
        key_size: width of the keys.
        neighbours: entries that answer a query.
        queries: looked up at once, as in a gradient step of NEC.
        estimates: taken in at each step, half of them of keys that are there.
        centres: clusters that keys are drawn around.
        repeats: steps that are timed.
        index: what finds neighbours.
        threads: threads of torch.
        seed: of the keys.
        out: write the rows here as JSON.
        json: print the rows as JSON.
    """

    entries: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    key_size: int = 64
    neighbours: int = 50
    queries: int = 32
    estimates: int = 4
    centres: int = 2000
    repeats: int = 50
    index: str = "auto"
    threads: int = 1
    seed: int = 0
    out: Path | None = None
    json: Switch = False


@dataclass(frozen=True)
class Row:
    """What one size costs.

    Attributes:
        entries: how many.
        act_ms: look up one query, without gradient; median.
        lookup_ms: look up R queries, without gradient; median.
        step_ms: a step of learning: R queries, backward, keys moved, estimates taken in; median.
        step_least_ms, step_most_ms: the fastest and slowest tenth of steps.
        found: share of the true neighbours that are found.
        fill_s: seconds to build it.
        mib: of keys and values.
    """

    entries: int
    act_ms: float
    lookup_ms: float
    step_ms: float
    step_least_ms: float
    step_most_ms: float
    found: float
    fill_s: float
    mib: float


def measure(entries: int, settings: Settings) -> Row:
    """Fill a dictionary and take steps of it."""
    generator = torch.Generator().manual_seed(settings.seed)
    centres = torch.randn(settings.centres, settings.key_size, generator=generator).tanh()

    def keys(count: int) -> Tensor:
        near = centres[torch.randint(len(centres), (count,), generator=generator)]
        return near + 0.2 * torch.randn(count, settings.key_size, generator=generator)

    dictionary = NeuralDictionary(settings.key_size, entries, neighbours=settings.neighbours, index=settings.index)
    started = time.perf_counter()
    held = keys(entries)
    state = {"keys": held[None], "values": held[None, :, 0], "used": torch.tensor([entries])}
    dictionary.load_state_dict({**state, "order": torch.arange(entries)[None]})
    fill = time.perf_counter() - started
    act, lookup, steps = [], [], []
    for _ in range(settings.repeats):
        queries = keys(settings.queries)
        with torch.no_grad():
            act.append(_timed(lambda one=queries[:1]: dictionary(one)))
            lookup.append(_timed(lambda all=queries: dictionary(all)))
        known = dictionary.entries.contents()[0][
            0, torch.randint(entries, (settings.estimates // 2,), generator=generator)
        ]
        estimates = torch.cat([known, keys(settings.estimates - len(known))])
        others = keys(settings.queries)
        steps.append(_timed(lambda queries=others, new=estimates: _step(dictionary, queries, new)))
    ordered = sorted(steps)
    tenth = max(1, len(steps) // 10)
    return Row(
        entries,
        statistics.median(act),
        statistics.median(lookup),
        statistics.median(steps),
        statistics.mean(ordered[:tenth]),
        statistics.mean(ordered[-tenth:]),
        _found(dictionary, keys(20)),
        fill,
        (held.nbytes + 4 * entries) / 2**20,
    )


def _step(dictionary: NeuralDictionary, queries: Tensor, estimates: Tensor) -> None:
    dictionary(queries).square().mean().backward()
    dictionary.learn(0.01)
    dictionary.update(torch.zeros(len(estimates), dtype=torch.int64), estimates, estimates[:, 0])


def _found(dictionary: NeuralDictionary, queries: Tensor) -> float:
    """The share of the true nearest entries that a lookup finds."""
    count = dictionary.options.neighbours
    found = dictionary.look_up(queries, touch=False).slots[0]
    held = dictionary.entries.contents()[0][0]
    truth = torch.stack([(held - query).square().sum(-1).topk(count, largest=False).indices for query in queries])
    return sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), truth.tolist(), strict=True)) / truth.numel()


def _timed(call) -> float:
    """Milliseconds of processor time, which other programs on the machine do not lengthen."""
    started = time.process_time()
    call()
    return 1000 * (time.process_time() - started)


def table(rows: Sequence[Row]) -> str:
    """Rows for people, in Markdown."""
    lines = [
        "| entries | a query, ms | 32 queries, ms | a step, ms | fastest to slowest tenth | found | built in |",
        "|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.entries:,} | {row.act_ms:.2f} | {row.lookup_ms:.2f} | {row.step_ms:.2f} | {row.step_least_ms:.2f} "
            f"to {row.step_most_ms:.2f} | {row.found:.1%} | {row.fill_s:.1f} s |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Measure and print."""
    settings = parse(Settings, argv, prog="lukasa bench dictionary")
    sizes = ("key_size", "neighbours", "queries", "estimates", "centres", "repeats", "threads", "entries")
    check_least(settings, **dict.fromkeys(sizes, 1))
    torch.set_num_threads(settings.threads)
    rows = []
    for entries in settings.entries:
        rows.append(measure(entries, settings))
        print(f"{entries:,} entries measured, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    text = json.dumps([asdict(row) for row in rows], indent=1)
    if settings.out:
        settings.out.write_text(text + "\n")
    print(text if settings.json else table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
