"""Whether an agent plays worse by its likeliest actions than it did in training, where actions were drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lukasa.ground.statistics import Interval, Z, wilson_interval

EPISODES = 100
"""That the means in a line of metrics are of, at most."""


def note_on_greedy(rows: Sequence[Mapping[str, Any]], step: int, played: Mapping[str, Any]) -> str | None:
    """A sentence where the likeliest actions do clearly worse than those drawn in training; None where they do not.

    Clearly: the 95 % intervals of the two means do not meet. A policy that was rewarded for entropy, or that has just
    learned, can be stuck where its likeliest action leads nowhere, and needs its draws.

    Args:
        rows: the run's metrics.
        step: of the checkpoint that played.
        played: what episodes by the likeliest actions came to, intact.

    Example:
        >>> rows = [{"env_steps": 500, "success_rate": 0.99, "episodes": 200}]
        >>> print(note_on_greedy(rows, 500, {"success_rate": 0.5, "success_interval": (0.4, 0.6)}))
        success rate 0.99 in training, where actions were drawn: add --explore to draw them here too
    """
    row = next((one for one in reversed(rows) if one.get("env_steps") == step), None)
    successes = "success_rate" in played
    key, within = ("success_rate", "success_interval") if successes else ("return_mean", "return_interval")
    known = ("success_rate",) if successes else ("return_mean", "return_std")
    if row is None or not all(isinstance(row.get(name), int | float) for name in known):
        return None
    if _interval_in_training(row, key)[0] <= played[within][1]:
        return None
    what = "success rate" if successes else "mean return"
    return f"{what} {row[key]:.3g} in training, where actions were drawn: add --explore to draw them here too"


def _interval_in_training(row: Mapping[str, Any], key: str) -> Interval:
    count = max(1, min(EPISODES, int(row.get("episodes") or 1)))
    if key == "success_rate":
        return wilson_interval(row[key], count)
    half = Z * row["return_std"] / math.sqrt(count)
    return row[key] - half, row[key] + half
