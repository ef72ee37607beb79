"""Two processes on one folder: the second is refused in one sentence, and the first loses nothing."""

import random
import time
from pathlib import Path

from lukasa.launch.runs.directory import Run, locked
from tests.launch.mutations import Campaign
from tests.launch.small_runs import RUNS
from tests.reliability.commands import Command, Ended, run
from tests.reliability.kills import SAVING, numbers, whole


def together(path: Path, first: list[str], second: list[str], delay: float, expected: list[dict]) -> str:
    """Two command lines on one run directory, the second a little later: one of them trains."""
    one = Command([*first, "--out", str(path)], path)
    time.sleep(delay)
    other = Command([*second, "--out", str(path)], path)
    ended = [one.wait(), other.wait()]
    refused = [each for each in ended if each.code]
    assert len(refused) <= 1, [each.told for each in ended]
    for each in refused:
        _check_refused(each)
    assert numbers(path) == expected, "other numbers than those of a run alone"
    return refused[0].sentence if refused else "right"


def _check_refused(ended: Ended) -> None:
    assert ended.code == 2, ended.told
    expected = ("is in use by process", "exists: add --resume", "File exists", "no run", "is not a run", "Directory")
    assert any(one in ended.sentence for one in expected), ended.sentence


def campaign(count: int, seed: int, folder: Path) -> Campaign:
    """Begin one run twice, and begin it while it is resumed."""
    rng, tried, line = random.Random(seed), Campaign(), RUNS["task"]
    expected, _ = whole(folder / "alone", line)
    train = [*line.split(), *SAVING.split()]
    resume = ["train", "task", "--resume", *SAVING.split()]
    for number in range(count):
        second = rng.choice((train, resume))
        delay = rng.choice((0.0, rng.random() * 0.1, rng.random()))
        path = folder / f"pair-{number}"
        shown = (second[2], round(delay, 3))
        tried.attempt(
            shown, lambda path=path, second=second, delay=delay: together(path, train, second, delay, expected)
        )
    return tried


def held(folder: Path) -> Campaign:
    """Commands on folders that another process holds."""
    tried = Campaign()
    whole(folder / "run", RUNS["task"])
    commands = {
        "run": ["train", "task", "--resume", "--steps", "80"],
        "ladder": ["reproduce", "copy", "--quick", "--budget", "0"],
        "popgym": ["popgym", "AutoencodeEasy", "--budget", "0"],
    }
    for name, words in commands.items():
        (folder / name).mkdir(exist_ok=True)
        tried.attempt(words, lambda name=name, words=words: _held(folder / name, words))
    return tried


def _held(path: Path, words: list[str]) -> str:
    with locked(Run(path)):
        ended = run([*words, "--out", str(path)], path)
    assert ended.code == 2, ended.told
    assert "is in use by process" in ended.sentence
    return ended.sentence
