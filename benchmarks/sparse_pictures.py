"""Time and memory against the number of slots, as figure 1 of Rae et al. 2016 has them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lukasa.benchmarks import published_sparse as published
from lukasa.benchmarks.sparse_report import MIB, counted, markdown
from lukasa.ground.files import write_text
from lukasa.launch.pictures.figures import save_figure

Points = Iterable[tuple[float, float]]
SPARSE, DENSE = "C0", "C3"


def save(result: dict[str, Any], folder: Path) -> list[Path]:
    """Write sparse.md, sparse.json and two pictures; their places."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "sparse.json", json.dumps(result, indent=1, allow_nan=False) + "\n")
    write_text(folder / "sparse.md", markdown(result))
    draw_times(result, folder / "time.png")
    draw_memory(result, folder / "memory.png")
    return [folder / name for name in ("sparse.json", "sparse.md", "time.png", "memory.png")]


def draw_times(result: dict[str, Any], path: Path) -> None:
    """Milliseconds a step against slots, dense beside sparse."""
    figure, axes = _axes("ms per step, forward and backward")
    _line(axes, [(row["slots"], row["ms"]) for row in result["times"]], SPARSE, "sam")
    dense = [(row["slots"], row["ms"]) for row in result["dense_times"]]
    _line(axes, dense, DENSE, "dense NTM")
    _extrapolation(axes, dense, result["against_dense"]["time"], 1)
    public = [(row["slots"], row["ms"]) for row in result["against_public"]]
    _mark(axes, public, "0.4", "s", "public SAM (pytorch-dnc)")
    _mark(axes, [(published.PAPER_SLOTS_OF_TIME, published.PAPER_MS["sam"])], SPARSE, "*", "SAM, Rae et al. 2016")
    _mark(axes, [(published.PAPER_SLOTS_OF_TIME, published.PAPER_MS["ntm"])], DENSE, "*", "NTM, Rae et al. 2016")
    _finish(figure, axes, path)


def draw_memory(result: dict[str, Any], path: Path) -> None:
    """Extra memory of a sequence against slots, dense beside sparse."""
    key, steps = counted(result), result["experiment"]["steps"]
    figure, axes = _axes(f"extra MiB to train on {steps} steps")
    lines = {
        core: [(row["slots"], row[key] / MIB) for row in result["memory"] if row["core"] == core]
        for core in ("sam", "ntm")
    }
    _line(axes, lines["sam"], SPARSE, "sam")
    _line(axes, lines["ntm"], DENSE, "dense NTM")
    _extrapolation(axes, lines["ntm"], result["against_dense"]["memory"], MIB)
    _mark(axes, [(published.PAPER_SLOTS_OF_MEMORY, published.PAPER_EXTRA_MIB)], SPARSE, "*", "SAM, Rae et al. 2016")
    _mark(axes, [(published.PAPER_SLOTS_OF_MEMORY, published.PAPER_DENSE_MIB)], DENSE, "*", "NTM, Rae et al. 2016")
    _finish(figure, axes, path)


def _axes(label: str) -> tuple[Figure, Axes]:
    figure, axes = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set(xlabel="slots", ylabel=label)
    return figure, axes


def _line(axes: Axes, points: Points, color: str, label: str) -> None:
    points = sorted(points)
    axes.plot(*_columns(points), color=color, marker="o", markersize=4, label=label)


def _extrapolation(axes: Axes, measured: Points, rows: list[dict[str, Any]], unit: float) -> None:
    beyond = [(row["slots"], row["dense"] / unit) for row in rows if row["extrapolated"]]
    if beyond:
        axes.plot(*_columns([max(measured), *sorted(beyond)]), color=DENSE, linestyle=":", label="extrapolated")


def _mark(axes: Axes, points: Points, color: str, marker: str, label: str) -> None:
    axes.scatter(*_columns(list(points)), color=color, marker=marker, s=50, label=label, zorder=3)


def _columns(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [size for size, _ in points], [value for _, value in points]


def _finish(figure: Figure, axes: Axes, path: Path) -> None:
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    save_figure(figure, path)
