"""Which file of the tree is which page of the site, and the links between them."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

LINK = re.compile(r"(\]\()([^)\s]+)(\))")
FENCE = re.compile(r"^\s*(```|~~~)")
BLOCK = re.compile(r"^(\s*)([-*] |\d+\. |\|)")
"""A line that begins an entry of a list, or a row of a table."""

PROJECT = ("CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "LICENSE")
"""Files at the top that pages may link to."""


def pages_of(root: Path) -> dict[str, str]:
    """Every page and picture: by its path in the tree, its path in the site.

    Args:
        root: of the tree.
    """
    found = {}
    for path in sorted([*root.glob("docs/**/*.md"), *root.glob("docs/images/*"), *root.glob("results/**/*")]):
        name = path.relative_to(root).as_posix()
        if path.is_file():
            found[name] = name.removeprefix("docs/")
    for path in sorted([*root.glob("memory/kernels/*/README.md"), *root.glob("launch/*.yaml")]):
        name = path.relative_to(root).as_posix()
        found[name] = name.replace("/README.md", ".md")
    # A README would be the first page of its folder.
    return found | {name: f"project/{name}" for name in PROJECT} | {"README.md": "project/overview.md"}


def stage(root: Path, folder: Path) -> list[str]:
    """Copy all pages to where the generator reads them, with links that lead from page to page.

    Args:
        root: of the tree.
        folder: of the pages; made.

    Returns:
        Their paths in the site.
    """
    places = pages_of(root)
    for name, place in places.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            text = (root / name).read_text(encoding="utf-8")
            path.write_text(spaced(relinked(text, name, places)), encoding="utf-8")
        else:
            path.write_bytes((root / name).read_bytes())
    return list(places.values())


def relinked(text: str, name: str, places: Mapping[str, str]) -> str:
    """A page whose links lead to where other pages are in the site.

    Args:
        text: of the page.
        name: its path in the tree.
        places: by path in the tree, path in the site.

    Example:
        >>> places = {"docs/a.md": "a.md", "results/b.md": "results/b.md"}
        >>> relinked("see [b](../results/b.md#c) and [top](#x)", "docs/a.md", places)
        'see [b](results/b.md#c) and [top](#x)'
    """

    def onward(found: re.Match[str]) -> str:
        target, _, anchor = found[2].partition("#")
        if not target or ":" in target:
            return found[0]
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        place = f"{inside}/index.md" if inside == "results" else places.get(inside)
        if place is None:
            return found[0]  # the check of links refuses it
        here = PurePosixPath(places[name]).parent
        return f"{found[1]}{os.path.relpath(place, here)}{'#' if anchor else ''}{anchor}{found[3]}"

    return outside_fences(text, lambda line: LINK.sub(onward, line))


def outside_fences(text: str, change: Callable[[str], str]) -> str:
    """A page with its lines changed, but for those of blocks of code."""
    lines, inside = [], False
    for line in text.split("\n"):
        fence = bool(FENCE.match(line))
        inside ^= fence
        lines.append(line if inside or fence else change(line))
    return "\n".join(lines)


def spaced(text: str) -> str:
    r"""A page with an empty line before each list and table, which code hosts do without and the generator does not.

    Example:
        >>> spaced("one\n- two\n  more\n- three")
        'one\n\n- two\n  more\n- three'
    """
    lines: list[str] = []
    inside, before = False, ""
    for line in text.split("\n"):
        inside ^= bool(FENCE.match(line))
        begins = BLOCK.match(line)
        if begins and not inside and before.strip() and not BLOCK.match(before) and not before.startswith((" ", "#")):
            lines.append("")
        lines.append(line)
        before = line
    return "\n".join(lines)
