"""What a process did since it was last asked: the traffic of its sparse memories, and the memory that it holds."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

from lukasa.memory.sparse.traffic import TRAFFIC, Traffic

KIB = 1024


def resident_bytes() -> int:
    """Memory that this process holds now; the most it ever held where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * KIB


def measured(elapsed: float, traffic: Traffic | None = None) -> dict[str, Any]:
    """The share of a line of metrics that tells of memory; a core without sparse memory has ``resident_bytes`` alone.

    Args:
        elapsed: seconds since the line before.
        traffic: what the sparse memories did; that of this process by default.
    """
    traffic = traffic or TRAFFIC.take()
    row: dict[str, Any] = {"resident_bytes": resident_bytes()}
    if traffic.reads or traffic.writes:
        elapsed = max(elapsed, 1e-9)
        row["memory_reads_per_second"] = round(traffic.reads / elapsed, 1)
        row["memory_writes_per_second"] = round(traffic.writes / elapsed, 1)
        row["memory_slots_used"] = traffic.filled
    return row
