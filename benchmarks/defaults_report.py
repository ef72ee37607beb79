"""The table of ``lukasa bench defaults`` in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median
from typing import Any

Cell = Mapping[str, Any]

ORDER = ("feedforward", "gru", "lstm", "ntm", "sam", "PPO", "RecurrentPPO")
"""Agents, as columns; others follow."""


def page(cells: Sequence[Cell]) -> str:
    """Returns by environment and agent, then what went with them.

    Args:
        cells: lines of the benchmark's file; the last of the same cell counts.
    """
    unique = list({tuple(one[name] for name in ("agent", "env", "seed", "steps")): one for one in cells}.values())
    agents = sorted({one["agent"] for one in unique}, key=lambda name: [*ORDER, name].index(name))
    envs = list(dict.fromkeys((one["env"], one["steps"]) for one in unique))
    head = ["environment", "steps", *agents]
    rows = []
    for env, steps in envs:
        here = [one for one in unique if (one["env"], one["steps"]) == (env, steps)]
        found = [score([one["score"] for one in here if one["agent"] == agent]) for agent in agents]
        rows.append([env, f"{steps:,}", *found])
    parts = [_table(head, rows), _times(unique, agents), _warnings(unique)]
    return "\n\n".join(filter(None, parts)) + "\n"


def score(values: Iterable[float | None]) -> str:
    """The mean over seeds, the lowest and highest of them and their number.

    Example:
        >>> score([1.0, 2.0, 6.0])
        '3 (1 to 6, 3 seeds)'
        >>> score([-0.25])
        '-0.25'
        >>> score([])
        ''
    """
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return _digits(known[0]) if known else ""
    return f"{_digits(fmean(known))} ({_digits(min(known))} to {_digits(max(known))}, {len(known)} seeds)"


def _digits(value: float) -> str:
    """Three digits that mean something; 0.996 stays below 1."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{float(f'{value:.3g}'):g}"


def _times(cells: Sequence[Cell], agents: Sequence[str]) -> str:
    rows = []
    for agent in agents:
        own = [one for one in cells if one["agent"] == agent]
        speed = median(one["steps"] / one["seconds"] for one in own)
        rows.append([agent, str(len(own)), f"{speed:,.0f}", f"{median(one['load'] for one in own):.0f}"])
    return _table(["agent", "cells", "steps a second (median)", "load of the machine (median)"], rows)


def _warnings(cells: Sequence[Cell]) -> str:
    warned = [one for one in cells if one.get("warned")]
    lines = [f"- {one['agent']} on {one['env']}, seed {one['seed']}: {'; '.join(one['warned'])}" for one in warned]
    return "\n".join(["Runs that said that they were not learning:", "", *lines]) if lines else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
