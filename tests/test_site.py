"""The site: which file is which page, the links between them, what a built one loads."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from docs.building import generated
from docs.building.__main__ import NAVIGATION
from docs.building.links import Site
from docs.building.pages import pages_of, relinked, spaced

ROOT = Path(__file__).parents[1]
PLACES = {"docs/a.md": "a.md", "results/b.md": "results/b.md", "docs/deep/c.md": "deep/c.md"}


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("[b](../results/b.md#x)", "docs/a.md", "[b](results/b.md#x)"),
        ("[a](../docs/a.md)", "results/b.md", "[a](../a.md)"),
        ("[a](../a.md) [r](../../results/)", "docs/deep/c.md", "[a](../a.md) [r](../results/index.md)"),
        ("[x](https://example.org/a.md) [y](#z)", "docs/a.md", "[x](https://example.org/a.md) [y](#z)"),
        ("```\n[b](../results/b.md)\n```", "docs/a.md", "```\n[b](../results/b.md)\n```"),
    ],
)
def test_links_lead_from_page_to_page_of_the_site(text, name, expected):
    assert relinked(text, name, PLACES) == expected


def test_lists_and_tables_get_the_empty_line_that_the_generator_needs():
    assert spaced("a\n- b\n- c\n  d") == "a\n\n- b\n- c\n  d"
    assert spaced("a:\n| b |\n|---|\n| c |") == "a:\n\n| b |\n|---|\n| c |"
    assert spaced("```\na\n- b\n```") == "```\na\n- b\n```"


def test_every_page_of_the_docs_is_in_the_navigation():
    def named(part):
        if isinstance(part, str):
            return {part}
        return set().union(*map(named, part.values() if isinstance(part, dict) else part))

    docs = {place for name, place in pages_of(ROOT).items() if name.startswith("docs/") and name.endswith(".md")}
    assert docs <= named(NAVIGATION)


def test_every_picture_has_a_caption_and_a_page():
    pictures = [*ROOT.glob("docs/images/*"), *ROOT.glob("results/images/*")]
    assert {path.relative_to(ROOT).as_posix() for path in pictures} == set(generated.CAPTIONS)
    page = generated.gallery(ROOT)
    assert all(caption in page for caption, _ in generated.CAPTIONS.values())


def test_every_command_is_in_the_reference():
    from lukasa.launch.cli.command import COMMANDS
    from lukasa.launch.kinds.table import KINDS

    page = generated.commands()
    for words in [*(f"train {kind}" for kind in KINDS), *COMMANDS]:
        [part] = [one for one in page.split("\n## ") if one.startswith(f"lukasa {words}\n")]
        assert len(part.splitlines()) > 6, words


def site(folder, **pages):
    for name, text in pages.items():
        (folder / f"{name}.html").write_text(text)
    return Site(folder).check()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('<a href="gone.html">x</a>', "leads to gone.html, which is not there"),
        ('<a href="other.html#gone">x</a>', "there is no such anchor"),
        ('<a href="#gone">x</a>', "there is no such anchor"),
        ('<img src="gone.png">', "leads to gone.png, which is not there"),
        ('<script src="https://cdn.example.org/x.js"></script>', "from the network"),
        ('<link rel="stylesheet" href="//fonts.example.org/x.css">', "from the network"),
        ('<link rel="preconnect" href="https://fonts.example.org">', "from the network"),
        ('<a href="htp://example.org">x</a>', "has a link of no known form"),
        ('<a href="https://example">x</a>', "has a link of no known form"),
    ],
)
def test_what_leads_nowhere_or_loads_from_elsewhere_is_found(text, sentence, tmp_path):
    [broken] = site(tmp_path, page=text, other='<p id="here">').broken
    assert sentence in broken


def test_style_that_loads_from_elsewhere_is_found(tmp_path):
    (tmp_path / "a.css").write_text("@font-face { src: url(https://fonts.example.org/a.woff2) }")
    assert "loads https://fonts.example.org/a.woff2" in site(tmp_path).broken[0]


def test_good_links_pass(tmp_path):
    text = (
        '<a href="page.html#me" id="me">x</a><a href="https://example.org/a">y</a><img src="data:image/png;base64,AA">'
    )
    report = site(tmp_path, page=text)
    assert (report.broken, report.total) == ([], 2)


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("zensical"), reason="needs the extra docs: pip install '.[docs]'")
def test_site_is_built_whole_and_loads_nothing_from_the_network(tmp_path):
    command = [sys.executable, "-m", "docs.building", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stderr
    assert ", 0 broken" in done.stdout
    for page in ("index", "tutorials/your-core", "reference/memory", "results/index", "commands", "gallery"):
        assert (tmp_path / "site" / f"{page}.html").is_file()
    assert "precedence" in (tmp_path / "site" / "search.js").read_text(encoding="utf-8")
    texts = [path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html")]
    assert not [text for text in texts if "iframe-worker/shim" in text]
