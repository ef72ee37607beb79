"""A watched core as tracks: its weightings, gates and units, what its slots hold, and their links.

Dimensions: T steps, H heads, N slots, U slots shown, W word size, K rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lukasa.launch.pictures.episode_panels import Panel, Slots
from lukasa.launch.pictures.memory_panels import NAMES, WEIGHTINGS, memory_panels
from lukasa.launch.views.tracks import films_of, rows_track, tracks_of
from lukasa.launch.views.view import Film, Links, Track, Words
from lukasa.launch.views.watching import Watched, words_of

MOST_SLOTS = 512
"""Slots that a view shows: those that were used the most."""
MOST_CELLS = 4_000_000
"""Steps times heads times slots that it shows of a sparse memory: more keep a browser busy for a minute."""
MOST_STEPS_OF_AGES = 2000
"""Steps up to which the age of what is read is found: its cost grows with their square."""
MOST_UNITS = 512
"""Rows of a track of units."""


@dataclass(frozen=True)
class CoreView:
    """The part of a view that is about the core.

    Attributes:
        tracks: of all it recorded.
        films: maps of cells.
        words: what the slots hold.
        links: between them.
        notes: what is left out.
    """

    tracks: list[Track]
    films: list[Film]
    words: Words | None
    links: Links | None
    notes: list[str]


def core_view(watched: Watched, lag: int | None = None) -> CoreView:
    """What a core did, in a form that a page can show.

    Args:
        watched: the core.
        lag: steps between a write and the read that needs it, where the environment fixes it.
    """
    recorded, notes = _most_used(watched)
    show = [name for name in NAMES if name != "age" or watched.steps <= MOST_STEPS_OF_AGES]
    if watched.steps > MOST_STEPS_OF_AGES and {"read", "write"} & set(recorded):
        notes.append(f"the age of what is read is left out: it is found for up to {MOST_STEPS_OF_AGES:,} steps")
    panels: list[Panel] = memory_panels(recorded, slots=watched.slots, show=show, lag=lag)
    tracks = tracks_of(panels) or _plain_tracks(watched)
    slots = next((one.slots for one in panels if isinstance(one, Slots) and one.label == "slot"), None)
    if slots is None:
        slots = np.arange(_slots_of_state(watched))
    names = [str(slot) for slot in slots.tolist()]
    words = words_of(watched, slots.tolist()) if len(slots) else None
    return CoreView(
        [_cut(track, notes) for track in tracks],
        films_of(panels),
        None if words is None else Words(names, words),
        _links(watched, slots, names),
        notes,
    )


def _most_used(watched: Watched) -> tuple[dict[str, np.ndarray], list[str]]:
    """A recording without the slots that there is no room for, and what is to be said of them."""
    recorded = dict(watched.recorded)
    listed = [name for name in WEIGHTINGS if f"{name}_slots" in recorded]
    used = [name for name in listed if name in ("read", "write")]
    if not used:
        return recorded, []
    slots = np.concatenate([recorded[f"{name}_slots"].ravel() for name in used])
    weights = np.concatenate([recorded[f"{name}_weights"].ravel() for name in used])
    touched, place = np.unique(slots[slots >= 0], return_inverse=True)
    sums = np.bincount(place, np.abs(weights[slots >= 0]))
    heads = max(recorded[f"{name}_slots"].shape[1] for name in listed)
    most = max(1, min(MOST_SLOTS, MOST_CELLS // max(1, watched.steps * heads)))
    if len(touched) <= most:
        return recorded, []
    kept = touched[np.argsort(-sums, kind="stable")[:most]]
    for name in listed:
        slots = recorded[f"{name}_slots"]
        recorded[f"{name}_slots"] = np.where(np.isin(slots, kept), slots, -1)
    return recorded, [f"{most:,} of {len(touched):,} slots that were touched are shown: those with the most weight"]


def _plain_tracks(watched: Watched) -> list[Track]:
    """Of a core that names nothing this page knows: every part that it recorded, or of its state, by its own name."""
    parts: Mapping[str, np.ndarray] = watched.recorded or watched.state
    tracks = []
    for name, values in parts.items():
        words = name.replace("_", " ").replace(".", " ")
        if values.dtype == bool or np.issubdtype(values.dtype, np.integer):
            values = values.astype(np.float64)
        if values.ndim == 3 and name.rpartition(".")[2] == "memory":
            lengths = np.linalg.norm(values, axis=-1)
            tracks.append(rows_track(f"{words}: length of each word", lengths, row="slot"))
        else:
            tracks.append(rows_track(words, values.reshape(len(values), -1), row="unit"))
    return tracks


def _slots_of_state(watched: Watched) -> int:
    held = watched.recorded.get("memory", watched.state.get("memory"))
    return held.shape[1] if held is not None and held.ndim == 3 else 0


def _links(watched: Watched, slots: np.ndarray, names: list[str]) -> Links | None:
    if watched.following is None or watched.strength is None or not len(slots):
        return None
    place = np.full(int(max(slots.max(), watched.following.max())) + 1, -1)
    place[slots] = np.arange(len(slots))
    following = place[watched.following[:, slots]]
    strength = np.where(following >= 0, watched.strength[:, slots], 0)
    return Links(names, np.maximum(following, 0), strength)


def _cut(track: Track, notes: list[str]) -> Track:
    """A track without the rows that there is no room for: those that vary the least."""
    if len(track.rows) <= MOST_UNITS or track.row == "slot":
        return track
    kept = np.sort(np.argsort(-track.values.std(0), kind="stable")[:MOST_UNITS])
    notes.append(f"{MOST_UNITS} of the {len(track.rows):,} rows of {track.name!r} are shown: those that vary the most")
    return replace(track, values=track.values[:, kept], rows=[track.rows[at] for at in kept])
