"""A kind of training that nobody here wrote: trained, evaluated, drawn and resumed by the command line."""

import json
import re
from pathlib import Path

import pytest

from lukasa.launch.cli import main
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.runs.directory import open_run, read_metrics
from tests.launch.refusals import fails

PAGE = Path(__file__).parents[2] / "docs" / "own-kinds.md"
NAME = "counters:KIND"


@pytest.fixture
def module(tmp_path, monkeypatch):
    (module,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "counters.py").write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield
    kind_of.cache_clear()


def test_it_is_trained_evaluated_drawn_and_resumed(module, capsys, tmp_path):
    run = tmp_path / "run"
    assert main(["train", NAME, "by_three", "--seed", "1", "--out", str(run)]) == 0
    assert "a counter of 3: 5 counts, seed 1, recipe by_three" in capsys.readouterr().err
    assert main(["eval", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["score"] == 16
    assert main(["train", NAME, "--out", str(run), "--resume", "--steps", "7"]) == 0
    assert [row["counts"] for row in read_metrics(open_run(run)[0])] == [1, 2, 3, 4, 5, 6, 7]
    capsys.readouterr()
    assert main(["eval", str(run)]) == 0
    assert capsys.readouterr().out == "it came to 22\n"
    assert main(["plot", str(run)]) == 0
    assert capsys.readouterr().out.split() == [str(run / "plots" / name) for name in ("learning.png", "tally.txt")]


def test_its_seeds_are_one_experiment_and_its_runs_are_compared_and_listed(module, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    assert main(["train", NAME, "--seeds", "2", "--out", "runs/two"]) == 0
    assert main(["train", NAME, "--size", "5", "--out", "runs/five"]) == 0
    capsys.readouterr()
    assert main(["eval", "runs/two", "--json"]) == 0
    (mean,) = json.loads(capsys.readouterr().out)["means"]
    assert mean["seeds"] == [10, 11]
    assert main(["compare", "runs/two", "runs/five", "--json"]) == 0
    assert [row["score"] for row in json.loads(capsys.readouterr().out)["runs"]] == [10.5, 25]
    assert main(["list", "runs", "--json"]) == 0
    assert {row["kind"] for row in json.loads(capsys.readouterr().out)["runs"]} == {NAME}


def test_its_mistakes_are_one_sentence_and_write_nothing(module, capsys, tmp_path):
    assert "expected a lucky number" in fails(capsys, "train", NAME, "--size", "13")
    assert "did you mean 'by_three'?" in fails(capsys, "train", NAME, "by_tree")
    assert "unknown option '--sise': did you mean '--size'?" in fails(capsys, "train", NAME, "--sise", "1")
    assert "--ray is not for this kind of training" in fails(capsys, "train", NAME, "--ray")
    assert "module 'counters' has no 'KIN'" in fails(capsys, "train", "counters:KIN")
    assert "there is no module 'conters' to import" in fails(capsys, "train", "conters:KIND")
    assert "is a Experiments: expected a lukasa.launch.kinds" in fails(capsys, "train", "counters:EXPERIMENTS")
    assert not (tmp_path / "runs").exists()
