"""Omniglot as its files hold it: the official archives, the folders they unpack to, or packed arrays.

Dimensions: C characters, E drawings of each, S side of a picture in pixels.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lukasa.tasks.data import DATA_SETS, DataError, DataFile, DataSet, folders, locate
from lukasa.tasks.picture_files import ink, opened

SIDE = 105
"""Pixels of the original drawings, in both directions."""

DRAWERS = 20
"""People who drew each character, once each."""

CHARACTERS = {"background": 964, "evaluation": 659, "background_small1": 136, "background_small2": 156}
"""Characters of each official archive; those of the small ones are among the background's."""

_URL = "https://raw.githubusercontent.com/brendenlake/omniglot/057f034baf2ecb8530bc5710e5a23584d2a519cc/python/"

OMNIGLOT = DataSet(
    "omniglot",
    "Omniglot (Lake et al. 2015)",
    "https://github.com/brendenlake/omniglot",
    "MIT",
    (
        *(
            DataFile(f"images_{part}.zip", size, sha256, f"{_URL}images_{part}.zip")
            for part, size, sha256 in (
                ("background", 9464212, "ad41ab679c8b5d90b271ef46be6987cc81211774a695c29dcc5367b2b26ee640"),
                ("evaluation", 6462886, "1f61a8f3366785b057fc117d9228e78a16e3d976c8953b2a10fcc74cf0609cee"),
                ("background_small1", 1319022, "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4"),
                ("background_small2", 1580917, "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f"),
            )
        ),
        # The same drawings as arrays of bits, which nobody serves.
        DataFile(
            "omniglot_background.npz", 2440703, "3533579f2847283d0e0c35bec0fd24f8ad34e8a247fff63c7b0a7e4528b84dbe"
        ),
        DataFile(
            "omniglot_evaluation.npz", 1786993, "9df7e2a0ecf7ac089597012814a92ae770417e8fdd548a8e4632a93725982b82"
        ),
    ),
)
DATA_SETS[OMNIGLOT.name] = OMNIGLOT


class MissingDataError(DataError):
    """The data is neither here nor to be downloaded, so that something else may stand in for it."""


_DRAWING = re.compile(r"(?:^|/)([^/]+/character\d+)/(\d{4})_(\d{2})\.png$")


def read_drawings(part: str, size: int, data_dir: str = "", only: Container[int] | None = None) -> Tensor:
    """All drawings of an official part, resized, with their amount of ink.

    Args:
        part: a key of ``CHARACTERS``.
        size: side of the pictures, from 1 to 105 pixels.
        data_dir: folder to look in first; see ``lukasa.tasks.data``.
        only: places of the characters that are wanted; all of them by default.

    Returns:
        [C, 20, S, S] uint8, 255 for all ink; characters in the order of their official numbers.

    Raises:
        MissingDataError: the files are not available.
        DataError: they are not what they should be.
    """
    place = _find(part, data_dir)
    drawings: Iterable[np.ndarray] = _unpacked(place) if place.suffix == ".npz" else _decoded(place, part)
    wanted = [one for place, one in enumerate(drawings) if only is None or place in only]
    return torch.stack([resized(character, size) for character in wanted])


def read_alphabets(part: str, data_dir: str = "") -> list[str]:
    """The alphabet of each character of an official part, in the order of ``read_drawings``.

    Raises:
        MissingDataError, DataError: as ``read_drawings``.
    """
    place = _find(part, data_dir)
    if place.suffix == ".npz":
        with np.load(place, allow_pickle=False) as arrays:
            names = arrays["alphabets"].tolist()
            return [names[number] for number in arrays["class_alphabet"].tolist()]
    with opened(place) as (names, _):
        of = {int(found[2]): found[1].partition("/")[0] for name in names if (found := _DRAWING.search(name))}
    return [of[number] for number in sorted(of)]


def _find(part: str, data_dir: str) -> Path:
    archive = f"images_{part}.zip"
    for folder in folders(OMNIGLOT.name, data_dir):
        for name in (f"omniglot_{part}.npz", archive):
            if (folder / name).is_file():
                return locate(OMNIGLOT.name, name, data_dir)  # checks it
        if (folder / f"images_{part}").is_dir():
            return folder / f"images_{part}"
    try:
        return locate(OMNIGLOT.name, archive, data_dir)  # downloads it
    except DataError as fault:
        raise MissingDataError(str(fault)) from fault


def _unpacked(place: Path) -> Iterator[np.ndarray]:
    """Bits of each character's drawings, [20, 105, 105], out of packed arrays."""
    with np.load(place, allow_pickle=False) as arrays:
        images = arrays["images"]  # [C, 20, 105, 14]
    for character in images:
        yield np.unpackbits(character, axis=-1)[..., :SIDE]


def _decoded(place: Path, part: str) -> Iterator[np.ndarray]:
    """Bits of each character's drawings, [20, 105, 105], out of picture files."""
    with opened(place) as (names, read):
        for drawings in _by_character(names, place, part):
            yield np.stack([ink(read(name), f"{place}: {name}", SIDE) for name in drawings])


def _by_character(names: list[str], place: Path, part: str) -> list[list[str]]:
    """File names of each character's drawings, in the order of the official numbers."""
    characters: dict[int, dict[int, str]] = {}
    titles: dict[int, str] = {}
    for name in names:
        if found := _DRAWING.search(name):
            characters.setdefault(int(found[2]), {})[int(found[3])] = name
            titles[int(found[2])] = found[1]
    anew = f"get it anew from {OMNIGLOT.home}"
    for number, drawings in sorted(characters.items()):
        missing = sorted(set(range(1, DRAWERS + 1)) - set(drawings))
        if missing:
            raise DataError(
                f"{place}: {titles[number]} has {len(drawings)} drawings, expected {DRAWERS}: "
                f"{number:04d}_{missing[0]:02d}.png is missing, {anew}"
            )
    if len(characters) != CHARACTERS[part]:
        raise DataError(f"{place} has {len(characters)} characters, expected {CHARACTERS[part]}: {anew}")
    return [[drawings[drawer] for drawer in sorted(drawings)] for _, drawings in sorted(characters.items())]


def resized(bits: np.ndarray, size: int) -> Tensor:
    """Drawings [E, 105, 105] of bits, 1 for ink, as [E, S, S] uint8, 255 for all ink."""
    pictures = torch.from_numpy(bits).float().unsqueeze(1)
    smaller = F.interpolate(pictures, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return (255 * smaller.squeeze(1)).round().clamp(0, 255).to(torch.uint8)
