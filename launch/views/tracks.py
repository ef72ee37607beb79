"""Panels of a picture as tracks, films and texts of a view.

Dimensions: T steps, K rows.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lukasa.launch.pictures.episode_panels import Features, Frames, Panel, Rewards, Slots, Strip, Symbols
from lukasa.launch.pictures.tape_panels import Tape, Written
from lukasa.launch.views.view import Film, Track

MOST_NAMED = 24
"""Symbols with names that get a row each."""
DARKEST = 0.5
"""Weights below this one all over are drawn up to it, so that a head that is nowhere in particular stays pale."""


def tracks_of(panels: Iterable[Panel]) -> list[Track]:
    """The tracks of panels; those that are pictures are left to ``films_of``."""
    return [track for panel in panels for track in _tracks(panel)]


def films_of(panels: Iterable[Panel]) -> list[Film]:
    """The films of panels."""
    films = []
    for panel in panels:
        if isinstance(panel, Strip):
            films.append(Film(panel.label, 1 - panel.images))
        elif isinstance(panel, Frames):
            films.append(Film(panel.label.replace("\n", " "), panel.images))
    return films


def _tracks(panel: Panel) -> list[Track]:
    if isinstance(panel, Slots):
        return [slot_track(panel)]
    if isinstance(panel, Features):
        row = "unit" if panel.label.startswith("hidden") else "row"
        return [rows_track(panel.label, panel.values, panel.names, panel.limits, panel.colours, row)]
    if isinstance(panel, Symbols):
        return [symbols_track(panel.label, panel.values, panel.names)]
    if isinstance(panel, Written):
        return [symbols_track("written", np.asarray(panel.values))]
    if isinstance(panel, Rewards):
        values = np.nan_to_num(np.asarray(panel.values, np.float64))[:, None]
        return [Track("reward", values, ["reward"], _spread(values, 0.0), form="bars")]
    return _tape(panel) if isinstance(panel, Tape) else []


def slot_track(panel: Slots) -> Track:
    """Weights over slots."""
    largest = float(np.nanmax(panel.values, initial=0))
    top = panel.top or (1.0 if largest > DARKEST else DARKEST)
    rows = [str(slot) for slot in panel.slots.tolist()]
    return Track(panel.caption, panel.values, rows, (0.0, top), panel.colours, row=panel.label)


def rows_track(
    name: str,
    values: np.ndarray,
    names: Iterable[str] = (),
    limits: tuple[float, float] | None = None,
    colours: str = "cividis",
    row: str = "row",
) -> Track:
    """Several numbers a step, [T, K]; without names the rows are numbered."""
    rows = list(names)
    rows = rows if len(rows) == values.shape[1] else [str(number) for number in range(values.shape[1])]
    return Track(name, values, rows, limits or _spread(values), colours, row)


def symbols_track(name: str, values: np.ndarray, names: Iterable[str] = ()) -> Track:
    """One of several values a step, whole numbers [T]; a few that have names get a row each."""
    whole, known = np.asarray(values).reshape(len(values)).astype(np.int64), list(names)
    if known and len(known) <= MOST_NAMED and whole.min(initial=0) >= 0 and whole.max(initial=0) < len(known):
        return Track(name, np.eye(len(known))[whole], known, (0.0, 1.0), "Blues", name)
    # Negative numbers are none.
    limits = (min(0.0, float(whole.min(initial=0))), max(1.0, float(whole.max(initial=0))))
    return Track(name, whole[:, None], [name], limits, form="symbols", symbols=known)


def _tape(panel: Tape) -> list[Track]:
    """What is on a tape, and where its head is."""
    steps, cells = panel.values.shape
    heads, rows = np.zeros((steps, cells)), [str(cell) for cell in range(cells)]
    here = np.nonzero(np.isfinite(panel.heads) & (panel.heads >= 0) & (panel.heads < cells))[0]
    heads[here, panel.heads[here].astype(int)] = 1
    shown = np.where(panel.values == panel.blank, -1, panel.values)
    limits = (-1.0, max(1.0, float(shown.max(initial=0))))
    return [
        Track(panel.label, shown, rows, limits, row="cell", form="symbols"),
        Track(f"{panel.label}: head", heads, rows, row="cell"),
    ]


def _spread(values: np.ndarray, *more: float) -> tuple[float, float]:
    """From the lowest to the highest of what is finite, and never nothing."""
    known = np.append(np.asarray(values, np.float64)[np.isfinite(values)], more)
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
