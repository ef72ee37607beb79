"""Every link of a built site: pages, anchors and pictures are there, and nothing is loaded from the network."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "audio": "src",
    "video": "src",
    "link": "href",
}
"""Elements that a browser loads something for, and the attribute that says what."""

NOT_LOADED = {"canonical", "alternate", "next", "prev", "author", "license", "edit"}
"""What a ``link`` may be to another page without its being loaded."""

IN_STYLE = re.compile(r"url\(\s*['\"]?((?:https?:)?//[^'\")]+)|@import\s+['\"]((?:https?:)?//[^'\"]+)")


class Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take one element down."""
        given = dict(attrs)
        self.anchors |= {str(given[name]) for name in ("id", "name") if given.get(name)}
        target = given.get(LOADED.get(tag, ""))
        if target and not (tag == "link" and NOT_LOADED & set(str(given.get("rel")).split())):
            self.loads.append(target)
        elif tag == "a" and given.get("href"):
            self.links.append(str(given["href"]))


@dataclass
class Report:
    """What was found.

    Attributes:
        counts: links that were checked: to pages, anchors, files that are loaded, and elsewhere.
        broken: a sentence for each that leads nowhere.
    """

    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All that were checked."""
        return sum(self.counts.values())


class Site:
    """A built site.

    Args:
        folder: of its files.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    @cached_property
    def pages(self) -> dict[Path, Page]:
        """Every page."""
        return {path: Page(path) for path in sorted(self.folder.rglob("*.html"))}

    def check(self) -> Report:
        """Follow all links."""
        report = Report()
        for path, page in self.pages.items():
            for kind, targets in (("page", page.links), ("loaded", page.loads)):
                for target in targets:
                    self._follow(path, kind, target, report)
        for path in sorted(self.folder.rglob("*.css")):
            for found in IN_STYLE.finditer(path.read_text(encoding="utf-8")):
                report.broken.append(f"{path.relative_to(self.folder)} loads {found[1] or found[2]} from the network")
        return report

    def _follow(self, path: Path, kind: str, target: str, report: Report) -> None:
        here, parts = path.relative_to(self.folder), urlsplit(target)
        if parts.scheme == "data":
            return
        if parts.scheme or target.startswith("//"):
            report.counts["elsewhere"] += 1
            if kind == "loaded":
                report.broken.append(f"{here} loads {target} from the network")
            elif parts.scheme not in ("https", "http", "mailto") or (
                parts.scheme != "mailto" and "." not in parts.netloc
            ):
                report.broken.append(f"{here} has a link of no known form: {target}")
            return
        goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        goal = goal / "index.html" if goal.is_dir() else goal
        report.counts["anchor" if parts.fragment else kind] += 1
        if not goal.is_file():
            report.broken.append(f"{here} leads to {target}, which is not there")
        elif parts.fragment and goal in self.pages and unquote(parts.fragment) not in self.pages[goal].anchors:
            report.broken.append(f"{here} leads to {target}: there is no such anchor")
