import doctest
import sys
from dataclasses import replace

import pytest

import lukasa.launch.options.fields
import lukasa.launch.runs.progress
from lukasa.launch.kinds.supervised.recipes import TASK
from lukasa.launch.runs.progress import LiveBar, PlainLines, make_reporter, time_left


def test_lines_come_every_few_seconds_and_at_the_end(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(lukasa.launch.runs.progress.time, "monotonic", lambda: clock[0])
    with PlainLines(4000, "steps", "return") as lines:
        for done, now in ((1000, 0.0), (2000, 3.0), (3000, 6.0), (4000, 7.0)):
            clock[0] = now
            lines.update(done, done / 4000, 50.0)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "1,000/4,000 steps  return 0.250  50 steps/s  left 0:01:00",
        "3,000/4,000 steps  return 0.750  50 steps/s  left 0:00:20",
        "4,000/4,000 steps  return 1.00  50 steps/s  left 0:00:00",
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
    assert all(part in shown for part in ("1,000/4,000 steps", "return 0.250", "50 steps/s", "left 0:01:00"))


def test_unknown_rate_has_no_time_left():
    assert time_left(0, 10, 0.0) == "-"


def test_examples_in_docstrings_hold():
    import lukasa.launch.cli.command
    import lukasa.launch.kinds.rl.evaluation
    import lukasa.launch.kinds.rl.options

    for module in (
        lukasa.launch.cli.command,
        lukasa.launch.options.fields,
        lukasa.launch.runs.progress,
        lukasa.launch.kinds.rl.evaluation,
        lukasa.launch.kinds.rl.options,
    ):
        assert doctest.testmod(module).failed == 0


def test_lines_show_chance_and_lesson(capsys):
    with PlainLines(4_000_000, "sequences", "accuracy %") as lines:
        lines.update(1_234_567, 52.0, 1234.0, 12.5, "lesson 2 of 4 (max_path 2)")
    line = "1.23 M/4 M sequences  accuracy % 52.0 (chance 12.5)  lesson 2 of 4 (max_path 2)  1,234 sequences/s  left "
    assert capsys.readouterr().err.startswith(line)


@pytest.mark.parametrize("recipe", ["reuse_dnc", "traversal_dnc", "copy_ntm"])
def test_tasks_say_their_lesson_and_its_own_chance(recipe):
    from lukasa.launch.kinds.supervised.curricula import chance_now, make_curriculum, stage_now

    experiment = TASK.recipes[recipe]()
    curriculum = make_curriculum(experiment.curriculum, experiment.task, experiment.sampler, higher_is_better=False)
    first = chance_now(experiment, curriculum)
    if experiment.curriculum.kind == "uniform":
        assert (stage_now(curriculum), first) == ("", 84.0)
        return
    assert stage_now(curriculum).startswith("lesson 1 of ")
    curriculum._progress.go_on(1)
    assert stage_now(curriculum).startswith("lesson 2 of ")
    assert first is not None
    assert chance_now(experiment, curriculum) != first


def test_level_that_doubles_has_the_chance_of_all_levels_so_far():
    from lukasa.launch.kinds.supervised.curricula import chance_now, make_curriculum, stage_now
    from lukasa.launch.kinds.supervised.experiment import CurriculumOptions

    options = CurriculumOptions(kind="doubling", level=("min_length", "max_length"), start=4, limit=16)
    experiment = replace(TASK.recipes["copy_ntm"](), curriculum=options)
    curriculum = make_curriculum(options, "copy", {}, higher_is_better=False)
    assert stage_now(curriculum) == "level 4 of 16"
    assert chance_now(experiment, curriculum) == 8 * (1 + 2 + 3 + 4) / 4
