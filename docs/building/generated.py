"""Pages that a program writes: the reference of packages and of commands, the gallery, the list of results."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import re
from pathlib import Path

from lukasa.launch.cli import main as lukasa
from lukasa.launch.cli.command import COMMANDS
from lukasa.launch.kinds.table import KINDS

PACKAGES = ("memory", "tasks", "envs", "agents", "launch", "ground")

CAPTIONS = {
    "docs/images/episode.png": (
        "An episode of RepeatPreviousMedium: the read head of the NTM follows the write head by 31 steps.",
        "ablation",
    ),
    "docs/images/hops.png": ("What each hop of a reader looked at, sentence by sentence.", "readers"),
    "docs/images/view.png": (
        "The page of an episode: the last answer depends on the card of 31 steps before.",
        "viewer",
    ),
    "docs/images/view_copy.png": (
        "The page of a sequence: a word of the answer depends on the word it copies.",
        "viewer",
    ),
    "results/images/copy_ntm_memory.png": ("The heads of an NTM over its memory, copying a sequence.", "copy"),
    "results/images/dnc_reuse_of_10_slots.png": (
        "A DNC with ten slots frees and uses them again: gates, weightings and usage.",
        "dnc_reuse",
    ),
    "results/images/field_solves.png": ("What each core gets right, against the bytes of its state.", "field"),
    "results/images/minigrid_memory.png": (
        "MiniGrid's memory corridor: success rate as agents learn.",
        "tmaze_minigrid",
    ),
    "results/images/omniglot_mann_presentations.png": (
        "A memory-augmented network on new characters: accuracy at the first to the tenth presentation.",
        "omniglot_presentations",
    ),
    "results/images/omniglot_mann_reads.png": (
        "Reads and writes of that network over an episode of 50 steps.",
        "omniglot_presentations",
    ),
    "results/images/readers_hops.png": ("Hops of several readers over stories of bAbI.", "readers"),
    "results/images/repeat_previous_cores.png": ("Mean return of five cores as they learn.", "repeat_previous"),
    "results/images/sparse_curriculum.png": (
        "A sparse memory whose task doubles whenever it is learned.",
        "sparse_cost",
    ),
    "results/images/sparse_memory.png": (
        "Memory that training takes, from a thousand slots to millions.",
        "sparse_cost",
    ),
    "results/images/sparse_time.png": ("Time of a step, from a thousand slots to millions.", "sparse_cost"),
}
"""Every picture: its caption, and the subject of the page of results that it belongs to."""


def gallery(root: Path) -> str:
    """The page of all pictures."""
    parts = [
        "# Gallery",
        "",
        "What memories do, as `lukasa plot` and the benchmarks draw it. Each picture has a page of results.",
    ]
    for picture, (caption, subject) in CAPTIONS.items():
        (page,) = sorted(root.glob(f"results/{subject}_cpu2_*.md"))
        place = picture.removeprefix("docs/")
        parts += [
            "",
            f"[![{caption}]({place})](results/{page.name})",
            "",
            f"*{caption}* [{title_of(page)}](results/{page.name})",
        ]
    return "\n".join(parts) + "\n"


def title_of(page: Path) -> str:
    """The first heading of a page."""
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def results(root: Path) -> str:
    """The list of all pages of results, and what each measured."""
    pages = sorted(root.glob("results/*.md"))
    lines = [
        "# Results",
        "",
        "What was measured, with the command that made it, seeds, spread, and what went worse.",
        "",
    ]
    return "\n".join([*lines, *(f"- [{title_of(page)}]({page.name})" for page in pages)]) + "\n"


def commands() -> str:
    """The help of every command, as the program prints it."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        asked = [["train", kind] for kind in KINDS] + [[name] for name in COMMANDS]
        parts = [
            "# Commands",
            "",
            "What `lukasa COMMAND --help` prints. [The command line](command-line.md) explains it.",
        ]
        for words in asked:
            parts += ["", f"## lukasa {' '.join(words)}", "", "```text", helped(words).rstrip(), "```"]
        return "\n".join(parts) + "\n"
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def helped(words: list[str]) -> str:
    """What ``lukasa ... --help`` prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        lukasa([*words, "--help"])
    return printed.getvalue()


def reference(root: Path) -> dict[str, str]:
    """A page for each package that has public names, by its path in the site."""
    pages, rows = {}, []
    for package in PACKAGES:
        for file in sorted((root / package).rglob("__init__.py")):
            path = file.parent.relative_to(root).as_posix()
            name = f"lukasa.{path.replace('/', '.')}"
            if path == package or "__all__" in file.read_text(encoding="utf-8"):
                summary = re.sub(
                    r"``([^`]+)``", r"`\1`", (importlib.import_module(name).__doc__ or "").partition("\n")[0]
                )
                place = f"{path.replace('/', '-')}.md"
                pages[f"reference/{place}"] = f"# {name}\n\n::: {name}\n"
                rows.append(f"- [{name}]({place}): {summary}")
    return {
        "reference/index.md": "\n".join(["# Reference", "", "Every package, from its docstrings.", "", *rows]) + "\n",
        **pages,
    }
