"""Files and folders that are written whole or not at all: beside the place where they belong, then renamed."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from lukasa.ground.mistakes import UserError

PARTIAL = ".partial"
"""How the name of what is being written ends; it begins with a dot."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to, which takes its place when the block ends; until then, and after a failure, all is as it was.

    A file that is replaced hands on its permissions, and a link to a file stays one.

    Args:
        path: of the file; its folder has to exist.

    Raises:
        OSError: it cannot be written; nothing is left behind.

    Example:
        >>> with replacing("notes.bin") as file:
        ...     _ = file.write(b"whole")
        >>> Path("notes.bin").read_bytes()
        b'whole'
    """
    path = Path(os.path.realpath(path))
    start = os.fsdecode(os.fsencode(path.name)[:100])  # the whole may be as long as a name can be
    beside = path.with_name(f".{start}.{os.getpid()}.{threading.get_ident()}{PARTIAL}")
    try:
        with beside.open("wb") as file:
            with suppress(FileNotFoundError):
                shutil.copymode(path, beside)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a file of text, in UTF-8, whole or not at all; see ``replacing``.

    Raises:
        OSError: it cannot be written; what was there is as it was.
    """
    with replacing(path) as file:
        file.write(text.encode())


@contextmanager
def replacing_folder(path: Path, replace: bool = True) -> Iterator[Path]:
    """A new folder to fill, which takes its place when the block ends; one process at a time may fill it.

    What a process that was killed had begun is removed by the next one.

    Args:
        path: of the folder; folders above it are made.
        replace: whether a folder that is there gives way; otherwise it is an error.

    Raises:
        OSError: it cannot be written; what was there is as it was, and nothing is left behind.
    """
    beside, before = (path.with_name(f".{path.name}{end}") for end in (PARTIAL, ".replaced"))
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        yield beside
        if replace and path.exists():
            shutil.copymode(path, beside)
            _exchange(beside, path, before)
        else:
            os.rename(beside, path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _exchange(beside: Path, path: Path, before: Path) -> None:
    shutil.rmtree(before, ignore_errors=True)
    os.rename(path, before)
    try:
        os.rename(beside, path)
    except BaseException:
        os.rename(before, path)
        raise
    shutil.rmtree(before, ignore_errors=True)


def remove_partial(folder: Path) -> None:
    """Remove files that processes which were killed had begun to write in a folder; none may be at work there."""
    with suppress(OSError):
        for path in folder.glob(f".*{PARTIAL}"):
            path.unlink()


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders that hold nothing."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def all_or_none(out: Path) -> Iterator[list[Path]]:
    """Folders that make no sense without each other: where not all are made, those that were made are gone again.

    Args:
        out: the folder that holds them.

    Yields:
        A list, to which the block appends each folder that it made.

    Raises:
        UserError: one of them cannot be written.
    """
    made: list[Path] = []
    try:
        yield made
    except BaseException as error:
        for path in made:
            shutil.rmtree(path, ignore_errors=True)
            remove_empty(one for one in path.parents if one.is_relative_to(out))
        if isinstance(error, OSError):
            raise UserError(f"--out {out} cannot be written: {error.strerror}") from None
        raise
