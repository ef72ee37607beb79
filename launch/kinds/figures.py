"""The one figure that says how good a trained model is, out of what ``lukasa eval --json`` prints of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lukasa.launch.runs.saved_values import without_nan

Result = Mapping[str, Any]
"""What ``lukasa eval --json`` prints."""

FigureOf = Callable[[Result], dict[str, Any]]
"""From a result to its figure, as ``figure`` makes it."""


def figure(
    measure: str,
    row: Result,
    *,
    key: str = "score",
    interval: str = "interval",
    of: str,
    chance: float | None = None,
    best: float | None = None,
    ablation: Mapping[str, Result] | None = None,
) -> dict[str, Any]:
    """A figure as values of JSON.

    Args:
        measure: its unit, for people: "mean return".
        row: that has it.
        key: of the figure in the row.
        interval: key of its 95 % confidence interval; null where the row has none.
        of: what it was measured on, for people: "200 test sequences".
        chance: the figure of a guess.
        best: the best there is.
        ablation: by what was wiped, the row that was measured then.
    """
    found = {"value": row[key], "interval": row.get(interval)}
    wiped = {name: {"value": one[key], "interval": one.get(interval)} for name, one in (ablation or {}).items()}
    return without_nan({"measure": measure, **found, "of": of, "chance": chance, "best": best, "ablation": wiped})


def wiped_rows(result: Result) -> dict[str, Result]:
    """The rows of ``--ablation`` by what was wiped, without that of the intact one."""
    return {row["without"]: row for row in result.get("ablation", ()) if row["without"] is not None}


def show_figure(found: Mapping[str, Any]) -> str:
    """A figure for people.

    Example:
        >>> wiped = {"memory": {"value": -0.483, "interval": None}}
        >>> about = {"measure": "mean return", "interval": (0.994, 0.998), "of": "100 episodes"}
        >>> show_figure({**about, "value": 0.996, "chance": -0.5, "best": 1.0, "ablation": wiped})
        'mean return 0.996 (0.994 to 0.998) of 100 episodes; chance -0.5, best 1; without memory -0.483'
    """
    text = f"{found['measure']} {show_number(found['value'])}"
    if found["interval"]:
        text += " ({} to {})".format(*map(show_number, found["interval"]))
    text += f" of {found['of']}"
    beside = [f"{name} {found[name]:g}" for name in ("chance", "best") if found[name] is not None]
    wiped = [f"without {name} {show_number(one['value'])}" for name, one in found["ablation"].items()]
    return "; ".join([text, *([", ".join(beside)] if beside else []), *([", ".join(wiped)] if wiped else [])])


def show_number(value: float | None) -> str:
    """A number of a card for people.

    Example:
        >>> [show_number(value) for value in (0.99612, 1234.5, None)]
        ['0.996', '1,234', '-']
    """
    if value is None:
        return "-"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
