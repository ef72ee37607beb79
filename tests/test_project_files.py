"""Files for people who come to contribute: what they name is there, and they agree with one another."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def load(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def targets():
    """What ``make`` can be asked for."""
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def test_every_dependency_is_pinned():
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins)
    pinned = {re.sub(r"[-_.]+", "-", pin.partition("==")[0]).lower() for pin in pins}
    needed = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
    names = {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", one)[0]).lower() for one in needed}
    assert names - {"lukasa"} <= pinned  # an extra may be made of others


def test_citation_is_of_this_version_and_licence():
    citation = load("CITATION.cff")
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])


def test_public_checks_are_those_of_the_makefile():
    commands = [step["run"] for step in load(".github/workflows/test.yml")["jobs"]["test"]["steps"] if "run" in step]
    assert commands == ["make lint", "make test", "make docs"]
    assert {command.removeprefix("make ") for command in commands} <= targets()


def test_hooks_run_the_pinned_ruff():
    hooks = [hook for repo in load(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert all(hook["entry"].startswith(".venv/bin/ruff ") and hook["language"] == "system" for hook in hooks)


@pytest.mark.parametrize(
    "form", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda form: form.stem
)
def test_issue_form_asks_for_something(form):
    content = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert content["name"]
    assert content["description"]
    assert all(part["attributes"]["label"] for part in content["body"])


@pytest.mark.parametrize("target", ["docs", "constraints", "format"])
def test_make_knows_its_targets(target):
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_changes_that_users_got_are_listed():
    headings = re.findall(r"^#+ (.*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:2] == ["Changelog", "Unreleased"]
