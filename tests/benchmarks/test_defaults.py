import json
import sys

import pytest

from lukasa.benchmarks.defaults import FOUR, STEPS, Cell, DefaultsOptions, cells, main, read_cells
from lukasa.benchmarks.defaults_report import page
from lukasa.launch.cli import main as lukasa


def line(agent="gru", env="CartPole-v1", seed=0, score=100.0, **more):
    row = {"agent": agent, "env": env, "seed": seed, "steps": 60_000, "score": score, "seconds": 60.0, "load": 2.0}
    return row | more


def test_table_is_seed_by_seed_with_slow_cores_on_four():
    found = cells(DefaultsOptions())
    assert found[0] == Cell("gru", "CartPole-v1", 0, STEPS["CartPole-v1"])
    assert len(found) == 3 * (4 * len(STEPS) + 3 * len(FOUR)) == len(set(found))
    assert [one.seed for one in found] == sorted(one.seed for one in found)


def test_report_shows_mean_and_spread_and_the_last_of_the_same_cell():
    rows = [line(score=1.0), line(score=100.0), line(seed=1, score=300.0), line("PPO", score=None)]
    rows.append(line("sam", env="Pendulum-v1", score=-812.4, warned=["value"]))
    text = page(rows)
    assert "| CartPole-v1 | 60,000 | 200 (100 to 300, 2 seeds) |  |  |" in text
    assert "| Pendulum-v1 | 60,000 |  | -812 |  |" in text
    assert "- sam on Pendulum-v1, seed 0: value" in text


def test_public_agents_need_a_python(tmp_path, capsys):
    out = str(tmp_path / "table.jsonl")
    assert lukasa(["bench", "defaults", "--out", out, "--agents", "PPO"]) == 2
    assert "PPO is of stable_baselines3: give a Python that has it with --public PATH" in capsys.readouterr().err
    assert lukasa(["bench", "defaults", "--out", out, "--agents", "gruu"]) == 2
    assert "there is no agent 'gruu'" in capsys.readouterr().err
    words = ["--agents", "PPO", "--public", sys.executable, "--envs", "CartPole-v1", "--seeds", "0"]
    assert lukasa(["bench", "defaults", "--out", out, *words]) == 2
    assert "PPO on CartPole-v1 failed: ModuleNotFoundError" in capsys.readouterr().err


def test_report_is_written_from_the_file_alone(tmp_path):
    file, report = tmp_path / "table.jsonl", tmp_path / "table.md"
    file.write_text(json.dumps(line()) + "\n")
    assert main(["--out", str(file), "--report", str(report)]) == 0
    assert "| CartPole-v1 | 60,000 | 100 |" in report.read_text()


@pytest.mark.ray
@pytest.mark.slow
def test_cells_that_are_done_are_not_trained_again(tmp_path, capsys, ray_cluster):
    out = tmp_path / "table.jsonl"
    words = ["--out", str(out), "--quick", "--agents", "feedforward", "--envs", "CartPole-v1", "--seeds"]
    assert main([*words, "0"]) == 0
    assert main([*words, "0", "1"]) == 0
    assert [(one["agent"], one["seed"]) for one in read_cells(out)] == [("feedforward", 0), ("feedforward", 1)]
    assert all(one["score"] > 5 for one in read_cells(out))
    assert capsys.readouterr().out.count("CartPole") == 2
