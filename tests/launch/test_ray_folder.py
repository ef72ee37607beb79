"""Folders as batch systems give them: the paths of Ray's sockets are short enough, or the variable is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lukasa.ground.mistakes import UserError
from lukasa.launch.ray.folder import LONGEST, SOCKET_BYTES, fits, short_folder


def test_folder_that_is_short_enough_is_left_to_ray(monkeypatch):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp")
    with short_folder() as folder:
        assert folder is None


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
@pytest.mark.parametrize("length", [40, 68, 200])
def test_long_folder_is_replaced_by_one_of_our_own_while_ray_runs(monkeypatch, variable, length):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv(variable, "/scratch/".ljust(length, "x"))
    with short_folder() as folder:
        assert folder is not None
        assert folder.is_dir()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(str(folder) + LONGEST) <= SOCKET_BYTES
    assert not folder.exists()


def test_where_no_folder_is_short_enough_the_variable_is_named(monkeypatch, tmp_path):
    deep = tmp_path / ("x" * 80)
    deep.mkdir()
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(deep))
    monkeypatch.setenv("HOME", str(deep))
    with pytest.raises(UserError, match=r"TMPDIR is .* bytes, .* set RAY_TMPDIR to a shorter folder"), short_folder([]):
        pass


def test_longest_path_that_fits_is_at_the_limit():
    room = SOCKET_BYTES - len(LONGEST)
    assert fits("x" * room)
    assert not fits("x" * (room + 1))
    assert not fits("é" * room)  # bytes, not letters


@pytest.mark.ray
@pytest.mark.slow
def test_run_trains_in_a_folder_of_68_characters(tmp_path):
    folder = Path(f"/tmp/{'batch-system-' * 5}"[:68].ljust(68, "x"))
    folder.mkdir(exist_ok=True)
    options = "--env RepeatPrevious-k1-v0 --core gru --memory.size 4 --embedding 4 --output 4 --steps 50"
    sizes = "--envs-per-runner 2 --batch-size 50 --minibatch-size 50 --epochs 1"
    command = [sys.executable, "-m", "lukasa.launch", "train", "rl", "--out", str(tmp_path / "run")]
    environment = os.environ | {"TMPDIR": str(folder)}
    try:
        done = subprocess.run(
            [*command, *options.split(), *sizes.split()], env=environment, capture_output=True, text=True, check=False
        )
    finally:
        folder.rmdir() if not any(folder.iterdir()) else None
    assert done.returncode == 0, done.stderr
