"""Disks that are full, and folders that cannot be written: one sentence, nothing lost, and the run goes on later."""

import contextlib
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

from lukasa.launch.runs.checkpoints import list_checkpoints, load_checkpoint
from tests.launch.mutations import Campaign, snapshot
from tests.launch.small_runs import RUNS
from tests.reliability.commands import Ended, Harm, run
from tests.reliability.kills import MORE, SAVING, numbers, whole

ROOM = 64 * 2**20


def why_not() -> str:
    """Why nothing can be mounted here; empty where it can."""
    if os.geteuid() != 0:
        return "a file system is mounted by root alone"
    with contextlib.suppress(OSError):
        here = Path("/tmp") / f"lukasa-mount-{os.getpid()}"
        here.mkdir()
        try:
            with mounted(here, ROOM):
                return ""
        except subprocess.CalledProcessError as error:
            return f"nothing can be mounted here: {error.stderr.decode().strip()}"
        finally:
            here.rmdir()
    return "nothing can be mounted here"


@contextlib.contextmanager
def mounted(path: Path, size: int) -> Iterator[None]:
    """A small file system in memory."""
    _system("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))
    try:
        yield
    finally:
        _system("umount", str(path))


def resize(path: Path, size: int) -> None:
    """Give it more room."""
    _system("mount", "-o", f"remount,size={size}", str(path))


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[None]:
    """A folder that not even root can write to."""
    _system("mount", "--bind", str(path), str(path))
    try:
        _system("mount", "-o", "remount,ro,bind", str(path))
        yield
    finally:
        _system("umount", str(path))


def _system(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def check_left(path: Path, ended: Ended) -> None:
    """What a run that could not be written came to: one sentence, and no run, or one whose last checkpoint is whole."""
    assert ended.code in (1, 2), (ended.code, ended.told)
    said = ended.sentence
    assert any(word in said for word in ("space", "too large", "cannot be written", "Read-only", "quota")), said
    checkpoints = list_checkpoints(path / "checkpoints")
    if checkpoints:
        load_checkpoint(checkpoints[-1])
    elif path.is_dir():
        assert (path / "config.json").is_file() or not any(path.iterdir()), "neither a run nor nothing"


def full(path: Path, line: str, expected: list[dict], ended: Ended) -> str:
    """What became of a run whose disk was full, and after there was room again."""
    if ended.code == 0:
        assert numbers(path) == expected
        return "right"  # all of it found room
    check_left(path, ended)
    begun = (path / "config.json").is_file()
    words = [*line.split()[:2], "--resume"] if begun else line.split()
    again = run([*words, *SAVING.split(), "--out", str(path)], path)
    assert again.code == 0, again.told
    assert numbers(path) == expected, "other numbers than those of the run that had room"
    return ended.sentence


def largest_file(path: Path, line: str, expected: list[dict], limit: int) -> str:
    """A run whose files cannot grow beyond a size."""
    ended = run([*line.split(), *SAVING.split(), "--out", str(path)], path, Harm(largest_file=limit))
    return full(path, line, expected, ended)


def small_disk(place: Path, line: str, expected: list[dict], size: int) -> str:
    """A run on a file system of a size, which then gets more."""
    place.mkdir()
    path = place / "run"
    with mounted(place, size):
        ended = run([*line.split(), *SAVING.split(), "--out", str(path)], path.parent.with_name(place.name + "-log"))
        resize(place, ROOM)
        return full(path, line, expected, ended)


def campaigns(kind: str, count: int, seed: int, folder: Path) -> dict[str, Campaign]:
    """Fill the disk under runs of a kind: at a size of a file, and on a small file system where one can be mounted."""
    line, rng = (RUNS | MORE)[kind], random.Random(seed)
    path = folder / f"{kind}-roomy"
    expected, _ = whole(path, line)
    sizes = [one.stat().st_size for one in path.rglob("*") if one.is_file()]
    tried = {f"a file that cannot grow, {kind}": Campaign()}
    for number in range(count):
        limit = rng.randint(1, int(1.1 * max(sizes)))
        one = folder / f"{kind}-file-{number}"
        shown = (kind, "largest file", limit)
        tried[f"a file that cannot grow, {kind}"].attempt(
            shown, lambda one=one, limit=limit: largest_file(one, line, expected, limit)
        )
    if why_not():
        return tried
    tried[f"a full disk, {kind}"] = Campaign()
    for number in range(count):
        size = 4096 * rng.randint(1, int(1.2 * sum(sizes)) // 4096)
        one = folder / f"{kind}-disk-{number}"
        shown = (kind, "disk", size)
        tried[f"a full disk, {kind}"].attempt(shown, lambda one=one, size=size: small_disk(one, line, expected, size))
    return tried


def unwritable(folder: Path) -> Campaign:
    """Commands that write to, or read from, a folder that cannot be written."""
    tried = Campaign()
    line = RUNS["task"]
    whole(folder / "run", line)
    with read_only(folder):
        before = snapshot(folder)
        out = str(folder / "run")
        for words, refused in (
            ([*line.split(), "--out", str(folder / "other")], True),
            ([*line.split(), "--seeds", "2", "--out", str(folder / "seeds")], True),
            (["train", "task", "--resume", "--steps", "80", "--out", out], True),
            (["eval", out, "--sequences", "2"], False),
            (["list", "runs", str(folder)], False),
            (["plot", out], True),
            (["export", out, "--out", str(folder / "agent")], True),
            (["tune", "task", "--task", "copy", "--core", "gru", "--grid", "lr=1e-3,1e-4", "--out", out + "x"], True),
            (["reproduce", "copy", "--quick", "--budget", "0", "--out", str(folder / "ladder")], True),
            (["popgym", "AutoencodeEasy", "--budget", "0", "--out", str(folder / "popgym")], True),
        ):
            tried.attempt(words, lambda words=words, refused=refused: _on_read_only(words, folder, refused=refused))
        assert snapshot(folder) == before
    return tried


def _on_read_only(words: list[str], folder: Path, *, refused: bool) -> str:
    ended = run(words, folder.with_name("log"))
    if not refused:
        assert ended.code == 0, ended.told
        return "right"
    assert ended.code in (1, 2), ended.told
    return ended.sentence
