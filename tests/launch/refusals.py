"""Command lines that must be refused."""

import pytest

from lukasa.launch.cli import main


def fails(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Run a command line that must be refused, and nothing be done; returns its one sentence."""
    capsys.readouterr()
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("lukasa: ")
    assert captured.err.count("\n") == 1
    return captured.err
