"""Runs of episodic agents: trained, resumed, evaluated with and without what they remember."""

import json
import shutil

import pytest

from lukasa.launch.cli import main
from lukasa.launch.runs.directory import open_run, read_metrics
from tests.launch.refusals import fails

WORLD = ["--env", "KeyDoor-S4-v0", "--env-settings", "size", "2"]
SMALL = [*WORLD, "--core", "feedforward", "--embedding", "8", "--output", "16", "--seed", "1"]


def evaluated(capsys, *argv):
    capsys.readouterr()
    assert main(["eval", *argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["mbec", "mfec"])
def test_a_run_goes_on_with_what_it_remembers(ray_cluster, tmp_path, capsys, algorithm):
    run = str(tmp_path / "run")
    train = ["train", "rl", *SMALL, "--algorithm", algorithm, "--batch-size", "256", "--ablation", "0", "--out", run]
    assert main([*train, "--steps", "512"]) == 0
    held = read_metrics(open_run(tmp_path / "run")[0])[-1]["dictionary_entries"]
    assert main([*train, "--steps", "1200", "--resume"]) == 0
    rows = read_metrics(open_run(tmp_path / "run")[0])
    assert rows[-1]["dictionary_entries"] > held
    assert rows[-1]["epsilon"] < rows[0]["epsilon"]

    found = evaluated(capsys, run, "--episodes", "20", "--ablation")
    assert [row["without"] for row in found["ablation"]] == [None, "memory"]
    intact, wiped = found["ablation"]
    assert intact["success_rate"] > 0.9
    assert wiped["success_rate"] < 0.5  # it takes the first of four actions that are worth the same
    assert evaluated(capsys, run, "--episodes", "20", "--without", "memory")["success_rate"] == wiped["success_rate"]

    cut = tmp_path / "cut"
    shutil.copytree(run, cut)
    (file,) = cut.glob("checkpoints/*1[0-9][0-9][0-9]/dictionary")
    file.write_bytes(file.read_bytes()[:-10])
    said = fails(capsys, "eval", str(cut), "--checkpoint", file.parent.name)
    assert "is cut short: dictionary has" in said
