from dataclasses import replace

import pytest

from lukasa.benchmarks.pondering import DIFFICULTY, Settings, main, measure
from lukasa.ground.mistakes import UserError
from lukasa.launch.cli import main as lukasa


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    options = ["--steps", "256", "--sampler.size", "6", "--sampler.max-numbers", "6"]
    for recipe in ("parity_act", "parity_gru"):
        assert lukasa(["train", "task", recipe, *options, "--out", str(folder / recipe)]) == 0
    return folder


def test_steps_and_mistakes_are_told_at_every_difficulty(runs, capsys):
    capsys.readouterr()
    assert main(["--runs", f"{runs}/parity_act", f"{runs}/parity_gru", "--out", str(runs / "steps.png")]) == 0
    head, _, *rows = capsys.readouterr().out.strip().splitlines()
    assert head == "| difficulty | parity_act: steps | right, % | parity_gru: steps | right, % |"
    assert [row.split("|")[1].strip() for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert all(row.split("|")[4].strip() == "1.00" for row in rows)
    assert (runs / "steps.png").stat().st_size > 5_000


def test_a_core_that_thinks_takes_several_steps(runs):
    found = list(measure(f"{runs}/parity_act", replace(Settings(), sequences=50)))
    assert all(1 <= one.steps <= 20 for one in found)
    assert any(one.steps > 1 for one in found)


def test_what_cannot_be_measured_is_told(runs):
    with pytest.raises(UserError, match="give at least one run"):
        main([])
    assert set(DIFFICULTY) == {"parity", "running_sum"}
