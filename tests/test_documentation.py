"""The examples of the README and of docs/ run, page by page, and what they name exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def python_blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.ray
@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)], ids=lambda page: page.name)
def test_python_examples_run(page, ray_cluster, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_recipes_and_options_in_commands_exist(page, capsys):
    from launch.cli import COMMANDS
    from launch.train_rl import read_command_line

    for line in re.findall(r"^\s*(?:\.venv/bin/)?lukasa (.+?)(?:\s{2,}.*)?$", page.read_text(), re.MULTILINE):
        words = line.split("#")[0].split()
        if "[" in line or "|" in line:
            continue  # a synopsis
        assert any(line.startswith(command) for command in COMMANDS), line
        if words[:2] == ["train", "rl"] and "--resume" not in words:
            read_command_line(words[2:])
