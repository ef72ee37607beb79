"""What ``lukasa bench sharded`` found, as a page and on the screen.

Keys of a result: ``times`` by kind and memory (``ms`` median and ``low`` lowest wall milliseconds, ``processor_ms``
mean of all processes together), ``hop_ms`` of an empty question to all shards, ``equal_answers`` share,
``fill_seconds``, ``save_seconds``, ``saved_bytes``, ``shard_bytes`` resident at most, ``recovery_seconds``,
``replayed`` changes.
"""

from __future__ import annotations

from typing import Any

MIB = 2**20
KINDS = {
    "read": "search 4 queries for 4, copy what was found",
    "write": "write 20 slots, delivered",
    "step": "write 20, search, copy, mark",
}


def table(result: dict[str, Any]) -> str:
    """A page in Markdown."""
    asked = result["experiment"]
    each = asked["slots"] // asked["shards"]
    lines = [
        f"{asked['shards']} shards of {each:,} slots, words of 32, index {asked['index']}.",
        "",
        "| | one process, ms | processor ms | in shards, ms | processor ms |",
        "|---|---|---|---|---|",
    ]
    for kind, text in KINDS.items():
        cells = [
            f"{one['ms']:.2f} ({one['low']:.2f}) | {one['processor_ms']:.2f}"
            for one in (result["times"][kind]["one"], result["times"][kind]["sharded"])
        ]
        lines.append(f"| {text} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Wall time: median (lowest). An empty question to all shards and back: {result['hop_ms']:.2f} ms.",
        f"The same slots as one process found: for {result['equal_answers']:.2%} of the queries.",
        f"Filling: {result['fill_seconds']['one']:.1f} s in one process, {result['fill_seconds']['sharded']:.1f} s in "
        f"shards with saves. A shard holds {result['shard_bytes'] / MIB:,.0f} MiB.",
        f"Saving {result['saved_bytes'] / MIB:,.0f} MiB: {result['save_seconds']:.1f} s. A shard killed "
        f"{result['replayed']:,} changes later: the next answer came after {result['recovery_seconds']:.1f} s, the "
        "same as before; no change was lost.",
    ]
    return "\n".join(lines) + "\n"


def show(result: dict[str, Any]) -> None:
    """Print the page."""
    print(table(result))
