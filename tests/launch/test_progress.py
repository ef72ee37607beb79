import doctest
import sys

import launch.errors
import launch.options
import launch.progress
from launch.progress import LiveBar, PlainLines, make_reporter, time_left


def test_lines_come_every_few_seconds_and_at_the_end(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(launch.progress.time, "monotonic", lambda: clock[0])
    with PlainLines(4000, "steps", "return") as lines:
        for done, now in ((1000, 0.0), (2000, 3.0), (3000, 6.0), (4000, 7.0)):
            clock[0] = now
            lines.update(done, done / 4000, 50.0)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "1,000/4,000 steps  return 0.250  50 steps/s  left 1:00",
        "3,000/4,000 steps  return 0.750  50 steps/s  left 0:20",
        "4,000/4,000 steps  return 1.000  50 steps/s  left 0:00",
    ]


def test_terminal_gets_a_live_bar_and_a_file_gets_lines(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(make_reporter(10), LiveBar)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert isinstance(make_reporter(10), PlainLines)


def test_live_bar_shows_return_rate_and_time_left(capsys):
    with LiveBar(4000, 0, "steps", "return") as bar:
        bar._progress.console.width = 200
        bar.update(1000, 0.25, 50.0)
    shown = capsys.readouterr().err
    assert all(part in shown for part in ("1,000/4,000 steps", "return 0.250", "50 steps/s", "left 1:00"))


def test_unknown_rate_has_no_time_left():
    assert time_left(0, 10, 0.0) == "-"


def test_examples_in_docstrings_hold():
    import launch.evaluate
    import launch.recipes

    for module in (launch.errors, launch.options, launch.progress, launch.evaluate_rl, launch.recipes):
        assert doctest.testmod(module).failed == 0
