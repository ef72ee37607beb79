"""What fits into this machine, and straight lines through what was measured.

Legend: N slots.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lukasa.benchmarks.contestants import WORD
from lukasa.ground.mistakes import UserError

BYTES_OF_A_SLOT = 4 * WORD + 1.5 * (4 * WORD + 16) + 32
"""A full memory's row, its copy in an index with slack, its place in the usage order."""

DENSE_BYTES_OF_A_SLOT_AND_STEP = 4900
"""A dense NTM's, as Rae et al. 2016 report it (29 GiB for 64k words and 100 steps)."""


def available_bytes() -> int:
    """Memory that a process can take without swapping."""
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_fits(option: str, slots: Sequence[int]) -> None:
    """Refuse sizes that do not fit into memory side by side, as turns need them.

    Args:
        option: the option that they come from.
        slots: N of each memory, of all its rows together.

    Raises:
        UserError: with what they need and what there is.
    """
    needed, free = sum(slots) * BYTES_OF_A_SLOT, available_bytes()
    if needed > 0.9 * free:
        raise UserError(
            f"memories of {', '.join(f'{size:,}' for size in slots)} slots need about {needed / 2**30:,.1f} GiB side "
            f"by side and {free / 2**30:,.1f} GiB are free: ask for less with --{option}"
        )


def dense_bytes(slots: int, steps: int) -> float:
    """About what a dense NTM takes to train on a sequence."""
    return DENSE_BYTES_OF_A_SLOT_AND_STEP * slots * steps


def fit_line(sizes: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """Base and slope of the least-squares line through at least two points; the large sizes decide.

    Example:
        >>> base, slope = fit_line([1, 2, 3], [3.0, 5.0, 7.0])
        >>> round(base, 6), round(slope, 6)
        (1.0, 2.0)
    """
    slope, base = np.polyfit(sizes, values, 1)
    return float(base), float(slope)
