"""`lukasa train pointers`, from the command line to pictures."""

import dataclasses
import json

import numpy as np
import pytest

from lukasa.launch import load_agent
from lukasa.launch.cli import main
from lukasa.launch.kinds.pointers.experiment import read_range
from lukasa.launch.kinds.pointers.published import PUBLISHED, published
from lukasa.launch.kinds.pointers.recipes import POINTER_RECIPES, POINTING
from lukasa.launch.runs.directory import open_run, read_metrics
from lukasa.launch.training.requests import read_command_line
from tests.launch.ended_processes import own_processes_here
from tests.launch.refusals import fails

SMALL = ["--options.size", "8", "--batch-size", "16", "--report-every", "32", "--steps", "96"]


def train(*argv):
    assert main(["train", "pointers", *map(str, argv)]) == 0


@pytest.fixture(scope="module")
def hull(tmp_path_factory):
    path = tmp_path_factory.mktemp("pointers") / "hull"
    train(*SMALL, "--points", "4-6", "--validate-every", "64", "--out", path)
    return path


@pytest.fixture(scope="module")
def tours(tmp_path_factory):
    path = tmp_path_factory.mktemp("pointers") / "tours"
    with own_processes_here():
        train(*SMALL, "--task", "tsp", "--model", "attention_lstm", "--seeds", "2", "--concurrent", "1", "--out", path)
    return path


def evaluated(capsys, *argv):
    capsys.readouterr()
    assert main(["eval", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--model", "pointer_netwrk"], "unknown model that points 'pointer_netwrk': did you mean 'pointer_network'?"),
        (["--options.sise", "4"], "did you mean '--options.size'?"),
        (["--options.size", "0"], "expected a whole number of at least 1"),
        (["--task", "convexhull"], "unknown pointing task 'convexhull': did you mean 'convex_hull'?"),
        (["--points", "many"], "option --points is 'many': expected a number of points"),
        (["--points", "9-5"], "option --points is '9-5': expected the smaller number first"),
        (["--points", "2"], "sets of 2 points are too small: convex hull needs at least 3"),
        (["--points", "5-5000"], "expected at most 1,000 points"),
        (["--lr", "0"], "option --lr is 0.0: expected more than 0"),
        (["hull_6"], "unknown recipe 'hull_6': did you mean 'hull_5'?"),
    ],
)
def test_bad_input_is_one_sentence(capsys, monkeypatch, tmp_path, argv, sentence):
    monkeypatch.chdir(tmp_path)
    assert sentence in fails(capsys, "train", "pointers", *argv)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("recipe", POINTER_RECIPES)
def test_every_recipe_is_a_valid_experiment_that_survives_json(recipe):
    asked = read_command_line("pointers", [recipe]).experiment
    assert POINTING.from_json(json.loads(json.dumps(dataclasses.asdict(asked)))) == asked
    POINTING.check_numbers(asked)
    assert read_range(asked.points)


def test_published_scores_are_percentages_and_lengths():
    for sizes in PUBLISHED.values():
        for scores in sizes.values():
            assert all(0 <= value <= 100 for value in scores.values())
            assert scores.get("length", 9) >= scores.get("known", 0)
    assert published("tsp", "pointer_network", "10", 20)[1] == "5-20"
    assert published("tsp", "attention_lstm", "10", 10) == ({}, "")


def test_resuming_gives_the_losses_of_the_whole_run(tmp_path, hull):
    words = [*SMALL, "--points", "4-6", "--validate-every", "64"]
    train(*words, "--steps", "64", "--out", tmp_path / "parts")
    train("--resume", "--steps", "96", "--out", tmp_path / "parts")
    whole, parts = (read_metrics(open_run(path)[0]) for path in (hull, tmp_path / "parts"))
    alike = ("sets", "loss", "bits", "score", "lr", "validation")
    assert [{key: row.get(key) for key in alike} for row in whole] == [
        {key: row.get(key) for key in alike} for row in parts
    ]
    assert [row["sets"] for row in whole] == [32, 64, 96]
    assert "validation" in whole[1]


def test_a_run_may_start_from_another(capsys, tmp_path, hull):
    train(*SMALL, "--points", "7", "--steps", "16", "--lr", "1e-12", "--start-from", hull, "--out", tmp_path / "begun")
    words = ("--sizes", "6", "--sets", "30")
    there, here = (evaluated(capsys, path, *words) for path in (hull, tmp_path / "begun"))
    assert there["rows"][0]["parts"] == here["rows"][0]["parts"]


def test_sizes_are_scored_one_by_one_also_beyond_training(capsys, hull):
    found = evaluated(capsys, hull, "--sets", "20")
    assert [row["size"] for row in found["rows"]] == [4, 5, 6]
    found = evaluated(capsys, hull, "--sizes", "5,9", "--sets", "20", "--beams", "2")
    assert [(row["size"], row["sets"]) for row in found["rows"]] == [(5, 20), (9, 20)]
    assert found["rows"][0]["published"]["exact"] == 92.0
    assert found["score"] == pytest.approx(sum(row["exact"] for row in found["rows"]) / 2)
    assert main(["eval", str(hull), "--sizes", "5", "--sets", "20"]) == 0
    assert "paper: Vinyals et al. 2015, trained on 5-50 points" in capsys.readouterr().out


def test_ablation_wipes_each_part(capsys, hull):
    found = evaluated(capsys, hull, "--sizes", "5", "--sets", "20", "--ablation")
    assert [row["without"] for row in found["ablation"]] == [None, "keys", "summary"]
    keys = evaluated(capsys, hull, "--sizes", "5", "--sets", "20", "--without", "keys")
    assert keys["score"] == found["ablation"][1]["score"]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--sizes", "5,x"], "option --sizes is '5,x': expected numbers of points"),
        (["--sizes", "2"], "option --sizes is '2': expected numbers from 3 to 1,000"),
        (["--sets", "0"], "option --sets is 0: expected at least 1"),
        (["--beams", "0"], "option --beams is 0: expected at least 1"),
        (["--fit"], "--fit moves the points of a file into the unit square: add --points FILE"),
        (["--ablation", "--without", "keys"], "leave --without keys out"),
        (["--points", "none.csv"], "none.csv: cannot be read"),
        (["--points", "p.csv", "--sizes", "5"], "--points answers a file of your own"),
    ],
)
def test_bad_options_of_eval_are_one_sentence(capsys, hull, argv, sentence):
    assert sentence in fails(capsys, "eval", str(hull), *argv)


def test_several_seeds_have_a_mean(capsys, tours):
    found = evaluated(capsys, tours, "--sets", "20")
    assert found["seeds"] == [0, 1]
    assert "has 9 points, and this model has outputs for 5" in fails(
        capsys, "eval", str(next(tours.glob("*0"))), "--sizes", "9", "--sets", "5"
    )


def test_a_file_of_points_is_answered(capsys, tmp_path, hull):
    path = tmp_path / "points.csv"
    path.write_text("x,y\n0.1,0.1\n0.9,0.2\n0.5,0.9\n\n0,0\n1,0\n1,1\n0,1\n0.5,0.5\n")
    found = evaluated(capsys, hull, "--points", path)
    assert [one["right"] for one in found["answers"]] == [[0, 1, 2], [0, 1, 2, 3]]
    assert found["answers"][0]["exact"]
    assert main(["eval", str(hull), "--points", str(path)]) == 0
    assert "set 1, 3 points: " in capsys.readouterr().out
    path.write_text("10,10\n90,10\n50,70\n")
    assert f"{path}, line 1: (10, 10) is outside the unit square" in fails(
        capsys, "eval", str(hull), "--points", str(path)
    )
    assert evaluated(capsys, hull, "--points", path, "--fit")["answers"][0]["right"] == [0, 1, 2]


def test_pictures_show_answers_and_attention(capsys, hull, tmp_path):
    assert main(["plot", str(hull), "--format", "svg", "--sets", "2"]) == 0
    assert {path.name for path in (hull / "plots").iterdir()} >= {"learning.svg", "answers.svg", "attention.svg"}
    np.savez(tmp_path / "points.npz", points=np.random.default_rng(0).random((3, 5, 2)))
    assert main(["plot", str(hull), "--points", str(tmp_path / "points.npz"), "--beams", "2"]) == 0
    assert "option --sets is 9: expected 1 to 8" in fails(capsys, "plot", str(hull), "--sets", "9")


def test_triangles_are_trained_scored_and_drawn(capsys, tmp_path):
    path = tmp_path / "triangles"
    train(*SMALL, "--task", "delaunay", "--out", path)
    found = evaluated(capsys, path, "--sets", "10")
    assert found["rows"][0]["published"] == {"exact": 80.7, "triangles": 93.0}
    assert main(["plot", str(path), "--sets", "1"]) == 0


def test_a_loaded_agent_answers(hull):
    agent = load_agent(hull)
    assert set(agent.answer([[0.1, 0.1], [0.9, 0.2], [0.5, 0.9]]).pointers) == {0, 1, 2}
