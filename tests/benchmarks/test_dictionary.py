"""The benchmark of neural dictionaries, at sizes that say nothing about speed."""

import json

from lukasa.benchmarks.dictionary import main
from lukasa.launch.cli.command import main as lukasa

SMALL = ["--entries", "50", "200", "--key-size", "4", "--neighbours", "5", "--repeats", "2", "--centres", "10"]


def test_rows_are_printed_and_kept(tmp_path, capsys):
    assert main([*SMALL, "--out", str(tmp_path / "rows.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["50", "200"]
    for row in json.loads((tmp_path / "rows.json").read_text()):
        assert row["found"] == 1
        assert 0 <= row["step_least_ms"] <= row["step_ms"] <= row["step_most_ms"]


def test_sizes_that_make_no_sense_are_refused(capsys):
    assert lukasa(["bench", "dictionary", "--entries", "0"]) == 2
    assert "option --entries is 0: expected at least 1" in capsys.readouterr().err
