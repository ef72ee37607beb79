"""Several runs side by side: labels that name what differs, means over seeds, tables."""

import doctest
import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from lukasa.launch.cli import main
from lukasa.launch.comparing import evaluation as evaluate_seeds
from lukasa.launch.comparing import labels
from lukasa.launch.comparing.curves import plot_learning
from lukasa.launch.comparing.evaluation import summary
from lukasa.launch.comparing.labels import make_labels
from lukasa.launch.comparing.scores import SeedCurve, band, mean_curve
from lukasa.launch.comparing.several_seeds import SeveralSeeds, create_several, open_compared
from lukasa.launch.kinds.rl.experiment import RLExperiment
from lukasa.launch.kinds.rl.options import RL
from lukasa.launch.kinds.supervised.experiment import TaskExperiment
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.kinds.supervised.subject import subject
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.runs.directory import Run, create_run, describe_run
from lukasa.launch.runs.metrics import MetricsWriter
from tests.launch.refusals import fails

GRU = TaskExperiment(core="gru", memory={"size": 4, "layers": 1}, steps=64)
NTM = TaskExperiment(core="ntm", memory={"slots": 8}, steps=64, lr=1e-4)


def write(run, scores, seconds=2.0):
    writer = MetricsWriter(run)
    for number, score in enumerate(scores, 1):
        writer.write({run.step_key: 32 * number, "score": score, "seconds": seconds * number})
    writer.close()


def one_run(path, experiment, scores=(9.0, 8.0)):
    run = create_run(path, describe_run("task", None, asdict(experiment)))
    write(run, scores)
    return path


def several(path, experiment, scores):
    """An experiment of so many seeds as there are lists of scores."""
    configs = {seed: describe_run("task", None, asdict(replace(experiment, seed=seed))) for seed in range(len(scores))}
    made = create_several(path, "task", configs)
    for seed, own in enumerate(scores):
        write(made.run(seed), own)
    return path


def labelled(kind, *experiments, seeds=None):
    paths = [Path(f"runs/{number}") for number in range(len(experiments))]
    return make_labels(kind, experiments, seeds or [[one.seed] for one in experiments], paths)


def test_examples():
    assert doctest.testmod(labels).failed == 0
    assert doctest.testmod(evaluate_seeds).failed == 0


def test_label_names_what_differs_and_nothing_else():
    assert labelled(TASK, GRU) == ["gru"]
    assert labelled(TASK, GRU, replace(NTM, lr=GRU.lr)) == ["gru", "ntm"]  # their options differ because they do
    assert labelled(TASK, GRU, NTM) == ["gru, lr 0.001", "ntm, lr 0.0001"]
    assert labelled(TASK, GRU, replace(GRU, lr=0.1)) == ["lr 0.001", "lr 0.1"]
    wide = replace(GRU, memory={"size": 8, "layers": 1})
    assert labelled(TASK, GRU, wide, replace(NTM, lr=GRU.lr)) == ["gru, size 4", "gru, size 8", "ntm"]
    assert labelled(TASK, GRU, replace(GRU, threads=2, seed=1)) == ["threads 1", "threads 2"]
    game = RLExperiment(env="TMaze-L50-v0", env_settings={"corridor": 5}, core="gru")
    assert labelled(RL, game, replace(game, env_settings={})) == ["corridor 5", "gru"]


def test_labels_are_never_equal():
    assert labelled(TASK, GRU, replace(GRU, seed=1)) == ["seed 0", "seed 1"]
    assert labelled(TASK, GRU, GRU) == ["0", "1"]  # their folders
    assert labelled(TASK, GRU, GRU, seeds=[[0, 1, 2], [0]]) == ["3 seeds (0 to 2)", "seed 0"]
    same_name = make_labels(TASK, [GRU, GRU], [[0], [0]], [Path("a/x"), Path("b/x")])
    assert same_name == ["a/x", "b/x"]


def test_label_of_very_different_runs_stays_short():
    other = replace(GRU, lr=0.1, batch_size=8, clip_norm=1.0, momentum=0.5, chunk=4)
    assert [len(label.split(", ")) for label in labelled(TASK, GRU, other)] == [1, 1]


def curve(steps, scores, ended=True):
    return SeedCurve(Run(Path("x")), 0, steps, scores, 1.0, 100, ended)


def test_mean_is_over_all_seeds_wherever_it_is_drawn():
    steps, scores = mean_curve([curve([10, 20, 30], [1.0, 2.0, 3.0]), curve([10, 30], [1.0, 5.0])])
    np.testing.assert_array_equal(steps, [10, 20, 30])
    np.testing.assert_allclose(scores, [[1, 2, 3], [1, 3, 5]])
    low, high = band(scores)
    assert (low[2], high[2]) == (3, 5)
    assert band(scores[:1]) is None


def test_seed_that_reached_its_goal_keeps_its_score_and_one_that_did_not_ends_the_curve():
    early, late = curve([10, 20], [1.0, 9.0]), curve([10, 20, 30], [1.0, 2.0, 3.0])
    steps, scores = mean_curve([early, late])
    np.testing.assert_array_equal(steps, [10, 20, 30])
    np.testing.assert_allclose(scores[0], [1, 9, 9])
    steps, _ = mean_curve([curve([10, 20], [1.0, 9.0], ended=False), late])
    np.testing.assert_array_equal(steps, [10, 20])


@pytest.mark.parametrize("name", ["c.png", "c.pdf", "c.svg"])
def test_compare_prints_a_table_and_draws_curves_with_bands(tmp_path, capsys, name):
    folders = [several(tmp_path / "gru", GRU, [[9.0, 8.0], [9.0, 6.0], [9.0, 7.0]]), one_run(tmp_path / "ntm", NTM)]
    words = ["compare", *map(str, folders), "--out", str(tmp_path / name)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "gru, lr 0.001" in printed
    assert "6.00 to 8.00" in printed
    assert "by bootstrap" in printed
    assert "differs: lr  0.001 | 0.0001" in printed
    assert (tmp_path / name).stat().st_size > 1000
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    first, second = found["runs"]
    assert (first["score"], first["interval"], first["seeds"]) == (7.0, [6.0, 8.0], [0, 1, 2])
    assert (second["score"], second["interval"], second["steps"], second["seconds"]) == (8.0, None, 64.0, 4.0)
    assert second["steps_per_second"] == 16
    assert found["differences"]["core"] == ["gru", "ntm"]


def test_compare_writes_one_page_with_the_table_and_the_curves(tmp_path, capsys):
    hostile = tmp_path / "<img src=x onerror=harm()>"
    folders = [several(tmp_path / "gru", GRU, [[9.0, 8.0], [9.0, 6.0], [9.0, 7.0]]), one_run(hostile, NTM)]
    page = tmp_path / "page.html"
    assert main(["compare", *map(str, folders), "--out", str(page)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(page)
    text = page.read_text()
    assert "<td>6.00 to 8.00</td><td>3</td>" in text
    assert "<li>differs: core  gru | ntm</li>" in text
    assert "<li>differs: lr  0.001 | 0.0001</li>" in text
    assert "<img" not in text
    drawing = json.loads(re.search(r'id="drawing">(.*?)</script>', text, re.DOTALL)[1])
    assert "gru, lr 0.001, mean of 3 seeds" in json.dumps(drawing)
    assert not (tmp_path / "gru" / "plots").exists()
    assert "there is no folder" in fails(capsys, "compare", *map(str, folders), "--out", str(tmp_path / "x" / "a.html"))


def test_band_and_members_are_drawn_with_the_number_of_seeds(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("lukasa.launch.pictures.learning.draw_learning", lambda curves, *_: drawn.extend(curves))
    paths = [several(tmp_path / "gru", GRU, [[9.0, 8.0], [9.0, 6.0]]), one_run(tmp_path / "ntm", NTM)]
    plot_learning(open_compared([str(path) for path in paths], kind_of, "draw"), subject, tmp_path / "a.png")
    mean, single = drawn
    assert mean.label == "gru, lr 0.001, mean of 2 seeds"
    assert (mean.scores, mean.low, mean.high) == ([9.0, 7.0], [9.0, 6.0], [9.0, 8.0])
    assert "bootstrap" in mean.band
    assert len(mean.members) == 2
    assert (single.label, single.low) == ("ntm, lr 0.0001", ())


def test_what_does_not_compare_is_refused(tmp_path, capsys):
    gru, again = one_run(tmp_path / "gru", GRU), one_run(tmp_path / "repeat", replace(GRU, task="repeat_copy"))
    game = create_run(tmp_path / "rl", describe_run("rl", None, asdict(RLExperiment()))).path
    assert "at least two run directories" in fails(capsys, "compare", str(gru))
    assert "are of 2 tasks (copy, repeat_copy)" in fails(capsys, "compare", str(gru), str(again))
    assert "are of 2 kinds (task, rl)" in fails(capsys, "compare", str(gru), str(game))
    assert "is named twice" in fails(capsys, "compare", str(gru), str(gru))
    assert "is not a picture" in fails(capsys, "compare", str(gru), str(one_run(tmp_path / "n", NTM)), "--out", "a.txt")
    assert not (gru / "plots").exists()


def test_runs_of_a_folder_are_listed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "there is no folder runs" in fails(capsys, "list", "runs")
    several(tmp_path / "runs" / "gru", GRU, [[9.0, 8.0], [9.0, 6.0]])
    one_run(tmp_path / "runs" / "deeper" / "ntm", NTM)
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "config.json").write_text("{")
    assert main(["list", "runs", "--json"]) == 0
    rows = {one["run"]: one for one in json.loads(capsys.readouterr().out)["runs"]}
    assert set(rows) == {"runs/gru", "runs/deeper/ntm", "runs/broken"}
    gru = rows["runs/gru"]
    assert (gru["kind"], gru["what"], gru["core"], gru["seeds"]) == ("task", "copy", "gru", [0, 1])
    assert (gru["steps"], gru["asked"], gru["score"], gru["finished"]) == (64, 64, 7.0, False)  # it has no checkpoint
    assert "is corrupt" in rows["runs/broken"]["problem"]
    assert main(["list", "runs"]) == 0
    assert "64 of 64" in capsys.readouterr().out


def test_evaluation_averages_every_number_by_its_row(tmp_path):
    experiment = SeveralSeeds(tmp_path, "task", {0: "seed-0", 1: "seed-1"})

    def result(score):
        rows = [{"length": 2, "score": score, "wrong": 1.0}, {"length": 4, "score": 2 * score, "wrong": 3.0}]
        return {"run": "r", "checkpoint": "c", "core": "gru", "unit": "bits", "lengths": rows, "best": None}

    found = summary(experiment, {0: result(1.0), 1: result(3.0)})
    means = {(row["measure"], row["of"]): (row["mean"], row["interval"]) for row in found["means"]}
    assert means["score", "length 2"] == (2.0, (1.0, 3.0))
    assert means["score", "length 4"] == (4.0, (2.0, 6.0))
    assert means["wrong", "length 4"] == (3.0, (3.0, 3.0))
    agents = [{"run": "r", "checkpoint": "c", "score": "return", "return_mean": one} for one in (0.0, 1.0)]
    (row,) = summary(experiment, dict(enumerate(agents)))["means"]
    assert (row["measure"], row["of"], row["mean"]) == ("return_mean", "", 0.5)


def test_a_narrow_terminal_cuts_no_name_of_a_run(tmp_path, capsys, monkeypatch):
    runs = [one_run(tmp_path / f"a_run_of_a_long_name_{number}", replace(NTM, seed=number)) for number in range(2)]
    monkeypatch.setenv("COLUMNS", "40")
    assert main(["list", "runs", str(tmp_path)]) == 0
    assert main(["compare", *map(str, runs), "--out", str(tmp_path / "compared.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    for run in map(str, runs):
        assert sum(run in line and "bits per sequence" in line for line in lines) == 1, lines
        assert sum(line.rstrip().endswith(run) for line in lines) == 1, lines
    assert "…" not in "\n".join(lines)
