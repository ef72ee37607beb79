"""Writes a view as one file of HTML, which needs neither a server nor a network.

The drawings are Bokeh's, whose library lies in the file. All that comes from a run is data: numbers as bytes, and texts
in JSON, which the page sets as text.
"""

from __future__ import annotations

import html
import importlib.util
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lukasa.ground.files import write_text
from lukasa.ground.mistakes import UserError
from lukasa.launch.views.packing import as_bytes, packed, packed_numbers, png, size_of
from lukasa.launch.views.view import Film, Links, Track, View, Words

HERE = Path(__file__).parent
PAGES = (".html", ".htm")
"""Ends of the names of pages."""
MOST_STEPS = 30_000
"""Steps of a view: browsers draw no wider pictures."""
MOST_OF_WORDS, MOST_OF_FILMS = 3_800_000, 1_900_000
"""Characters that words and pictures may take in the page; coarser ones take their place where they would take more."""
LEVELS_OF_TRACKS = 255
LEVELS = (254, 30, 6)
"""Of words, from fine to coarse; even, so that 0 stays 0."""
SIDES = (240, 120, 60, 30)
"""Pixels of pictures, from large to small."""
DIGITS = 4
"""Of gradients that mean something."""


def check_page(out: str | None) -> None:
    """Refuse a page that cannot be written, before anything is played.

    Raises:
        UserError: its name does not end in .html, its folder is missing, or Bokeh is not installed.
    """
    if out is not None:
        path = Path(out)
        if path.suffix.lower() not in PAGES:
            raise UserError(f"--out {out} is not a page: give a file that ends in .html")
        if path.is_dir():
            raise UserError(f"--out {out} is a folder: give the name of a file in it")
        if not path.absolute().parent.is_dir():
            raise UserError(f"--out {out}: there is no folder {path.absolute().parent}: make it, or choose another")
    if importlib.util.find_spec("bokeh") is None:
        raise UserError("a page needs the package bokeh, which is not installed: pip install 'lukasa[view]'")


def write_page(view: View, path: Path) -> Path:
    """Write a view as a page, whole or not at all.

    Args:
        view: what to show.
        path: of the file; its folder is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, page(view))
    return path


def page(view: View) -> str:
    """The page as text.

    Raises:
        UserError: there are no steps, or too many to be drawn.
    """
    if not 1 <= view.steps <= MOST_STEPS:
        raise UserError(f"there are {view.steps:,} steps to show: expected 1 to {MOST_STEPS:,}, --steps N shows fewer")
    data = describe(view)
    parts = {
        "title": html.escape(view.title),
        "style": (HERE / "page.css").read_text(encoding="utf-8"),
        "bokeh": bokeh_library(),
        "data": as_json(data),
        "drawings": as_json(_drawings(view, data["words"] is not None)),
        "program": (HERE / "page.js").read_text(encoding="utf-8"),
    }
    return assembled(HERE / "page.html", parts)


def bokeh_library() -> str:
    """The library that draws, as a script; the parts of it that a page needs."""
    from bokeh.resources import Resources

    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)


def assembled(template: Path, parts: Mapping[str, str]) -> str:
    """A page out of a template that names its parts, each as ``@name@``."""
    first, *pieces = template.read_text(encoding="utf-8").split("@")
    # Between two of the marks there is the name of a part and then text: nothing that is put in is read again.
    return first + "".join(parts[piece] if at % 2 == 0 else piece for at, piece in enumerate(pieces))


def as_json(value: Any) -> str:
    """JSON whose texts cannot end the script element that they lie in: only a ``<`` could, and it has another spelling.

    Example:
        >>> "<" in as_json({"said": "</script>"}), json.loads(as_json({"said": "</script>"}))
        (False, {'said': '</script>'})
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def describe(view: View) -> dict[str, Any]:
    """What the page is given: texts as they are and numbers packed."""
    notes = list(view.notes)
    return {
        "title": view.title,
        "subtitle": view.subtitle,
        "steps": view.steps,
        "step": view.step,
        "tracks": [_track(track) for track in view.tracks],
        "films": _films(view.films, notes),
        "texts": [_text(label, lines) for label, lines in view.texts.items()],
        "contents": dict(view.contents),
        "holders": view.holders,
        "words": _words(view.words, notes),
        "links": None if view.links is None else _links(view.links),
        "gradients": _gradients(view),
        "notes": notes,
    }


def _track(track: Track) -> dict[str, Any]:
    low, high = track.limits
    # Whole numbers stay whole.
    whole = high - low <= LEVELS_OF_TRACKS and all(
        np.array_equal(one, np.rint(one)) for one in (track.values, low, high)
    )
    levels = int(high - low) if whole else LEVELS_OF_TRACKS
    return {
        "name": track.name,
        "rows": list(track.rows),
        "row": track.row,
        "form": track.form,
        "symbols": list(track.symbols),
        "packed": packed(track.values, track.limits, levels),
    }


def _words(words: Words | None, notes: list[str]) -> dict[str, Any] | None:
    """Words as finely as there is room for."""
    if words is None:
        return None
    largest = float(np.abs(np.nan_to_num(words.values)).max(initial=1e-12))
    for levels in LEVELS:
        found = packed(words.values, (-largest, largest), levels)
        if size_of(found) <= MOST_OF_WORDS:
            if levels != LEVELS[0]:
                notes.append(f"what the slots hold is rounded to {levels + 1} levels, to keep the page small")
            return {"slots": list(words.slots), "packed": found}
    notes.append("what the slots hold is left out: it would make the page too large")
    return None


def _links(links: Links) -> dict[str, Any]:
    return {
        "slots": list(links.slots),
        "following": packed_numbers(links.following),
        "strength": packed(links.strength, (0.0, 1.0)),
    }


def _films(films: Sequence[Film], notes: list[str]) -> list[dict[str, Any]]:
    """Every different picture once, as large as there is room for."""
    made: list[dict[str, Any]] = []
    for film in films:
        images = as_bytes(film.images)
        places, kept = _distinct(images)
        for side in SIDES:
            pictures = _pictures((images[at] for at in kept), side, MOST_OF_FILMS / len(films))
            if pictures is not None:
                made.append({"label": film.label, "places": places, "pictures": pictures})
                break
        else:
            notes.append(f"the pictures of {film.label!r} are left out: they would make the page too large")
    return made


def _pictures(images: Iterable[np.ndarray], side: int, most: float) -> list[str] | None:
    """Pictures as text; None as soon as they take more characters than that, which spares the rest of a long film."""
    made, size = [], 0
    for image in images:
        made.append(png(image, side))
        size += len(made[-1])
        if size > most:
            return None
    return made


def _distinct(images: np.ndarray) -> tuple[list[int], list[int]]:
    """For each step the place of its picture among the different ones, and a step that each of these is of."""
    seen: dict[bytes, int] = {}
    places, kept = [], []
    for step, image in enumerate(images):
        key = image.tobytes()
        if key not in seen:
            seen[key] = len(kept)
            kept.append(step)
        places.append(seen[key])
    return places, kept


def _gradients(view: View) -> dict[str, Any] | None:
    """Norms with the digits that mean something, each row up to its own output."""
    found = view.gradients
    if found is None:
        return None
    ends = [step + 1 for step in found.steps]
    norms = {
        name: [_rounded(row[:end]) for row, end in zip(rows, ends, strict=True)] for name, rows in found.norms.items()
    }
    return {"steps": [int(step) for step in found.steps], "norms": norms, "of": found.of}


def _text(label: str, lines: Sequence[str]) -> dict[str, Any]:
    """A text for each step; one of several lines is drawn with letters, all of the same width."""
    return {"label": label, "lines": list(lines), "drawn": any("\n" in line for line in lines)}


def _rounded(values: np.ndarray) -> list[float]:
    return [float(f"{one:.{DIGITS}g}") for one in np.nan_to_num(values)]


def _drawings(view: View, with_words: bool) -> dict[str, Any]:
    from bokeh.embed import json_item

    from lukasa.launch.views.figures import links_drawing, time_drawings, words_drawing

    drawn = {"time": time_drawings(view)}
    if view.words is not None and with_words:
        drawn["words"] = words_drawing(view.words)
    if view.links is not None:
        drawn["links"] = links_drawing(view.links)
    return {target: json_item(one) for target, one in drawn.items()}
