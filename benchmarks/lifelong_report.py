"""What ``lukasa bench lifelong`` found, as a page and on the screen.

Keys of a result: ``accuracy`` by ``shots``, ``keep`` and ``index``: percent right of ``all`` characters and of the
``new`` ones, both among all, with half of the 95 % confidence interval over characters, and ``new_alone``, of the new
ones among themselves. ``times`` by ``what`` is stored and ``index``: median ``ms`` of one query and ``low``est,
``batch_ms`` of one in a batch, ``learn_seconds``, percent ``right`` and ``as_exact`` of the queries that were timed.
``embed_ms`` of a drawing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lukasa.ground.files import write_text

Numbers = dict[str, Any]
Rows = list[list[str]]


def sections(result: Numbers) -> list[tuple[str, list[str], Rows, str]]:
    """Title, header, rows and remark of each table."""
    return [_accuracy(result), _times(result)]


def _accuracy(result: Numbers) -> tuple[str, list[str], Rows, str]:
    rows = [
        [
            str(row["shots"]),
            row["keep"],
            f"{row['stored']:,}",
            row["index"],
            *(f"{row[what]:.1f} ± {row[f'{what}_half_interval']:.1f}" for what in ("all", "new")),
            f"{row['new_alone']:.1f}",
        ]
        for row in result["accuracy"]
    ]
    among, new = f"{result['characters']:,}", f"{result['new']:,}"
    header = ["learned", "kept", "stored", "index", f"{among}-way %", f"new, {among}-way %", f"new, {new}-way %"]
    remark = (
        "Learned: drawings of each character; all its others are named. ±: 95 % confidence over characters. New: those "
        f"that the encoder was trained without. The {new} new alone are learned without the others. FAISS has "
        "inverted lists from the first embedding on; by default it scans up to 8,192, and then answers as exact does."
    )
    return "Accuracy", header, rows, remark


def _times(result: Numbers) -> tuple[str, list[str], Rows, str]:
    rows = [
        [
            f"{row['stored']:,} {row['what']}",
            row["index"],
            f"{row['ms']:.2f} ({row['low']:.2f})",
            f"{row['batch_ms']:.3f}",
            f"{row['as_exact']:.1f}",
            f"{row['right']:.1f}",
            f"{row['learn_seconds']:.1f}",
        ]
        for row in result["times"]
    ]
    asked = result["experiment"]
    header = ["stored", "index", "ms/query", "in a batch", "as exact %", "right %", "learned in s"]
    remark = (
        f"One thread, embeddings of {result['numbers']} numbers, without the {result['embed_ms']:.2f} ms that it takes "
        f"to embed a drawing. ms/query: median (lowest) of {asked['timed']} queries one by one, memories in turns; "
        f"in a batch: of {asked['at_once']}. Right: of the same queries. Made of drawings: between the embeddings of "
        "two drawings of a character, and a little beside."
    )
    return "Time of a query", header, rows, remark


def markdown(result: Numbers) -> str:
    """All tables as a page."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if version)
    lines = [
        f"# Life-long memory of {result['characters']:,} characters",
        "",
        f"{result['created']}, commit {result['commit'] or 'unknown'}, {versions}. {result['data']}. Encoder of a "
        f"learner {result['learner']!r} trained on part {result['trained_on']!r} ({result['experiment']['run']}). It "
        f"took {result['seconds'] / 60:.0f} minutes.",
    ]
    for title, header, rows, remark in sections(result):
        lines += ["", f"## {title}", "", _markdown_row(header), "|---" * len(header) + "|"]
        lines += [_markdown_row(row) for row in rows] + ["", remark]
    return "\n".join(lines) + "\n"


def show(result: Numbers) -> None:
    """Print all tables."""
    console = Console()
    console.print(f"{result['data']}, encoder of {result['learner']!r} trained on {result['trained_on']!r}\n")
    for title, header, rows, remark in sections(result):
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for name in header:
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        console.print(remark, style="dim", highlight=False)
        console.print()


def save(result: Numbers, folder: Path) -> list[Path]:
    """Write lifelong.md and lifelong.json; their places."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "lifelong.json", json.dumps(result, indent=1, allow_nan=False) + "\n")
    write_text(folder / "lifelong.md", markdown(result))
    return [folder / name for name in ("lifelong.md", "lifelong.json")]


def _markdown_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
