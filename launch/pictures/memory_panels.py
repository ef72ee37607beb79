"""What ``memory.record`` kept of an episode, as panels of a picture.

Dimensions: T steps, R read heads, P write heads, H heads that do both, N slots, U slots used, S shifts, L steps kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import nearest
from lukasa.launch.pictures.episode_panels import Features, Frames, Panel, Slots, Symbols
from lukasa.launch.pictures.figures import BAD, COLOURS
from lukasa.launch.pictures.slot_views import LEAST, SlotView, ages, dense_view, sparse_view
from lukasa.launch.pictures.stack_panels import stack_panels

SHOWN = (
    "write",
    "read",
    "age",
    "attention",
    "map",
    "window",
    "relations",
    "stacks",
    "ponder",
    "hidden",
    "matrices",
    "gates",
    "usage",
)
"""What is drawn unless somebody says otherwise, as far as the core has it."""

WEIGHTINGS = {"write": "Blues", "read": "Oranges", "least_used": "Greys", "usage": "Greens"}
WEIGHTINGS |= {"allocation": "Purples", "precedence": "Purples"}
"""What is a number for each slot, with its colours."""

GATES = {
    "write_gate": ("write gate",),
    "allocation_gate": ("allocation gate",),
    "write_gates": ("write gate",),
    "write_interpolation_gates": ("write interpolation gate",),
    "read_interpolation_gates": ("read interpolation gate",),
    "interpolation_gates": ("interpolation gate",),
    "free_gates": ("free gate",),
    "read_modes": ("read backward", "read by content", "read forward"),
    "decay_gates": ("share kept",),
    "strength_gates": ("write strength",),
    "write_shifts": ("write shift",),
    "read_shifts": ("read shift",),
    "recency_gates": ("read least recent gate", "write least recent gate"),
    "input_gate": ("input gate",),
    "slot_input_gates": ("input gate of slot",),
    "slot_forget_gates": ("forget gate of slot",),
}
"""Names of the rows of what lies between 0 and 1; with several heads their numbers follow."""

NAMES = (*SHOWN, "least_used", "allocation", "precedence", "strengths", "sharpness", "memory")


def choose(text: str | None) -> tuple[str, ...]:
    """Which parts to draw, from an option such as "write,read"; "all" for all.

    Raises:
        UserError: there is no such part.

    Example:
        >>> choose("read,gates")
        ('read', 'gates')
    """
    if text is None:
        return SHOWN
    if text.strip() == "all":
        return NAMES
    names = [name.strip().replace("-", "_") for name in text.split(",")]
    for name in names:
        if name not in NAMES:
            raise UserError(f"option --show has no part {name!r}: {nearest(name, NAMES)}")
    return tuple(names)


def memory_panels(
    recorded: Mapping[str, np.ndarray],
    *,
    slots: int | None = None,
    show: Sequence[str] = SHOWN,
    lag: int | None = None,
) -> list[Panel]:
    """The panels of a recording, in the order of ``show``.

    Args:
        recorded: what ``memory.record`` stacked, without its batch: [T, ...] by name.
        slots: N, for sparse weightings, which do not say it.
        show: names of the parts; those that the core does not have are left out.
        lag: steps between a write and the read that needs it, where the environment fixes it.
    """
    view = _view(recorded, slots)
    panels: list[Panel] = []
    for name in show:
        if view is not None and name in view.weights:
            panels += _weightings(name, view)
        elif name == "age" and view is not None and {"read", "write"} <= set(view.weights):
            panels.append(_age(view, lag))
        elif name == "attention" and name in recorded:
            panels += _attention(recorded[name], lag)
        elif name == "relations" and "slot_attention" in recorded:
            panels += _relations(recorded["slot_attention"])
        elif name == "stacks":
            panels += stack_panels(recorded)
        elif name == "ponder" and name in recorded:
            panels.append(Symbols("steps of thought", recorded[name]))
        elif name == "map" and name in recorded:
            panels += _maps(recorded)
        elif name == "window" and name in recorded:
            panels += _windows(recorded[name])
        elif name == "hidden" and name in recorded:
            panels.append(Features("hidden units", recorded[name], limits=(-1, 1), colours="RdBu_r"))
        elif name == "matrices" and name in recorded:
            panels.append(_matrices(recorded[name]))
        elif name == "gates":
            panels += _gates(recorded)
        elif name in ("strengths", "sharpness"):
            panels += [_rows(one, recorded[one]) for one in recorded if one.endswith(name)]
        elif name == "memory" and name in recorded:
            panels.append(_norms(recorded[name]))
    return panels


def _view(recorded: Mapping[str, np.ndarray], slots: int | None) -> SlotView | None:
    """Everything over slots that is to be drawn, over the slots that reads and writes used."""
    listed = {
        name: (recorded[f"{name}_slots"], recorded[f"{name}_weights"])
        for name in WEIGHTINGS
        if f"{name}_slots" in recorded
    }
    if listed:
        return sparse_view(listed, slots)
    heads = {name: recorded[name] for name in ("write", "read") if name in recorded}
    if not heads:
        return None
    used = dense_view(heads)
    more = {name: recorded[name] for name in WEIGHTINGS if name in recorded and name not in heads}
    more = {name: (one[:, None] if one.ndim == 2 else one) * 1.0 for name, one in more.items()}
    return SlotView(
        used.slots,
        used.total,
        used.by_first_use,
        dict(used.weights) | {name: one[..., used.slots] for name, one in more.items()},
    )


def _weightings(name: str, view: SlotView) -> list[Panel]:
    weights, colours = view.weights[name], WEIGHTINGS[name]
    heads = weights.shape[1]
    words = {"read": "read head", "write": "write head"}.get(name, name.replace("_", " "))
    top = None if weights.max(initial=0) <= 1 else float(weights.max())  # usage that sums over steps
    captions = [f"{words}{f' {head + 1}' if heads > 1 else ''}: {view.caption}" for head in range(heads)]
    return [Slots(captions[head], weights[:, head], view.slots, colours, top=top) for head in range(heads)]


def _age(view: SlotView, lag: int | None) -> Panel:
    """How many steps before what is read was written; of several heads the mean."""
    found = ages(view.weights["read"], view.weights["write"], view.weights.get("least_used")).mean(1)
    heads = view.weights["read"].shape[1]
    of = f", the mean of {heads} read heads" if heads > 1 else ""
    return _by_age(found, f"age of what is read: steps since it was written{of}", lag)


def _by_age(found: np.ndarray, caption: str, lag: int | None) -> Panel:
    """Weights [T, ages] up to the oldest that counts."""
    old = (found.max(0) >= LEAST * found.max(initial=1e-12)).nonzero()[0]
    most = max(int(old[-1]) if len(old) else 0, lag or 0, 3) + 2
    found = found[:, :most]
    mark = None if lag is None else (lag, f"{lag} steps ago is asked for")
    return Slots(caption, found, np.arange(found.shape[1]), "Oranges", "steps", mark)


def _attention(weights: np.ndarray, lag: int | None) -> list[Panel]:
    """Weights [T, blocks, L + 1], the step itself last, by how far they reach back."""
    return [
        _by_age(weights[:, block, ::-1], f"attention block {block + 1}: steps back", lag)
        for block in range(weights.shape[1])
    ]


def _maps(recorded: Mapping[str, np.ndarray]) -> list[Panel]:
    """A map of cells, [T, H, W]: how much is in each, where it was written, and which were read by content."""
    held, at = recorded["map"], np.clip(recorded["map_write"], 0, 1)[..., None]
    shades = np.clip(held / max(float(held.max(initial=0)), 1e-12), 0, 1)[..., None]
    written = (1 - shades) + shades * np.array(to_rgb(COLOURS[0]))
    written = (1 - at) * written + at * np.array(to_rgb(BAD))
    read = recorded["map_read"]
    top = 1.0 if read.max(initial=0) > 0.5 else 0.5  # what is read of no cell in particular stays pale
    found = np.clip(read / top, 0, 1)[..., None]
    sought = (1 - found) + found * np.array(to_rgb(COLOURS[1]))
    return [Frames("map, and the\ncell written", written), Frames("map, what is\nread of it", sought)]


def _windows(signals: np.ndarray) -> list[Panel]:
    """What each memory holds of the past, [T, memories, steps back]; of the same sign the same colour."""
    memories, most = signals.shape[1], float(abs(signals).max(initial=1e-12))
    captions = [f"memory{f' {number + 1}' if memories > 1 else ''}: steps back" for number in range(memories)]
    return [
        Features(captions[number], signals[:, number], limits=(-most, most), colours="RdBu_r")
        for number in range(memories)
    ]


def _relations(weights: np.ndarray) -> list[Panel]:
    """Weights [T, heads, N, N + 1] by which slots attend to slots and, last, to the input; the mean of all heads."""
    weights = weights.mean(1)
    slots = np.arange(weights.shape[1])
    others = weights[:, :, :-1].sum(2) - weights[:, slots, slots]
    captions = ("attention of each slot to the input", "attention of each slot to the other slots")
    shown = zip(captions, (weights[:, :, -1], others), ("Oranges", "Purples"), strict=True)
    return [Slots(caption, values, slots, colours) for caption, values, colours in shown]


def _gates(recorded: Mapping[str, np.ndarray]) -> list[Panel]:
    rows: list[tuple[str, np.ndarray]] = []
    for name, words in GATES.items():
        if name in recorded:
            values = recorded[name]
            rows += _named_rows(values.reshape(len(values), -1, *values.shape[2:]), words)
    if not rows:
        return []
    names, values = zip(*rows, strict=True)
    return [Features("gates", np.stack(values, 1), names, (0, 1), "Greys")]


def _named_rows(values: np.ndarray, words: Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Gates [T, heads] or [T, heads, kinds] as rows [T] with their names."""
    if values.ndim == 2:
        values = values[..., None]
    kinds = list(words)
    if len(kinds) < values.shape[2]:  # shifts: as many names as there are
        half = values.shape[2] // 2
        kinds = [f"{words[0]} {shift:+d}".replace("-", "−").replace("+0", "0") for shift in range(-half, half + 1)]
    heads, single = values.shape[1], values.shape[2] == 1
    rows = [(head, at) for head in range(heads) for at in range(len(kinds))]
    return [(_of_head(kinds[at], head, heads, single), values[:, head, at]) for head, at in rows]


def _of_head(kind: str, head: int, heads: int, single: bool) -> str:
    if heads == 1:
        return kind
    return f"{kind} {head + 1}" if single else f"head {head + 1} {kind}"


def _rows(name: str, values: np.ndarray) -> Panel:
    flat = values.reshape(len(values), -1)
    words = name.replace("_", " ")
    words = words if words.endswith("ss") else words.removesuffix("s")
    names = [words if flat.shape[1] == 1 else f"{words} {head + 1}" for head in range(flat.shape[1])]
    return Features("", flat, names)


def _norms(memory: np.ndarray) -> Panel:
    """The length of the word in each slot that ever held more than it began with."""
    norms: Any = np.linalg.norm(memory, axis=-1)[:, None]
    view = dense_view({"memory": norms})
    lengths = view.weights["memory"][:, 0]
    return Slots(f"length of each word: {view.caption}", lengths, view.slots, "Greys", top=float(lengths.max()) or None)


def _matrices(matrices: np.ndarray) -> Panel:
    """Of matrices [T, heads, keys, values] the length of every row: how much is held under each number of a key."""
    lengths: Any = np.linalg.norm(matrices, axis=-1)
    heads = matrices.shape[1]
    of = f", {heads} matrices one below another" if heads > 1 else ""
    return Features(f"matrix: length of each row{of}", lengths.reshape(len(lengths), -1), colours="Greys")
