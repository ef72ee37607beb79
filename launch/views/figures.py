"""The drawings of a view as models of Bokeh, whose data the page fills in.

Dimensions: T steps, K rows, U slots shown, W word size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from bokeh.layouts import column
from bokeh.models import BasicTicker, ColumnDataSource, CustomJS, Dodge, FixedTicker, LinearColorMapper, Range1d, Span
from bokeh.plotting import figure
from matplotlib.colors import to_hex

from lukasa.launch.pictures.figures import BLUE, COLOURS, ORANGE
from lukasa.launch.views.view import Gradients, Links, Track, View, Words

SHADES = 64
MOST_TICKS = 24
"""Rows up to which each has a line of its own, and its name beside it."""
LINE = 11
"""Pixels of a name beside a row, from above to below."""
MOST_LETTERS = 26
"""Of a name beside a row; the pointer says all of it."""
LEFT, RIGHT, BESIDE = 150, 12, 320
"""Pixels at the sides of the drawings, alike in all, so that steps lie one below another; and width of those beside."""
TOOLS = "xpan,xwheel_zoom,xbox_zoom,reset"


def time_drawings(view: View) -> Any:
    """All tracks one below the other, with the gradients above them, over the same steps."""
    shared = Range1d(start=-0.5, end=view.steps - 0.5, bounds=(-0.5, view.steps - 0.5))
    drawings = [_track(track, number, view, shared) for number, track in enumerate(view.tracks)]
    if view.gradients is not None:
        drawings.insert(0, _gradients(view.gradients, shared))
    if drawings:
        drawings[-1].xaxis.visible = True
        drawings[-1].height += 40
        drawings[-1].xaxis.axis_label = view.step
    return column(*drawings, sizing_mode="stretch_width")


def words_drawing(words: Words) -> Any:
    """What the slots hold at one step, a row a slot."""
    size, count = words.values.shape[2], len(words.slots)
    drawn = _beside(min(420, 90 + 5 * count), (-0.5, size - 0.5), (-0.5, count - 0.5))
    largest = float(abs(words.values).max(initial=1e-12))
    mapper = LinearColorMapper(palette=shades("RdBu_r"), low=-largest, high=largest)
    where = {"x": -0.5, "y": -0.5, "dw": size, "dh": count}
    drawn.image("image", source=ColumnDataSource({"image": []}, name="words"), color_mapper=mapper, **where)
    _name_rows(drawn, words.slots, drawn.height - 60)
    _listen(drawn, "'words'")
    drawn.xaxis.axis_label, drawn.yaxis.axis_label = "number of the word", "slot"
    return drawn


def links_drawing(links: Links) -> Any:
    """After one step a dot for each slot at the slot that was written next, the darker the stronger the link."""
    count = len(links.slots)
    drawn = _beside(260, (-0.5, count - 0.5), (-0.5, count - 0.5))
    source = ColumnDataSource({"slot": [], "following": [], "strength": []}, name="links")
    drawn.scatter("slot", "following", alpha="strength", size=5, color=ORANGE, source=source)
    for axis in (drawn.xaxis, drawn.yaxis):
        places = list(range(0, count, max(1, count // 6)))
        axis.ticker = FixedTicker(ticks=places)
        axis.major_label_overrides = {at: links.slots[at] for at in places}
    drawn.xaxis.axis_label, drawn.yaxis.axis_label = "slot", "written next"
    return drawn


def shades(name: str, count: int = SHADES) -> list[str]:
    """Colours of a colour map of matplotlib."""
    return [to_hex(colour) for colour in mpl.colormaps[name].resampled(count)(range(count))]


def height_of(track: Track) -> int:
    """Pixels of a track: room for the name of each row where there are few."""
    if track.form == "bars":
        return 90
    rows = len(track.rows)
    return 46 + (16 * rows if rows <= MOST_TICKS and track.row not in ("slot", "unit") else min(200, max(60, 2 * rows)))


def _track(track: Track, number: int, view: View, shared: Range1d) -> Any:
    rows, (low, high) = len(track.rows), track.limits
    upwards = track.row in (view.holders, "steps")
    vertical = (-0.5, rows - 0.5) if upwards else (rows - 0.5, -0.5)
    if track.form == "bars":
        vertical = (min(low, 0.0) - 0.05 * (high - low), max(high, 0.0) + 0.05 * (high - low))
    drawn = _over_time(height_of(track), shared, vertical, track.name)
    if track.form == "bars":
        drawn.yaxis.ticker = BasicTicker(desired_num_ticks=3, num_minor_ticks=0)
        source = ColumnDataSource({"step": [], "value": []}, name=f"track {number}")
        drawn.vbar(x="step", top="value", width=0.8, color=BLUE, source=source)
    else:
        palette = shades(track.colours) if track.form == "image" else _symbol_colours(track)
        mapper = LinearColorMapper(palette=palette, low=low, high=high)
        source = ColumnDataSource({"image": []}, name=f"track {number}")
        where = {"x": -0.5, "y": -0.5, "dw": view.steps, "dh": rows}
        drawn.image("image", source=source, color_mapper=mapper, **where)
        _name_rows(drawn, track.rows, drawn.height - 46)
    _listen(drawn, str(number))
    return drawn


def _gradients(gradients: Gradients, shared: Range1d) -> Any:
    drawn = _over_time(120, shared, (0, 1), "gradient of the chosen output")
    drawn.y_range.name = "gradient range"
    drawn.yaxis.ticker = BasicTicker(desired_num_ticks=3, num_minor_ticks=0)
    many = len(gradients.norms) > 1
    for name, colour, shift in zip(gradients.norms, (BLUE, ORANGE), (-0.2, 0.2), strict=False):
        source = ColumnDataSource({"step": [], "value": []}, name=f"gradient {name}")
        x: Any = {"field": "step", "transform": Dodge(value=shift)} if many else "step"
        drawn.vbar(x=x, top="value", width=0.4 if many else 0.8, color=colour, source=source, legend_label=name)
    drawn.legend.location, drawn.legend.orientation = "top_left", "horizontal"
    drawn.legend.background_fill_alpha, drawn.legend.padding = 0.6, 2
    drawn.legend.label_text_font_size = "9px"
    _listen(drawn, "'gradients'")
    drawn.add_layout(
        Span(dimension="height", location=-9, line_color=ORANGE, line_dash="dashed", name="chosen")  # beyond the first
    )
    return drawn


def _over_time(height: int, x_range: Range1d, y_range: tuple[float, float], title: str) -> Any:
    between: Any = y_range
    wide: Any = {"sizing_mode": "stretch_width"}
    drawn: Any = figure(height=height, x_range=x_range, y_range=between, tools=TOOLS, title=title, **wide)
    drawn.toolbar.logo, drawn.toolbar.autohide = None, True
    drawn.min_border_left, drawn.min_border_right = LEFT, RIGHT
    drawn.xaxis.visible, drawn.grid.visible = False, False
    drawn.title.text_font_size = "11px"
    drawn.yaxis.major_label_text_font_size = "9px"
    return drawn


def _beside(height: int, x_range: tuple[float, float], y_range: tuple[float, float]) -> Any:
    within: dict[str, Any] = {"x_range": x_range, "y_range": y_range}
    drawn = figure(width=BESIDE, height=height, tools="", toolbar_location=None, **within)
    drawn.grid.visible = False
    return drawn


def _listen(drawn: Any, track: str) -> None:
    """What the pointer does is heard by the page; no word of a run is in this code."""
    drawn.js_on_event("mousemove", CustomJS(code=f"window.lukasaView.hover({track}, cb_obj.x, cb_obj.y)"))
    drawn.js_on_event("mouseleave", CustomJS(code="window.lukasaView.leave()"))
    if track != "'words'":
        drawn.js_on_event("tap", CustomJS(code="window.lukasaView.go(Math.round(cb_obj.x))"))


def _name_rows(drawn: Any, rows: Sequence[str], height: int) -> None:
    """The name of every row, or of some where there is no room for all in so many pixels."""
    room = max(2, height // LINE)
    every = 1 if len(rows) <= room else -(-len(rows) // min(room, 7))
    places = list(range(0, len(rows), every))
    drawn.yaxis.ticker = FixedTicker(ticks=places)
    drawn.yaxis.major_label_overrides = {at: _short(rows[at]) for at in places}


def _short(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"


def _symbol_colours(track: Track) -> list[str]:
    """A colour for each whole number between the limits; those below zero are none."""
    low, high = (int(end) for end in track.limits)
    return ["#ffffff" if value < 0 else COLOURS[value % (len(COLOURS) - 1)] for value in range(low, high + 1)]
