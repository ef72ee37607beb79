"""`lukasa train circuits`, from the command line to a program."""

import dataclasses
import json

import pytest

from lukasa.launch import load_agent
from lukasa.launch.cli import main
from lukasa.launch.kinds.circuits.recipes import CIRCUIT_RECIPES, CIRCUITS
from lukasa.launch.runs.directory import open_run, read_metrics
from lukasa.launch.training.requests import read_command_line
from tests.launch.refusals import fails

SMALL = ["--task", "access", "--starts", "2", "--registers", "2", "--batch-size", "4", "--report-every", "40"]
SMALL += ["--longest", "3", "--hidden", "8"]


def train(*argv):
    assert main(["train", "circuits", *map(str, argv)]) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("circuits") / "run"
    train(*SMALL, "--steps", "120", "--validate-every", "80", "--out", path)
    return path


def evaluated(capsys, *argv):
    capsys.readouterr()
    assert main(["eval", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--task", "acess"], "unknown task 'acess': did you mean 'access'?"),
        (["--modules", "READ,WRTE"], "--modules: unknown module 'WRTE': did you mean 'WRITE'?"),
        (["--registers", "0"], "option --registers is 0: expected at least 1"),
        (["--starts", "0"], "option --starts is 0: expected at least 1"),
        (["--task", "swap", "--shortest", "1"], "option --shortest is 1: swap needs at least 2"),
        (["--shortest", "5", "--longest", "3"], "lengths from 5 to 3"),
        (["--start-norm", "0"], "option --start-norm is 0.0: expected more than 0"),
        (["copy_nran"], "unknown recipe 'copy_nran': did you mean 'copy_nram'?"),
    ],
)
def test_bad_input_is_one_sentence(capsys, monkeypatch, tmp_path, argv, sentence):
    monkeypatch.chdir(tmp_path)
    assert sentence in fails(capsys, "train", "circuits", *argv)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("recipe", CIRCUIT_RECIPES)
def test_every_recipe_is_a_valid_experiment_that_survives_json(recipe):
    asked = read_command_line("circuits", [recipe]).experiment
    assert CIRCUITS.from_json(json.loads(json.dumps(dataclasses.asdict(asked)))) == asked
    CIRCUITS.check_numbers(asked)
    assert recipe == f"{asked.task}_nram"


def test_metrics_say_how_the_starts_do(trained):
    rows = read_metrics(open_run(trained)[0])
    assert [row["examples"] for row in rows] == [40, 80, 120]
    assert {"score", "loss", "level", "leader", "at_last_level"} <= rows[-1].keys()
    assert 0 <= rows[1]["validation"] <= 100


def test_a_resumed_run_has_the_losses_of_one_that_went_through(trained, tmp_path):
    path = tmp_path / "resumed"
    train(*SMALL, "--steps", "80", "--out", path)
    train("--out", path, "--resume", "--steps", "120")
    losses = [[row["loss"] for row in read_metrics(open_run(one)[0])] for one in (trained, path)]
    assert losses[0] == losses[1]


def test_a_run_is_scored_soft_and_hard_and_far_beyond(capsys, trained):
    found = evaluated(capsys, trained, "--memories", "20")
    assert [row["length"] for row in found["rows"]] == [3, 30]
    assert found["score"] == found["rows"][0]["error"]
    assert set(found["exact_starts"]) == {"3", "30"}
    assert found["program"][0].endswith(":")
    other = evaluated(capsys, trained, "--memories", "20", "--lengths", "2,5", "--start", 1 - found["start"])
    assert (other["start"], [row["length"] for row in other["rows"]]) == (1 - found["start"], [2, 5])
    assert main(["eval", str(trained), "--program", "--memories", "5"]) == 0
    said = capsys.readouterr().out
    assert "exact starts" in said
    assert "step" in said


def test_a_memory_of_ones_own_is_run(capsys, trained, tmp_path):
    path = tmp_path / "memory.txt"
    path.write_text("[1, 4, 2, 3, 0]")
    found = evaluated(capsys, trained, "--memory", path)["memory"]
    assert found["before"] == [1, 4, 2, 3, 0]
    assert len(found["memory"]) == 5
    assert load_agent(trained).run([1, 4, 2, 3, 0]).memory == found["memory"]
    assert main(["eval", str(trained), "--memory", str(path)]) == 0
    assert [int(word) for word in capsys.readouterr().out.split()] == found["memory"]
    for text, sentence in (
        ("1 4", "access needs a memory of at least 3 cells (k, A[0], ..., A[n-1], 0), and this one has 2"),
        ("1 9 2 3 0", "a memory of 5 cells holds values from 0 to 4, and it has 9"),
        ("1 four 2", "holds 'four': expected whole numbers"),
    ):
        path.write_text(text)
        assert sentence in fails(capsys, "eval", str(trained), "--memory", str(path))
    assert "cannot be read" in fails(capsys, "eval", str(trained), "--memory", str(tmp_path / "none"))


def test_what_cannot_be_evaluated_is_refused(capsys, trained):
    assert "there is no start 2: expected one from 0 to 1" in fails(capsys, "eval", str(trained), "--start", "2")
    assert "option --lengths is 'a'" in fails(capsys, "eval", str(trained), "--lengths", "a")
    assert "option --memories is 0" in fails(capsys, "eval", str(trained), "--memories", "0")
    assert "access of length 0" in fails(capsys, "plot", str(trained), "--length", "0")


def test_pictures_of_the_circuit_and_the_memory(trained):
    assert main(["plot", str(trained), "--length", "3"]) == 0
    assert {"circuit.png", "memory.png", "learning.png"} <= {one.name for one in (trained / "plots").iterdir()}


@pytest.mark.slow
def test_seeds_are_compared(tmp_path):
    path = tmp_path / "several"
    train(*SMALL, "--steps", "40", "--seeds", "2", "--concurrent", "1", "--out", path)
    runs = [str(one) for one in sorted(path.iterdir()) if one.is_dir()]
    assert main(["compare", *runs, "--out", str(tmp_path / "x.png")]) == 0
    assert main(["eval", str(path), "--memories", "5"]) == 0


@pytest.mark.ray
@pytest.mark.slow
def test_ray_workers_share_a_batch(ray_cluster, trained, tmp_path):
    path = tmp_path / "ray"
    train(*SMALL, "--steps", "40", "--ray", "--workers", "2", "--out", path)
    losses = [read_metrics(open_run(one)[0])[0]["loss"] for one in (trained, path)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
