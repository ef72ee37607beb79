"""Picture files in the layouts of Omniglot, of noise, for tests."""

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from lukasa.tasks.data import DATA_SETS, DataFile


def bits(number: int, side: int = 105) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 2, (side, side)).astype(np.uint8)


def png(ink: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray((1 - ink).astype(bool)).save(content, "PNG")
    return content.getvalue()


def put(folder: Path, contents: dict[str, bytes]) -> None:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def zipped(contents: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        for name, content in contents.items():
            files.writestr(name, content)
    return archive.getvalue()


def expect(monkeypatch, files: dict[str, bytes]) -> None:
    """Have these be the files of Omniglot, with no download."""
    wanted = tuple(DataFile(name, len(one), hashlib.sha256(one).hexdigest()) for name, one in files.items())
    monkeypatch.setitem(DATA_SETS, "omniglot", replace(DATA_SETS["omniglot"], files=wanted))
