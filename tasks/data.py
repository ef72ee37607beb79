"""Real data: where each set comes from, and where to find it on this machine."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from lukasa.ground.files import replacing
from lukasa.ground.mistakes import UserError

VARIABLE = "LUKASA_DATA"
"""Environment variable that names the folder with the data sets."""

TIMEOUT = 30
"""Seconds without an answer after which a download is given up."""


class DataError(UserError):
    """Data that is missing, cut short or something else: one sentence that says what to do."""


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Attributes:
        name: of the file.
        size: bytes.
        sha256: of the contents, hexadecimal.
        url: where it can be downloaded as it is; empty where it cannot.
    """

    name: str
    size: int
    sha256: str
    url: str = ""


@dataclass(frozen=True)
class DataSet:
    """One data set.

    Attributes:
        name: of its folder.
        title: what it is.
        home: page of its authors.
        licence: under which it comes.
        files: that belong to it.
    """

    name: str
    title: str
    home: str
    licence: str
    files: tuple[DataFile, ...]


TUBE_URL = "https://raw.githubusercontent.com/nicola/tubemaps/f20f2ad9397e4a1756770d1111b7f5d2413244bc/datasets/"

DATA_SETS = {
    "babi": DataSet(
        "babi",
        "bAbI tasks v1.2, English (Weston et al. 2015)",
        "https://research.facebook.com/downloads/babi/",
        "Creative Commons Attribution 3.0",
        (
            DataFile("babi_v1-2_en.tar.gz", 575071, "593ba4675cceb7e25bd0f8dca2eccf7b0e576f7aa52e72666a05d38ce5353fa8"),
            DataFile(
                "babi_v1-2_en-10k.tar.gz", 2493278, "a4bfbfdf791a66a488423457fab9fdb7ef9b505c6a1eab8371ca5be30de8ca27"
            ),
        ),
    ),
    "london_tube": DataSet(
        "london_tube",
        "London Underground, stations and connections of about 2005",
        "https://github.com/nicola/tubemaps",
        "not stated with the data; the repository declares ISC and MIT",
        tuple(
            DataFile(name, size, sha256, TUBE_URL + name)
            for name, size, sha256 in (
                ("london.connections.csv", 5113, "a4eb232dfa07c6b591032c12c9df5a6c4a718f6e788cb8d5c9b298813752d810"),
                ("london.lines.csv", 502, "e09a1c60226b80f213d8c0f89cd4f09da3b326139402dd365476c368f1e8265b"),
                ("london.stations.csv", 17233, "5891d940113c9941d5a10e26f0d54c5b67abe9365834716600997d6e3177832a"),
            )
        ),
    ),
}
"""Every data set by name."""


def cache_folder() -> Path:
    """Where downloads are kept: ``$XDG_CACHE_HOME/lukasa``, or ``~/.cache/lukasa``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lukasa"


def folders(name: str, data_dir: str = "") -> Iterator[Path]:
    """Folders that may hold a data set, in the order in which they are looked at.

    Args:
        name: of the data set.
        data_dir: the folder a user named; empty for none.

    Raises:
        DataError: the folder a user named is not there.
    """
    if data_dir and not Path(data_dir).is_dir():
        raise DataError(f"the data folder {data_dir!r} does not exist: name one that does, or leave it out")
    for root in filter(None, (data_dir, os.environ.get(VARIABLE), str(cache_folder()))):
        yield Path(root) / name
        yield Path(root)


def locate(name: str, file_name: str, data_dir: str = "") -> Path:
    """Find a file of a data set, whole and unchanged; download it where that is possible and nothing else helps.

    Args:
        name: of the data set, a key of ``DATA_SETS``.
        file_name: of one of its files.
        data_dir: a folder to look in first; then come ``$LUKASA_DATA``, the cache folder and the download.

    Raises:
        DataError: it is nowhere, or what is there is not what it should be.
    """
    data_set = DATA_SETS[name]
    wanted = next(one for one in data_set.files if one.name == file_name)
    for folder in folders(name, data_dir):
        path = folder / file_name
        if path.is_file():
            _check(path, wanted, data_set)
            return path
    place = (Path(data_dir or os.environ.get(VARIABLE) or cache_folder()) / name / file_name).absolute()
    put = f"put it at {place} (from {data_set.home}), or name its folder with {VARIABLE}"
    if not wanted.url:
        raise DataError(f"{file_name} of {data_set.title} is not on this machine: {put}")
    path = cache_folder() / name / file_name
    try:
        _download(wanted, data_set, path)
    except OSError as fault:
        raise DataError(f"{file_name} of {data_set.title} could not be downloaded ({fault}): {put}") from fault
    return path


def read_text(path: Path, otherwise: str = "") -> str:
    """A text file of the user's, with or without the mark that some editors begin one with.

    Args:
        path: of the file.
        otherwise: what can be done where it is missing, for the message.

    Raises:
        DataError: it cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as fault:
        raise DataError(f"{path} is not text (byte {fault.start:,}): it is damaged, get the file anew") from None
    except FileNotFoundError:
        raise DataError(f"{path} is missing: get it anew{otherwise}") from None
    except OSError as fault:
        raise DataError(f"{path} cannot be read: {fault.strerror}") from None


def _download(wanted: DataFile, data_set: DataSet, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with urllib.request.urlopen(wanted.url, timeout=TIMEOUT) as answer, replacing(path) as file:
        # One byte more than expected is enough to see that it is another file.
        file.write(answer.read(wanted.size + 1))
        file.flush()
        _check(Path(file.name), wanted, data_set)


def _check(path: Path, wanted: DataFile, data_set: DataSet) -> None:
    status = path.stat()
    if status.st_size != wanted.size:
        found = f"{status.st_size:,} bytes, expected {wanted.size:,}"
    elif _sha256(path, status.st_mtime_ns) != wanted.sha256:
        found = f"other contents than expected (sha256 {wanted.sha256})"
    else:
        return
    raise DataError(f"{path} has {found}: it is cut short or another file, get it anew from {data_set.home}")


@lru_cache
def _sha256(path: Path, modified: int) -> str:
    # ``modified`` is part of the key, so that a file that changed is read again.
    return hashlib.sha256(path.read_bytes()).hexdigest()
