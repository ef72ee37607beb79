"""A run directory in object storage: pushed while it trains, fetched to go on elsewhere.

A run stays a folder on a disk, since it is locked, appended to and renamed in; storage holds a copy of it::

    URI/config.json, metrics.jsonl, events/, plots/
    URI/checkpoints/step-.../    state.pt first, manifest.json after it
    URI/synced.json              written last: the checkpoints that are whole

so that whatever ends the push, ``synced.json`` names checkpoints that are there. URIs are those of pyarrow (``s3://``,
``gs://``, ``hdfs://``, ``file://``); others go to fsspec, which needs its package for each (``abfs://``: adlfs).
"""

from __future__ import annotations

import io
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from lukasa.ground.files import replacing_folder
from lukasa.ground.mistakes import UserError
from lukasa.launch.runs.checkpoints import MANIFEST_FILE, list_checkpoints

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

SYNCED_FILE = "synced.json"
SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_BETWEEN_METRICS = 60.0
CHUNK_BYTES = 2**22

OPTIONS: tuple[tuple[str, Any, Any, str], ...] = (
    ("sync", str | None, None, "URI in object storage to keep a copy of the run at, as s3://bucket/name."),
)
"""Options of the command line beside the experiment: name, type, default, help."""


@dataclass
class Copy:
    """A run directory's copy in storage.

    Attributes:
        uri: where, as the user gave it.
        filesystem: of pyarrow.
        root: the place inside it.
    """

    uri: str
    filesystem: FileSystem
    root: str
    _pushed: dict[str, tuple[int, int]] = field(default_factory=dict)

    def read(self, name: str) -> bytes | None:
        """The content of a file, None where there is none."""
        try:
            with self.filesystem.open_input_stream(f"{self.root}/{name}") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: BinaryIO) -> None:
        """Write a file whole or not at all."""
        path = f"{self.root}/{name}"
        self.filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        with self.filesystem.open_output_stream(f"{path}.writing") as file:
            shutil.copyfileobj(content, file, CHUNK_BYTES)
        self.filesystem.move(f"{path}.writing", path)

    def take(self, name: str, target: Path) -> None:
        """Copy a file out of storage."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.filesystem.open_input_stream(f"{self.root}/{name}") as file, open(target, "wb") as ours:
            shutil.copyfileobj(file, ours, CHUNK_BYTES)

    def push(self, run: Path) -> None:
        """Bring the copy up to date: new checkpoints, what else has changed, ``synced.json``; then old ones go.

        Raises:
            OSError: storage does not answer or refuses.
        """
        checkpoints = [one.path for one in list_checkpoints(run / "checkpoints") if (one.path / MANIFEST_FILE).exists()]
        for path in checkpoints:
            self._push_file(run, path / "state.pt")
            self._push_file(run, path / MANIFEST_FILE)
        for path in sorted(run.rglob("*")):
            inside = path.relative_to(run)
            if inside.parts[0] != "checkpoints" and not inside.name.startswith(".") and path.is_file():
                self._push_file(run, path)
        names = [path.name for path in checkpoints]
        self.write(SYNCED_FILE, io.BytesIO(json.dumps({"checkpoints": names}).encode()))
        self._drop_checkpoints_but(names)

    def _push_file(self, run: Path, path: Path) -> None:
        name = path.relative_to(run).as_posix()
        status = path.stat()
        version = (status.st_mtime_ns, status.st_size)
        if self._pushed.get(name) != version:
            with open(path, "rb") as file:
                self.write(name, file)
            self._pushed[name] = version

    def _drop_checkpoints_but(self, names: list[str]) -> None:
        from pyarrow.fs import FileSelector

        found = self.filesystem.get_file_info(FileSelector(f"{self.root}/checkpoints", allow_not_found=True))
        for one in found:
            if one.base_name not in names:
                self.filesystem.delete_dir(one.path)
                self._pushed = {name: at for name, at in self._pushed.items() if f"/{one.base_name}/" not in name}


def open_copy(uri: str) -> Copy:
    """The copy at a URI, there or not.

    Raises:
        UserError: there is no such kind of storage here.
    """
    import pyarrow
    from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

    if "://" not in uri:
        raise UserError(f"--sync {uri} is no URI: expected one such as s3://bucket/name or file:///folder")
    try:
        filesystem, root = FileSystem.from_uri(uri)
    except pyarrow.ArrowInvalid as unknown:
        from fsspec.core import url_to_fs

        try:
            found, root = url_to_fs(uri)
        except (ValueError, ImportError) as error:
            raise UserError(f"--sync {uri} cannot be used: {error}") from unknown
        filesystem = PyFileSystem(FSSpecHandler(found))
    except OSError as error:
        raise UserError(f"--sync {uri} cannot be used: {error}") from None
    return Copy(uri, filesystem, root.rstrip("/"))


@contextmanager
def synced(run: Path, uri: str) -> Iterator[None]:
    """Keep a copy of a run at a URI while the block lasts: after each checkpoint, and once more at the end.

    Storage that fails meanwhile is told of on stderr and tried again: training goes on. Of a run that fails before its
    first checkpoint no copy is left.

    Raises:
        UserError: storage cannot be written, or holds another run.
    """
    copy = open_copy(uri)
    was_there = _check_same_run(copy, run)
    _push(copy, run)
    end = threading.Event()
    thread = threading.Thread(target=_push_until, args=(copy, run, end), name="sync", daemon=True)
    thread.start()
    whole = False
    try:
        yield
        whole = True
    finally:
        end.set()
        thread.join()
        if whole or was_there or list_checkpoints(run / "checkpoints"):
            _push(copy, run)
        else:
            with suppress(OSError):
                copy.filesystem.delete_dir(copy.root)


def fetch(uri: str, out: Path) -> int:
    """Make a run directory of the copy at a URI.

    Returns:
        How many checkpoints it has.

    Raises:
        UserError: there is no run, it cannot be read, or the directory exists.
    """
    if out.exists():
        raise UserError(f"{out} exists: choose another --out, or remove it")
    copy = open_copy(uri)
    try:
        found = copy.read(SYNCED_FILE)
        if found is None:
            raise UserError(f"there is no run at {uri}: give what was --sync when it was trained")
        checkpoints = json.loads(found)["checkpoints"]
        with replacing_folder(out, replace=False) as beside:
            (beside / "checkpoints").mkdir()
            for name in _files(copy, checkpoints):
                copy.take(name, beside / name)
    except FileNotFoundError:
        raise UserError(f"the run at {uri} changed while it was fetched: fetch it again") from None
    except OSError as error:
        raise UserError(f"the run at {uri} cannot be fetched: {_first_line(error)}") from None
    return len(checkpoints)


def _files(copy: Copy, checkpoints: list[str]) -> list[str]:
    """What a run directory is made of, without the checkpoints that are on their way in or out."""
    from pyarrow.fs import FileSelector, FileType

    found = copy.filesystem.get_file_info(FileSelector(copy.root, recursive=True))
    files = [one.path.removeprefix(copy.root).lstrip("/") for one in found if one.type == FileType.File]
    return [
        name
        for name in files
        if name != SYNCED_FILE
        and not name.endswith(".writing")
        and (not name.startswith("checkpoints/") or name.split("/")[1] in checkpoints)
    ]


def _check_same_run(copy: Copy, run: Path) -> bool:
    """Refuse a copy of another run; whether there is one of this."""
    try:
        theirs = copy.read("config.json")
    except OSError as error:
        raise UserError(f"--sync {copy.uri} cannot be read: {_first_line(error)}") from None
    ours = (run / "config.json").read_bytes()
    if theirs is not None and json.loads(theirs)["created"] != json.loads(ours)["created"]:
        raise UserError(f"--sync {copy.uri} holds another run: choose another URI")
    try:
        copy.write("config.json", io.BytesIO(ours))
    except OSError as error:
        raise UserError(f"--sync {copy.uri} cannot be written: {_first_line(error)}") from None
    return theirs is not None


def _push_until(copy: Copy, run: Path, end: threading.Event) -> None:
    seen, waited = None, 0.0
    while not end.wait(SECONDS_BETWEEN_LOOKS):
        waited += SECONDS_BETWEEN_LOOKS
        names = [(one.name, one.path.stat().st_mtime_ns) for one in list_checkpoints(run / "checkpoints")]
        if (names != seen or waited >= SECONDS_BETWEEN_METRICS) and _push(copy, run):
            seen, waited = names, 0.0


def _push(copy: Copy, run: Path) -> bool:
    try:
        copy.push(run)
    except FileNotFoundError:
        return False  # an old checkpoint was dropped here while it was read: the next look has the new ones
    except OSError as error:
        print(f"sync to {copy.uri} failed, the run itself goes on: {_first_line(error)}", file=sys.stderr)
        return False
    return True


def _first_line(error: OSError) -> str:
    return str(error).strip().split("\n")[0]
