"""The examples of the README and of docs/ run, page by page, and what they name exists."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

from lukasa.benchmarks.models import MODELS
from lukasa.ground.mistakes import UserError
from lukasa.launch.cli.command import find_command
from lukasa.launch.kinds.table import KINDS, kind_of
from lukasa.launch.options.fields import options_of, split_words
from lukasa.launch.options.parsing import parse
from lukasa.launch.training.requests import read_command_line
from tests.tasks.images import write_images

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def python_blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.ray
@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)], ids=lambda page: page.name)
def test_python_examples_run(page, ray_cluster, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for folder in ("envs", "memory", "tasks"):  # a reader's project has folders that are called as ours are
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("raise ImportError('this is a folder of the reader')\n")
    monkeypatch.syspath_prepend(tmp_path)
    if "my_images" in page.read_text():
        write_images(tmp_path / "my_images")
    names = {"__name__": "example"}
    for block in python_blocks(page):
        exec(compile(block, str(page), "exec"), names)
    algorithm = names.get("algorithm")
    if algorithm is not None:
        algorithm.stop()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


SYNOPSIS = re.compile(r"\[[^{]|.*\|")


def commands(text):
    """The words of every command line in blocks and between backquotes; a synopsis with [ ] or | is none."""
    lines = re.findall(r"^\s*(?:\.venv/bin/)?lukasa (.+)$", text, re.MULTILINE)
    lines += re.findall(r"`(?:\.venv/bin/)?lukasa ([^`]+)`", text)
    split = [shlex.split(line, comments=True) for line in lines]
    return [words for words in split if words != ["train"] and not any(map(SYNOPSIS.match, words))]


def read_command(words):
    """Parse a command line as ``lukasa`` would, without running it; a run that it names need not exist."""
    module, rest = find_command(words)
    program = importlib.import_module(module)
    if words[0] == "train":
        read_command_line(rest[0], [word for word in rest[1:] if word != "--resume"])
        return
    named, options = split_words(rest)
    if hasattr(program, "LISTS"):
        assert set(named) <= {*program.LISTS, *MODELS}, words
        parse(program.ListOptions, options, prog="lukasa list")
    if module in OPTIONS:
        kinds = [kind_of(name) for name in KINDS]
        assert any(fits(OPTIONS[module](kind).options, options) for kind in kinds), words


OPTIONS = {
    "lukasa.launch.cli.evaluate": lambda kind: kind.evaluation(),
    "lukasa.launch.cli.plot": lambda kind: kind.pictures(),
    "lukasa.launch.cli.view": lambda kind: kind.views(),
}


def fits(options_of_a_kind, argv):
    try:
        parse(options_of_a_kind, argv, prog="lukasa")
    except UserError:
        return False
    return True


def modules_on_pages():
    """Blocks that begin with the name of their file."""
    for page in PAGES:
        for block in python_blocks(page):
            if named := re.match(r"# (\w+)\.py\n", block):
                yield named[1], block


MODULES_OF_ONES_OWN = {
    "mycores": "from lukasa.memory.baselines import GRU\n\n\nclass MyCore(GRU):\n    pass\n",
    "counters": python_blocks(ROOT / "docs" / "own-kinds.md")[0],
    **dict(modules_on_pages()),
}


@pytest.fixture
def own_modules(tmp_path, monkeypatch):
    """The modules that the pages name in place of a reader's own."""
    for name, text in MODULES_OF_ONES_OWN.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_those_that_the_program_takes(page, own_modules):
    for words in commands(page.read_text()):
        if "--help" not in words:
            read_command(words)


@pytest.mark.parametrize(
    "line",
    [
        "lukasa train task copy_nmt",
        "lukasa train task --task copy --sampler.pairs 3",
        "lukasa train rl --cor dnc",
        "lukasa eval RUN --lenght 3",
        "lukasa plot RUN --episodes 3",
        "lukasa list corse",
        "lukasa trane task copy_ntm",
    ],
)
def test_wrong_command_on_a_page_would_be_found(line):
    (words,) = commands(f"  {line}   # comment")
    with pytest.raises((AssertionError, UserError)):
        read_command(words)


def synopsis():
    """The options that the page of the command line gives each kind of run, by command."""
    page, command = (ROOT / "docs" / "command-line.md").read_text().split("```")[1], ""
    for line in page.splitlines():
        command = line.split()[1] if line.startswith("lukasa ") else command
        if command in ("eval", "view") and (of := re.match(r" +of ([\w-]+):", line)):
            yield command, of[1], re.findall(r"--[\w-]+", line)


@pytest.mark.parametrize(("command", "kind", "given"), list(synopsis()))
def test_synopsis_of_a_kind_has_options_that_there_are(command, kind, given):
    module = next(name for name in OPTIONS if name.endswith("evaluate" if command == "eval" else command))
    options = OPTIONS[module](kind_of(kind)).options
    assert {*given} <= {one.name for one in options_of(options, options())}


def test_commands_are_found_in_blocks_and_between_backquotes_but_not_a_synopsis():
    text = (
        "x `lukasa list envs` y\n    .venv/bin/lukasa plot RUN  # z\nlukasa eval RUN [--json]\nlukasa train rl|task A\n"
    )
    assert commands(text) == [["plot", "RUN"], ["list", "envs"]]
