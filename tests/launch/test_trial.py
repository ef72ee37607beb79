"""One trial of a sweep in this process, as Tune would drive it."""

import pytest

from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import locked, read_metrics
from lukasa.launch.sweeps import trial
from lukasa.launch.sweeps.sweep import results
from lukasa.launch.sweeps.tune import TuneOptions, new_sweep

OPTIONS = "--task copy --sampler.max-length 2 --core gru --memory.size 4 --batch-size 8 --report-every 8 --lr 1e-3"


def make_trial(path, steps, *more):
    """A sweep of one trial: its run, and what makes it."""
    asked = TuneOptions(grid=("memory.size=4",), out=str(path))
    sweep = new_sweep(["task"], [*OPTIONS.split(), "--steps", str(steps), *more], asked)
    run = results(sweep)[0].run
    return run, lambda: trial.TrialRun({"folder": str(run.path)})


def told(one):
    """What a trial tells until it is done."""
    answers = []
    while not answers or not answers[-1]["done"]:
        answers.append(one.train())
    one.stop()
    return answers


def test_trial_tells_every_score_and_that_it_is_whole(tmp_path):
    run, begin = make_trial(tmp_path / "s", 64)
    answers = told(begin())
    rows = read_metrics(run)
    assert [one["steps"] for one in answers[:-1]] == [row["sequences"] for row in rows] == list(range(8, 65, 8))
    assert [one["score"] for one in answers[:-1]] == [row["score"] for row in rows]
    assert answers[-1]["whole"]
    assert answers[-1]["score"] == rows[-1]["score"]


def test_long_trial_tells_no_more_than_tune_can_hear(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "REPORTS", 4)
    run, begin = make_trial(tmp_path / "s", 160)
    answers = told(begin())
    assert len(read_metrics(run)) == 20
    assert len(answers) <= 5
    assert answers[-1]["steps"] == 160


def test_trial_that_is_stopped_saves_and_goes_on_from_there(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "REPORTS", 10**9)
    run, begin = make_trial(tmp_path / "s", 8_000_000, "--report-every", "400")
    one = begin()
    first = one.train()
    one.stop()
    reached = list_checkpoints(run.checkpoints)[-1].step
    assert reached >= first["steps"]
    again = begin()
    before = [row["sequences"] for row in read_metrics(run) if row["sequences"] <= reached]
    while again.train()["steps"] <= reached:
        pass
    again.stop()
    steps = [row["sequences"] for row in read_metrics(run)]
    assert steps[: len(before)] == before
    assert steps == sorted(set(steps))


def test_run_that_somebody_holds_is_waited_for_and_then_told(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "LOCK_SECONDS", 0.5)
    run, begin = make_trial(tmp_path / "s", 64)
    with locked(run):
        answers = told(begin())
    assert len(answers) == 1
    assert "is in use by process" in answers[0]["failed"]
    assert "failed" not in told(begin())[-1]


def test_divergence_is_told_and_a_fault_is_raised(tmp_path, monkeypatch):
    _, begin = make_trial(tmp_path / "s", 256, "--lr", "1e30", "--optimizer", "adamw", "--weight-decay", "10")
    answers = told(begin())
    assert "the loss is nan" in answers[-1]["failed"]
    assert "whole" not in answers[-1]
    _, begin = make_trial(tmp_path / "t", 64)
    monkeypatch.setattr(trial, "list_checkpoints", lambda _: (_ for _ in ()).throw(OSError("disk")))
    one = begin()
    with pytest.raises(OSError, match="disk"):
        told(one)
    one.stop()
