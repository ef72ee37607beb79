"""A folder for Ray whose paths its sockets can have: batch systems set ``TMPDIR`` to long ones."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lukasa.ground.mistakes import UserError

SOCKET_BYTES = 103
"""Bytes of a socket's path that all systems allow: Linux 107, macOS 103."""

LONGEST = "/session_2026-11-29_03-16-04_660956_4194304/sockets/plasma_store"
"""What Ray adds to its folder, with the largest number that a process can have."""

SHORT = ("/tmp", "/var/tmp", "/dev/shm")


@contextmanager
def short_folder(candidates: Sequence[str] = SHORT) -> Iterator[Path | None]:
    """A folder of our own for as long as Ray runs; None where Ray's own choice is short enough.

    Args:
        candidates: folders in which to make it, and the user's home after them.

    Raises:
        UserError: none of them is short enough and can be written.
    """
    variable, chosen = rays_choice()
    if fits(f"{chosen}/ray"):
        yield None
        return
    folder = _made([*candidates, str(Path.home())])
    if folder is None:
        most = SOCKET_BYTES - len(LONGEST) - len("/ray")
        raise UserError(
            f"{variable} is {chosen}, which has {len(os.fsencode(chosen))} bytes, and the paths of Ray's sockets leave "
            f"room for {most}: set RAY_TMPDIR to a shorter folder"
        )
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def rays_choice() -> tuple[str, str]:
    """The variable that decides where Ray has its files, and the folder."""
    for variable in ("RAY_TMPDIR", "TMPDIR"):
        if os.environ.get(variable):
            return variable, os.environ[variable]
    return "TMPDIR", tempfile.gettempdir()


def fits(folder: str) -> bool:
    """Whether the sockets of a Ray that has its files there have paths of a length that systems allow."""
    return len(os.fsencode(folder)) + len(LONGEST) <= SOCKET_BYTES


def _made(candidates: Sequence[str]) -> Path | None:
    for candidate in candidates:
        if not fits(f"{candidate}/ray-12345678"):
            continue
        try:
            return Path(tempfile.mkdtemp(prefix="ray-", dir=candidate))  # nobody else can have made it
        except OSError:
            continue
    return None
