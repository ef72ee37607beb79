"""``python -m docs.building [FOLDER]``: builds the site, checks every link, and prints how long it took."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from docs.building import generated
from docs.building.links import Site
from docs.building.pages import stage

ROOT = Path(__file__).resolve().parents[2]
SHIM = re.compile(r"https://[^\s\"']*/iframe-worker/shim")
"""A script that lets the search box work in files; a copy of it is in this folder."""

NAVIGATION: list[Any] = [
    {"Home": "index.md"},
    {
        "Tutorials": [
            "tutorials/your-environment.md",
            "tutorials/your-core.md",
            "tutorials/a-million-slots.md",
            "tutorials/omniglot-episodes.md",
            "tutorials/laptop-to-cluster.md",
        ]
    },
    {
        "Training": [
            "command-line.md",
            "commands.md",
            "models.md",
            "rllib.md",
            "environments.md",
            "tasks.md",
            "training-tasks.md",
            "few-shot.md",
            "questions.md",
            "question-data.md",
            "pointers.md",
            "programs.md",
            "circuits.md",
            "continual.md",
        ]
    },
    {"Memory": ["cores.md", "sparse-memory.md", "indexes.md", "sharded-memory.md", "speed.md", "deviations.md"]},
    {
        "Using it": [
            "using-a-run.md",
            "viewing.md",
            "taking-away.md",
            "distributed.md",
            "clusters.md",
            "gpu.md",
            "bottlenecks.md",
            "reproducing.md",
        ]
    },
    {
        "Your own": [
            "own-environments.md",
            "own-tasks.md",
            "own-learners.md",
            "own-indexes.md",
            "own-kinds.md",
        ]
    },
    {"Reference": "reference/index.md"},
    {"Results": "results/index.md"},
    {"Gallery": "gallery.md"},
    {"Project": ["design.md", "style.md", "project/overview.md", "project/CONTRIBUTING.md", "project/CHANGELOG.md"]},
]


def settings(names: Path) -> dict[str, Any]:
    """What the generator is told.

    Args:
        names: folder in which the packages go by their import names.
    """
    options = {
        "docstring_style": "google",
        "show_source": False,
        "show_root_heading": False,
        "show_root_toc_entry": False,
        "members_order": "alphabetical",
        "heading_level": 2,
        "separate_signature": True,
        "show_attribute_values": False,
        "filters": ["!^_"],
    }
    return {
        "site_name": "Lukasa",
        "site_description": "Agents with an external memory",
        "docs_dir": "pages",
        "site_dir": "site",
        "use_directory_urls": False,
        "theme": {
            "name": "material",
            "font": False,
            "features": ["navigation.indexes", "navigation.top", "content.code.copy", "toc.follow"],
        },
        "plugins": [
            "search",
            "offline",
            {"mkdocstrings": {"handlers": {"python": {"paths": [str(names)], "options": options}}}},
        ],
        "markdown_extensions": [
            {"toc": {"permalink": True}},
            "tables",
            "attr_list",
            "pymdownx.highlight",
            "pymdownx.superfences",
        ],
        "nav": NAVIGATION,
    }


def build(folder: Path) -> None:
    """Build the site of this tree.

    Args:
        folder: for the site; what is there is replaced.

    Raises:
        RuntimeError: the generator failed.
    """
    work = ROOT / "build" / "site"
    shutil.rmtree(work, ignore_errors=True)
    pages, names = work / "pages", work / "names" / "lukasa"
    names.mkdir(parents=True)
    for package in generated.PACKAGES:
        (names / package).symlink_to(ROOT / package)
    stage(ROOT, pages)
    own = {"gallery.md": generated.gallery(ROOT), "results/index.md": generated.results(ROOT)}
    own |= {"commands.md": generated.commands(), **generated.reference(ROOT)}
    for place, text in own.items():
        (pages / place).parent.mkdir(parents=True, exist_ok=True)
        (pages / place).write_text(text, encoding="utf-8")
    (work / "mkdocs.yml").write_text(json.dumps(settings(names.parent), indent=1))
    command = [sys.executable, "-m", "zensical", "build", "--config-file", "mkdocs.yml"]
    # Of all places where `lukasa` is found, the one in which nothing but the packages is.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"NO_COLOR": "1"}
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, env=environment, check=False)
    if done.returncode or not (work / "site" / "index.html").is_file():
        raise RuntimeError(f"the generator failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    make_local(work / "site")
    (work / "site" / "404.html").unlink()  # its links are those of a site at the top of a host
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(work / "site", folder)


def make_local(site: Path) -> None:
    """Have the pages load their one script of the network from beside them."""
    shutil.copy(Path(__file__).parent / "iframe-worker.js", site / "assets" / "iframe-worker.js")
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if SHIM.search(text):
            beside = os.path.relpath(site / "assets" / "iframe-worker.js", page.parent)
            page.write_text(SHIM.sub(beside, text), encoding="utf-8")


def main() -> int:
    """Build and check; returns the exit code."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"
    began = time.perf_counter()
    build(folder)
    built = time.perf_counter()
    site = Site(folder)
    report = site.check()
    for sentence in report.broken:
        print(sentence, file=sys.stderr)
    counted = ", ".join(f"{number:,} {kind}" for kind, number in sorted(report.counts.items()))
    checked = f"{report.total:,} links checked ({counted}), {len(report.broken)} broken"
    print(f"{len(site.pages)} pages in {built - began:.0f} s; {checked}")
    print(folder / "index.html")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
