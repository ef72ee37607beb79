"""A kind of training that nobody here wrote: trained, evaluated, drawn and resumed by the command line."""

import json
import textwrap

import pytest

from launch.cli.main import main
from launch.kinds.table import kind_of
from launch.runs.directory import open_run, read_metrics
from tests.launch.refusals import fails

MODULE = '''
"""Counts in steps of a size that it is told."""

import time
from dataclasses import dataclass
from typing import Literal

from launch.runs.checkpoints import find_checkpoint, load_checkpoint, save_checkpoint
from launch.runs.endings import Outcome
from launch.options.errors import UserError
from launch.kinds.kind import Evaluation, Experiments, Kind, Pictures
from launch.options.fields import Switch
from launch.runs.directory import MetricsWriter, rewind_metrics
from launch.kinds.subjects import Subject


@dataclass(frozen=True)
class Counting:
    """A counter.

    Attributes:
        size: what a step adds.
        steps: how often.
        stop_at: a sum that ends it.
        seed: where it begins.
        threads: it needs one.
        checkpoint_every: seconds.
    """

    size: int = 2
    steps: int = 5
    stop_at: float | None = None
    seed: int = 0
    threads: int = 1
    checkpoint_every: float = 0

    @property
    def name(self):
        return "counting"

    @property
    def about(self):
        return f"a counter of {self.size}"


def check(experiment):
    if experiment.size == 13:
        raise UserError("option --size is 13: expected a lucky number")


def train(run, experiment, resume, listen):
    done, total = (resume[0].step, resume[1]["total"]) if resume else (0, experiment.seed)
    rewind_metrics(run, done)
    writer = MetricsWriter(run, done)
    while done < experiment.steps:
        done, total = done + 1, total + experiment.size
        writer.write({run.step_key: done, "seconds": 0.1 * done, "score": total})
        save_checkpoint(run.checkpoints, done, {"total": total}, float(total))
    writer.close()
    return Outcome(done, "counts", 0.1, total, "sum", None)


def subject(experiment):
    return Subject("counting", "counters", "sum", "counts", "score", learner=str(experiment.size))


@dataclass(frozen=True)
class EvalOptions:
    """Say how far it counted.

    Attributes:
        checkpoint: which.
        json: print JSON.
    """

    checkpoint: str = "best"
    json: Switch = False


def evaluate(run, experiment, options):
    checkpoint = find_checkpoint(run.checkpoints, options.checkpoint)
    return {"run": str(run.path), "checkpoint": checkpoint.name, "score": load_checkpoint(checkpoint)["total"]}


def describe(result):
    print(f"it came to {result['score']}")


@dataclass(frozen=True)
class PlotOptions:
    """Draw it.

    Attributes:
        out: where.
        format: of all pictures.
    """

    out: str | None = None
    format: Literal["png", "pdf", "svg"] | None = None


def draw(run, experiment, options):
    run.plots.mkdir(exist_ok=True)
    path = run.plots / "tally.txt"
    path.write_text("|" * experiment.steps)
    yield path


EXPERIMENTS = Experiments(
    name="counting",
    experiment=Counting,
    recipes={"by_three": lambda: Counting(size=3)},
    may_change=("steps",),
    step_key="counts",
    counted="counts",
    least={"steps": 1},
    examples=(("by_three", "a recipe"), ("by_three --steps 9", "longer"), ("--size 4", "options")),
)
KIND = Kind(
    EXPERIMENTS,
    check=check,
    train=train,
    subject=subject,
    evaluation=lambda: Evaluation(EvalOptions, evaluate, describe),
    pictures=lambda: Pictures(PlotOptions, draw),
)
'''
NAME = "counters:KIND"


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "counters.py").write_text(textwrap.dedent(MODULE))
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
    assert "needs the module 'conters'" in fails(capsys, "train", "conters:KIND")
    assert "is a Experiments" in fails(capsys, "train", "counters:EXPERIMENTS")
    assert not (tmp_path / "runs").exists()
