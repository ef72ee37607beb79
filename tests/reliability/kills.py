"""Kills at random moments: every run goes on, with the numbers of the run that nobody killed."""

import itertools
import random
import time
from collections import Counter
from pathlib import Path

from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint
from lukasa.launch.runs.directory import open_run, read_metrics
from tests.launch.mutations import Campaign
from tests.launch.small_runs import RUNS
from tests.reliability.commands import Command, Harm, run

MORE = {
    "circuits": "train circuits copy_nram --starts 1 --batch-size 4 --steps 16 --report-every 8",
    "continual": "train continual --stream algorithms --dataset.sequences 16 --dataset.tested 4 --method rehearsal "
    "--task-steps 8 --batch-size 4 --report-every 4",
}
RL = (
    "train rl --env RepeatPrevious-k1-v0 --core gru --memory.size 8 --envs-per-runner 4 --batch-size 128 "
    "--minibatch-size 64 --epochs 1 --steps 1280"
)
SAVING = "--checkpoint-every 0"
TIMED = ("second", "resident", "wait", "slots_used")
"""In the names of numbers that tell of the process and the moment; a memory that is loaded fills its slots anew."""
KILLS_AT_MOST = 4


def numbers(path: Path) -> list[dict]:
    """The lines of metrics, without what is of the moment."""
    rows = read_metrics(open_run(path)[0])
    return [{name: value for name, value in row.items() if not any(one in name for one in TIMED)} for row in rows]


def whole(path: Path, line: str, more: tuple[str, ...] = ()) -> tuple[list[dict], int]:
    """The numbers of a run that nobody kills, and how many changes of files it made."""
    ended = run([*line.split(), *SAVING.split(), "--out", str(path), *more], path)
    assert ended.code == 0, ended.told
    return numbers(path), ended.changes


def check_kept(path: Path) -> int:
    """What a kill left: its last checkpoint is whole, and no line of metrics is further than a batch beyond it."""
    run_, _ = open_run(path)
    checkpoints, rows = list_checkpoints(run_.checkpoints), read_metrics(run_)
    if not checkpoints:
        assert len(rows) <= 1, "lines of metrics without a checkpoint"
        return 0
    steps = [one.step for one in checkpoints if _is_whole(one)]
    assert steps, "no checkpoint is whole"
    assert steps[-1] == checkpoints[-1].step, "the last checkpoint is not whole"
    between = max([rows[0][run_.step_key] if rows else 0, *(b - a for a, b in itertools.pairwise(steps))])
    assert not rows or rows[-1][run_.step_key] - steps[-1] <= between, "more than one checkpoint was lost"
    return steps[-1]


def _is_whole(checkpoint) -> bool:
    try:
        load_checkpoint(checkpoint)
    except Exception:
        return False
    return True


def killed(path: Path, line: str, expected: list[dict], changes: int, rng: random.Random, count: Counter) -> str:
    """A run that is killed before random changes of files, some times, and then comes to its end."""
    words, onward = [*line.split(), *SAVING.split()], [*line.split()[:2], "--resume", *SAVING.split()]
    kills = 0
    while True:
        begun = (path / "config.json").is_file()
        at = rng.randint(1, changes) if kills < KILLS_AT_MOST else None
        ended = run([*(onward if begun else words), "--out", str(path)], path, Harm(kill_at=at))
        if ended.code == 0:
            break
        assert ended.code == -9, ended.told
        kills += 1
        count["kills"] += 1
        if not (path / "config.json").is_file():
            assert not path.exists() or not any(path.rglob("*.pt")), "a run without a config"
            _clear(path)
            continue
        check_kept(path)
    assert numbers(path) == expected, "other numbers than those of the run that nobody killed"
    assert not list(path.rglob("*.partial")), "something half written is left"
    return "right"


def _clear(path: Path) -> None:
    """What a user does with a folder that was killed in the moment it was made."""
    for one in sorted(path.rglob("*"), reverse=True):
        one.rmdir() if one.is_dir() else one.unlink()
    if path.exists():
        path.rmdir()


def campaign(kind: str, count: int, seed: int, folder: Path) -> Campaign:
    """Kill runs of a kind."""
    line = (RUNS | MORE)[kind]
    rng, tried, counted = random.Random(seed), Campaign(), Counter()
    expected, changes = whole(folder / f"{kind}-whole", line)
    for number in range(count):
        path = folder / f"{kind}-{number}"
        tried.attempt((kind, number), lambda path=path: killed(path, line, expected, changes, rng, counted))
    print(f"{kind}: {count} runs, {counted['kills']} kills, {changes} changes of files in each run", flush=True)
    return tried


def with_ray(what: str, line: str, count: int, seed: int, folder: Path, more: tuple[str, ...] = ()) -> Campaign:
    """Kill runs whose work is done by Ray's processes, at random seconds; they go on, and come to their end."""
    rng, tried = random.Random(seed), Campaign()
    for number in range(count):
        path = folder / f"{what}-{number}"
        tried.attempt((what, number), lambda path=path: _killed_with_ray(path, line, rng, more))
    return tried


def _killed_with_ray(path: Path, line: str, rng: random.Random, more: tuple[str, ...]) -> str:
    command = Command([*line.split(), *SAVING.split(), "--out", str(path), *more], path, alone=True)
    goal = rng.randint(1, 6)
    while command.runs() and len(list((path / "checkpoints").glob("step-*"))) < min(goal, 3):
        time.sleep(0.05)
    time.sleep(rng.random())
    command.kill()
    ended = command.wait()
    assert ended.code in (-9, 0), ended.told
    done = check_kept(path)
    again = run([*line.split()[:2], "--resume", "--out", str(path), *more], path, alone=True)
    assert again.code == 0, again.told
    found, _ = open_run(path)
    steps = [row[found.step_key] for row in read_metrics(found)]
    assert steps == sorted(set(steps)), "steps are counted twice"
    assert done <= steps[-1], "the run went back"
    return "right"
