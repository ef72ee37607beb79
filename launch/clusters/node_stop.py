"""End the Ray that runs under one folder on this machine, and no other.

``python launch/clusters/node_stop.py [FOLDER]`` ends the processes of this user whose command line, surroundings or
open files name the folder, that in ``RAY_TMPDIR`` by default: first asked, then told. ``ray stop`` would end every
Ray of this user, whosesoever run it carries.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SECONDS_TO_END = 10.0
UNNAMED = (
    "ray::",
    "ray-dashboard-",
    "ray.util.client.server",
    "multiprocessing.forkserver",
    "multiprocessing.resource_",
)
"""In the command lines of Ray's processes that do not name the session's folder: agents, workers, what these fork."""


def main(argv: Sequence[str]) -> int:
    """End them and say how many there were; returns the exit code."""
    folder = argv[0] if argv else os.environ.get("RAY_TMPDIR")
    if not folder:
        print("node_stop.py needs to know which Ray: give its folder, or set RAY_TMPDIR", file=sys.stderr)
        return 2
    print(f"{stop(Path(folder).expanduser().resolve())} processes of the Ray under {folder} ended")
    return 0


def stop(folder: Path) -> int:
    """End the processes of the Ray under a folder; those left after ten seconds are killed.

    Returns:
        How many there were.
    """
    found = find(folder)
    _send(found, signal.SIGTERM)
    until = time.monotonic() + SECONDS_TO_END
    while find(folder) and time.monotonic() < until:
        time.sleep(0.1)
    _send(find(folder), signal.SIGKILL)
    return len(found)


def find(folder: Path) -> list[int]:
    """The processes of this user that run Ray's programs for the Ray under a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            mine = entry.stat().st_uid == os.getuid()
            if mine and _belongs(entry, folder):
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def _belongs(process: Path, folder: Path) -> bool:
    command = _words(process / "cmdline")
    session = f"{folder}/ray/"
    if any(session in word for word in command) and "ray" in " ".join(command[:4]):
        return True
    if not any(mark in word for mark in UNNAMED for word in command):
        return False
    if f"RAY_TMPDIR={folder}" in _words(process / "environ"):
        return True
    # Agents that write their titles over their surroundings still hold their logs open.
    return any(os.readlink(file).startswith(session) for file in (process / "fd").iterdir())


def _words(file: Path) -> list[str]:
    return file.read_text(errors="replace").split("\0")


def _send(processes: Sequence[int], number: int) -> None:
    for process in processes:
        try:
            os.kill(process, number)
        except ProcessLookupError:
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
