"""Runs side by side as one page of HTML: the table, what differs, and the learning curves."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lukasa.ground.files import write_text
from lukasa.launch.kinds.subjects import Subject
from lukasa.launch.views.page import as_json, assembled, bokeh_library

if TYPE_CHECKING:
    from lukasa.launch.pictures.learning import Curve

TEMPLATE = Path(__file__).parent / "page.html"


def write_comparison(
    path: Path,
    subject: Subject,
    table: Sequence[Sequence[str]],
    notes: Iterable[str],
    curves: Sequence[Curve],
) -> Path:
    """Write the page, whole or not at all.

    Args:
        path: of the file; its folder is made.
        subject: what the runs are scored on.
        table: lines of cells, the first with the names of the columns.
        notes: sentences below it.
        curves: a line for each run or experiment of several seeds.
    """
    from bokeh.embed import json_item

    head, *lines = table
    parts = {
        "title": html.escape(subject.name),
        "bokeh": bokeh_library(),
        "table": _line(head, "th") + "".join(_line(line, "td") for line in lines),
        "notes": "".join(f"<li>{html.escape(note)}</li>" for note in notes),
        "drawing": as_json(json_item(_curves(curves, subject))),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, assembled(TEMPLATE, parts))
    return path


def _line(cells: Iterable[str], kind: str) -> str:
    return "<tr>" + "".join(f"<{kind}>{html.escape(cell)}</{kind}>" for cell in cells) + "</tr>\n"


def _curves(curves: Sequence[Curve], subject: Subject) -> Any:
    """The curves with their bands and seeds; a click on a name hides its line."""
    from bokeh.models import HoverTool, NumeralTickFormatter, Span
    from bokeh.plotting import figure

    from lukasa.launch.pictures.figures import COLOURS

    wide: Any = {"sizing_mode": "stretch_width"}
    drawn: Any = figure(height=420, tools="pan,wheel_zoom,box_zoom,reset", **wide)
    lines = []
    for number, curve in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        of_curve = {"color": colour, "legend_label": curve.label}
        for steps, scores in curve.members:
            drawn.line(list(steps), list(scores), line_alpha=0.35, line_width=1, **of_curve)
        if len(curve.low):
            drawn.varea(list(curve.steps), list(curve.low), list(curve.high), alpha=0.18, **of_curve)
        draw = drawn.scatter if len(curve.steps) == 1 else drawn.line
        width = {} if len(curve.steps) == 1 else {"line_width": 2}
        lines.append(draw(list(curve.steps), list(curve.scores), **width, **of_curve))
    for level in (subject.best, subject.chance):
        if level is not None:
            drawn.add_layout(Span(dimension="width", location=level, line_color="#666666", line_dash="dashed"))
    # Numbers alone: a name would be taken for HTML.
    drawn.add_tools(HoverTool(renderers=lines, tooltips=[(subject.counted, "@x{0,0}"), (subject.unit, "@y{0.0000}")]))
    drawn.xaxis.axis_label, drawn.yaxis.axis_label = subject.counted, f"mean {subject.unit}{subject.averaged}"
    drawn.xaxis.formatter = NumeralTickFormatter(format="0a")
    drawn.toolbar.logo, drawn.legend.click_policy, drawn.legend.label_text_font_size = None, "hide", "11px"
    drawn.add_layout(drawn.legend[0], "below")
    return drawn
