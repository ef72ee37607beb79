"""The benchmark of cores that run a whole sequence at once, at sizes that say nothing about speed."""

import json

import pytest

from lukasa.benchmarks.scans import OPTIONS, Settings, main, measure
from lukasa.launch.cli.command import main as lukasa

SMALL = ["--batch", "2", "--steps", "6", "--size", "8", "--layers", "1", "--repeats", "1"]


@pytest.mark.parametrize("subject", ["mingru", "lmu_parallel"])
def test_a_row_holds_what_was_measured(subject: str):
    row = measure(subject, 2, Settings(batch=2, steps=6, size=8, repeats=3))
    assert (row.core, row.layers) == (subject, 2)
    assert 0 < row.least <= row.ms <= row.most
    assert row.lstm > 0
    assert row.stepwise > 0


def test_rows_are_printed_and_kept(tmp_path, capsys):
    assert main(["--only", "ffm", "lmu", *SMALL, "--out", str(tmp_path / "rows.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["ffm", "lmu"]
    assert [row["core"] for row in json.loads((tmp_path / "rows.json").read_text())] == ["ffm", "lmu"]


def test_sizes_that_make_no_sense_are_refused(capsys):
    assert lukasa(["bench", "scans", "--layers", "0"]) == 2
    assert "option --layers is 0: expected at least 1" in capsys.readouterr().err
    assert lukasa(["bench", "scans", "--only", "gru"]) == 2
    assert "choose one of 'mingru'" in capsys.readouterr().err
    assert set(OPTIONS) == set(Settings().only)
