"""Clocks that are set back and forward by a day while a run trains."""

import random
import re
from pathlib import Path

from lukasa.launch.runs.checkpoints import list_checkpoints
from lukasa.launch.runs.directory import open_run, read_metrics
from tests.launch.mutations import Campaign
from tests.launch.small_runs import RUNS
from tests.reliability.commands import DAY, Harm, run
from tests.reliability.kills import MORE, SAVING, numbers, whole


def turned(path: Path, line: str, expected: list[dict], changes: int, rng: random.Random) -> str:
    """A run under a clock that jumps, killed once and continued under another: the numbers of a run without."""
    jumps = [(0.0, DAY), (0.0, -DAY), (DAY, -DAY, 0.0), (0.0,) * 5 + (-DAY,) * 50]
    first = Harm(kill_at=rng.randint(changes // 2, changes), clock=rng.choice(jumps))
    words = [*SAVING.split(), "--out", str(path)]
    ended = run([*line.split(), *words], path, first)
    if ended.code:
        assert ended.code == -9, ended.told
        ended = run([*line.split()[:2], "--resume", *words], path, Harm(clock=(rng.choice((-2, 2)) * DAY,)))
        assert ended.code == 0, ended.told
    assert numbers(path) == expected, "other numbers than those of a run without"
    found, _ = open_run(path)
    rows = read_metrics(found)
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds), "seconds went back"
    assert seconds[-1] < 3600, "a jump was counted as time of training"
    assert list_checkpoints(found.checkpoints)[-1].step == rows[-1][found.step_key], "checkpoints are out of order"
    assert not re.search(r"left (-\d|\d\d+:)|  -[\d.]+ \w+/s", ended.told), ended.told
    events = sorted(path.glob("events/*"))
    assert [one.stat().st_mtime_ns for one in events] == sorted(one.stat().st_mtime_ns for one in events)
    return "right"


def campaign(kind: str, count: int, seed: int, folder: Path) -> Campaign:
    """Turn the clock under runs of a kind."""
    rng, tried, line = random.Random(seed), Campaign(), (RUNS | MORE)[kind]
    expected, changes = whole(folder / f"{kind}-whole", line)
    for number in range(count):
        path = folder / f"{kind}-{number}"
        tried.attempt((kind, number), lambda path=path: turned(path, line, expected, changes, rng))
    return tried
