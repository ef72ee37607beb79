"""What ``lukasa bench sparse`` says: comparisons, goals, tables, files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from lukasa.benchmarks.fitting import fit_line
from lukasa.benchmarks.published_sparse import PAPER_EXTRA_MIB, PUBLIC_SAM

MIB = 2**20
ENOUGH_TO_TELL = 2**16
"""Slots from which on the time to build an index is more than that of the first call of anything."""

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """One table with its heading and what has to be said beside it."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    remark: str = ""


def compare(result: Numbers) -> None:
    """Add what follows from the measurements: ``against_dense``, ``against_public`` and ``goals``."""
    result["against_dense"] = {
        "time": _against_dense(result["times"], result["dense_times"], "ms"),
        "memory": _against_dense(
            [row for row in result["memory"] if row["core"] == "sam"],
            [row for row in result["memory"] if row["core"] == "ntm"],
            counted(result),
        ),
    }
    sparse = {row["slots"]: row["ms"] for row in result["times"]}
    reported = [
        {"slots": slots, "ms": ms, "ratio": ms / sparse[slots]} for slots, ms in PUBLIC_SAM.items() if slots in sparse
    ]
    result["against_public"] = result.get("public_times") or reported
    result["goals"] = _goals(result)


def counted(result: Numbers) -> str:
    """Which count of memory the comparisons use: all of the heap, where the system tells it."""
    return "tensors" if any(row["heap"] is None for row in result["memory"]) else "heap"


def _against_dense(sparse: list[Numbers], dense: list[Numbers], key: str) -> list[Numbers]:
    """Dense and sparse side by side at every sparse size; dense sizes that were not measured lie on a line."""
    known = {row["slots"]: row[key] for row in dense}
    if len(known) < 2:
        return []
    base, slope = fit_line(list(known), list(known.values()))
    rows = []
    for row in sparse:
        size = row["slots"]
        measured = size in known
        value = known[size] if measured else base + slope * size
        if measured or size > max(known):
            rows.append({"slots": size, "dense": value, "extrapolated": not measured, "ratio": value / row[key]})
    return rows


def _goals(result: Numbers) -> list[Numbers]:
    """Each of the project's goals that these sizes decide: what was found, the limit, and whether it is met."""
    key = counted(result)
    ratios = {row["slots"]: row["ratio_to_smallest"] for row in result["times"]}
    extra = [row[key] / MIB for row in result["memory"] if row["core"] == "sam"]
    tensors = [row["tensors"] / MIB for row in result["memory"] if row["core"] == "sam"]
    against = {name: {row["slots"]: row["ratio"] for row in rows} for name, rows in result["against_dense"].items()}
    recalls = {row["index"]: row["recall"] for row in result.get("recall", []) if row["index"] != "exact"}
    index = result["times"][-1]["index"]
    spread = (max(extra) - min(extra)) / min(extra) if extra else None
    largest = [max(sizes, default=None) if result["experiment"]["steps"] == 100 else None for sizes in (tensors, extra)]
    from_smallest = min(ratios) == 2**10
    public = {row["slots"]: row["ratio"] for row in result["against_public"]}
    batch = result["batch"] if (result["batch"]["rows"], result["batch"]["slots"]) == (16, 2**16) else {}
    first = result["first_step"]
    found = [
        ("time at 2^20 over time at 2^10", ratios.get(2**20) if from_smallest else None, "<=", 1.5),
        ("time at 2^24 over time at 2^10", ratios.get(2**24) if from_smallest else None, "<=", 3),
        ("sequences a second, 16 rows over 1, 2^16 slots", batch.get("sequences_ratio"), ">=", 6),
        ("time of the dense NTM over ours at 2^20", against["time"].get(2**20), ">=", 3000),
        ("training memory of the dense NTM over ours at 2^16", against["memory"].get(2**16), ">=", 5000),
        ("extra MiB of 100 steps at the largest, tensors", largest[0], "<=", PAPER_EXTRA_MIB),
        ("extra MiB of 100 steps at the largest, with all bookkeeping", largest[1], "<=", PAPER_EXTRA_MIB),
        ("spread of the extra memory over all sizes", spread, "<=", 0.1),
        ("time of the public SAM over ours at 262,144", public.get(2**18), ">=", 400),
        ("seconds to the first step, 2^24 empty slots", first["seconds"] if first["slots"] == 2**24 else None, "<=", 1),
        ("share of a long run that builds the index", result["long_run"]["share"], "<=", 0.05),
        (f"top-1 recall of {index}", recalls.get(index), ">=", 0.95),
    ]
    return [
        {
            "what": what,
            "found": value,
            "sign": sign,
            "goal": goal,
            "met": value <= goal if sign == "<=" else value >= goal,
        }
        for what, value, sign, goal in found
        if value is not None
    ]


def sections(result: Numbers) -> list[Section]:
    """All tables, in the order to read them."""
    found = [_goal_section(result), _time_section(result)]
    if all("index_ms" in row for row in result["times"]):
        found.append(_before_section(result))
    found += [_memory_section(result), _odds_section(result)]
    if "recall" in result:
        found.append(_recall_section(result))
    return found


def _goal_section(result: Numbers) -> Section:
    rows = [
        [goal["what"], _short(goal["found"]), f"{goal['sign']} {goal['goal']:,g}", "yes" if goal["met"] else "NO"]
        for goal in result["goals"]
    ]
    return Section("Goals", ["", "found", "goal", "met"], rows, "Goals that need other sizes than these are left out.")


def _time_section(result: Numbers) -> Section:
    against = {row["slots"]: row for row in result["against_dense"]["time"]}
    dense = {row["slots"]: row for row in result["dense_times"]}
    public = {row["slots"]: row for row in result["against_public"]}
    rows = []
    for row in sorted(result["times"] + [one for size, one in dense.items() if size not in against], key=_by_slots):
        size, is_sam = row["slots"], row["core"] == "sam"
        other, seen = against.get(size), public.get(size)
        own = [f"{row['ms']:.3g} ({row['low']:.3g}-{row['high']:.3g})", f"{row['ratio_to_smallest']:.2f}"]
        rows.append(
            [
                f"{size:,}",
                *(own if is_sam else ["", ""]),
                _short(other["dense"]) + " *" * other["extrapolated"] if other else "" if is_sam else _short(row["ms"]),
                _short(other["ratio"]) if other else "",
                f"{seen['ms']:.3g} ({seen['ratio']:,.0f})" if seen else "",
                row.get("index", ""),
                f"{row['build_seconds_per_million']:.2f}" if is_sam and size >= ENOUGH_TO_TELL else "",
            ]
        )
    header = ["slots", "sam ms/step", "ratio", "dense ms/step", "dense/sam", "public (ratio)", "index", "build s/M"]
    batch = result["batch"]
    whose = "in the same run" if result.get("public_times") else "two threads of another machine"
    remark = (
        f"Forward and backward, one row, processor time. Ratio: to the smallest size, median over rounds. "
        f"* extrapolated along a line. "
        f"Public: SAM of ixaxaar/pytorch-dnc, {whose}. {batch['rows']} rows of {batch['slots']:,} "
        f"slots: {batch['ms']:.3g} ms/step, {batch['sequences_ratio']:.1f} times the sequences a second of one row."
    )
    return Section("Time", header, rows, remark)


def _before_section(result: Numbers) -> Section:
    rows = [
        [
            f"{row['slots']:,}",
            f"{row['ms']:.3g}",
            f"{row['index_ms']:.3g} ({100 * min(1.0, row['index_ms'] / row['ms']):.0f} %)",
            *((f"{row['before']['ms']:.3g}", f"{row['before']['ratio']:.1f}") if row["before"] else ("", "")),
        ]
        for row in result["times"]
    ]
    remark = "ms a step. Before: the equations step by step, with an exact index up to 8,192 slots and FAISS beyond."
    return Section(
        "The index, and before native code", ["slots", "sam", "index alone", "before", "ratio"], rows, remark
    )


def _memory_section(result: Numbers) -> Section:
    against = {row["slots"]: row for row in result["against_dense"]["memory"]}
    cores = {name: {row["slots"]: row for row in result["memory"] if row["core"] == name} for name in ("sam", "ntm")}
    rows = []
    for size in sorted(cores["sam"] | cores["ntm"]):
        line = [f"{size:,}"]
        for name in ("sam", "ntm"):
            line += [_mib(cores[name].get(size, {}).get(key)) for key in ("tensors", "heap")]
        other = against.get(size)
        if other and other["extrapolated"]:
            line[4] = f"{_mib(other['dense'])} *"
        rows.append([*line, _short(other["ratio"]) if other else ""])
    header = ["slots", "sam tensors", "sam heap", "dense tensors", "dense heap", "dense/sam"]
    remark = (
        f"MiB beside core and state at the peak of a sequence of {result['experiment']['steps']} steps, each size in a "
        f"process of its own. Heap: tensors and all bookkeeping of autograd and Python. Dense/sam is of the "
        f"{counted(result)}. * extrapolated along a line. The paper: {PAPER_EXTRA_MIB} MiB against 29 GiB at 64k slots."
    )
    return Section("Extra memory of training", header, rows, remark)


def _odds_section(result: Numbers) -> Section:
    first, long = result["first_step"], result["long_run"]
    rows = [
        [f"empty memory of {first['slots']:,} slots, made and stepped once", f"{first['seconds']:.3f} s"],
        [f"{long['slots']:,} slots filled step by step, {long['steps']:,} steps", f"{long['seconds']:.1f} s"],
        ["of that, building the index", f"{long['build_seconds']:.2f} s ({100 * long['share']:.1f} %)"],
    ]
    return Section("Beginning and long runs", ["", ""], rows)


def _recall_section(result: Numbers) -> Section:
    keys = ("recall", "same_slot", "recall_of_all")
    rows = [
        [row["index"], *(f"{row[key]:.3f}" for key in keys), f"{row['ms']:.3g}", f"{row['build_seconds']:.2f}"]
        for row in result["recall"]
    ]
    of = result["recall_of"]
    remark = (
        f"Keys of {of['steps']:,} steps among {of['slots']:,} words that the agent wrote ({of['agent']}). Top-1: as "
        "near as the nearest; words of a task repeat, so that the slot may be another. ms: search of one step's heads."
    )
    return Section("Recall", ["index", "top-1", "same slot", "of all K", "ms/step", "build s"], rows, remark)


def show(result: Numbers) -> None:
    """Print all tables."""
    console = Console()
    for section in sections(result):
        table = Table(title=section.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for number, name in enumerate(section.header):
            table.add_column(name, justify="right" if number else "left")
        for row in section.rows:
            table.add_row(*row)
        console.print(table)
        console.print(section.remark, style="dim", highlight=False)
        console.print()
    for note in result["notes"]:
        console.print(f"note: {note}", highlight=False)


def markdown(result: Numbers) -> str:
    """All tables as a page."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if version)
    lines = [
        "# Sparse memory: cost against size",
        "",
        f"{result['created']}, commit {result['commit'] or 'unknown'}, {versions}, one thread, float32. LSTM of 100 "
        f"units, 4 heads, K = 4, words of 32, {result['experiment']['steps']} steps a sequence, every slot written "
        f"before timing, {result['experiment']['repeats']} sequences a size in turns. "
        f"It took {result['seconds'] / 60:.0f} minutes.",
    ]
    for section in sections(result):
        lines += ["", f"## {section.title}", "", _markdown_row(section.header), "|---" * len(section.header) + "|"]
        lines += [_markdown_row(row) for row in section.rows] + ["", section.remark]
    lines += ["", *(f"- {note}" for note in result["notes"])] if result["notes"] else []
    lines += ["", "![time](time.png) ![memory](memory.png)", ""]
    return "\n".join(lines)


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _by_slots(row: Numbers) -> int:
    return row["slots"]


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _mib(size: float | None) -> str:
    return "" if size is None else f"{size / MIB:,.2f}" if size < 100 * MIB else f"{size / MIB:,.0f}"
