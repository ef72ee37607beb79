"""The table of what was tried: rows that a program measured, words that people write around them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from lukasa.ground.files import write_text
from tests.launch.mutations import Campaign

HEAD = "| part | what | tried | went on, or was read | refused in one sentence | broken | seed | when |"
START = """# Reliability

{head}
|---|---|---|---|---|---|---|---|
"""


def rows_of(part: str, tried: Mapping[str, Campaign], seed: int) -> dict[tuple[str, str], str]:
    """Lines of the table, by part and by what was done."""
    when, rows = datetime.now(UTC).strftime("%Y-%m-%d %H:%M"), {}
    for what, one in tried.items():
        fine, refused = one.found["right"] + one.found["help"], one.found["sentence"]
        cells = (part, what, one.tried, fine, refused, len(one.broken), seed, when)
        rows[part, what] = "| " + " | ".join(map(str, cells)) + " |"
    return rows


def write_rows(path: Path, rows: Mapping[tuple[str, str], str]) -> None:
    """Put lines into the table of a page, in the place of those of the same part and name; the words stay."""
    text = path.read_text() if path.exists() else START.format(head=HEAD)
    lines = text.splitlines()
    rows = dict(rows)
    begin = lines.index(HEAD) + 2
    end = begin
    while end < len(lines) and lines[end].startswith("|"):
        part, what = re.split(r" *\| *", lines[end])[1:3]
        lines[end] = rows.pop((part, what), lines[end])
        end += 1
    table = sorted([*lines[begin:end], *rows.values()])
    write_text(path, "\n".join([*lines[:begin], *table, *lines[end:]]) + "\n")
