"""A folder of images, with a folder for each class, as a data set of few-shot episodes.

Dimensions: C classes, E images of each, S side of a picture in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lukasa.ground.settings import check_whole
from lukasa.tasks.class_arrays import present
from lukasa.tasks.class_parts import NAMES, Part, check_part, check_shares, split_classes
from lukasa.tasks.data import DataError
from lukasa.tasks.examples import Examples
from lukasa.tasks.picture_files import square

SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"])
"""Endings of files that are taken for images; other files beside them are left alone."""

LARGEST = 1024
"""Most pixels of a side."""

_SPLIT_FOLDERS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation"}
_SPLIT_FOLDERS["test"] = "test"

Classes = tuple[tuple[str, tuple[Path, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Your own images: a folder with a folder for each class.

    The classes are dealt out to the parts train, validation and test, unless the folder has these three, or train and
    test, with the folders of the classes in them.

    Attributes:
        root: the folder; its images are ROOT/CLASS/*.png, or .jpg and the like.
        size: side of the pictures, pixels; the largest square in the middle of each image is resized to it.
        colour: pictures in colour, in place of shades of grey.
        instances: images of each class, the first by name; classes with fewer are left out. By default as many as the
            smallest class has.
        validation: share of the classes that settings are chosen by.
        test: share of the classes that are kept for the test.
        split_seed: decides which classes go where.
        turns: pictures turned by 90, 180 and 270 degrees are classes of their own.
    """

    root: str = ""
    size: int = 28
    colour: bool = True
    instances: int = 0
    validation: float = 0.15
    test: float = 0.2
    split_seed: int = 0
    turns: bool = False

    def __post_init__(self) -> None:
        if not self.root:
            raise ValueError("data set 'folder' needs its root, a folder with a folder of images for each class")
        check_whole("folder of images", "size", self.size, 4, LARGEST)
        check_whole("folder of images", "instances", self.instances, 0)
        if self.instances == 1:
            raise ValueError("folder of images: instances is 1, expected at least 2: one to show and one to ask for")
        check_shares(self.validation, self.test, self.split_seed)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one picture."""
        return (3, self.size, self.size) if self.colour else (self.size, self.size)

    @property
    def parts(self) -> Mapping[str, Part]:
        """Those that have classes; looks into the folder."""
        return present(self._classes()[0])

    def load(self, part: str) -> Examples:
        """The pictures of a part.

        Raises:
            ValueError: there is no such part.
            DataError: the folder has no such images, or a file cannot be read.
        """
        found, instances = self._classes()
        check_part(part, present(found), self.root)
        classes = found[part]
        files = tuple(tuple(_version(path) for path in images[:instances]) for _, images in classes)
        source = f"{Path(self.root).name or self.root} ({part}, {len(classes):,} classes of {instances:,} images)"
        return Examples(_decoded(files, self.size, self.colour), source, turns=self.turns)

    def _classes(self) -> tuple[dict[str, Classes], int]:
        """The images of each class of each part that has any, and how many of each are taken.

        Raises:
            DataError: there are none, or too few.
        """
        root = Path(self.root).expanduser()
        inside = _folders(root)
        split = {_SPLIT_FOLDERS[one.name]: one for one in inside if one.name in _SPLIT_FOLDERS}
        if {"train", "test"} <= split.keys() and len(split) == len(inside):
            found = {name: _images(split[name], _folders(split[name])) for name in NAMES if name in split}
        else:
            found = {"": _images(root, inside)}
        everything = [images for classes in found.values() for _, images in classes]
        instances = self.instances or min(map(len, everything))
        found = {name: tuple(one for one in classes if len(one[1]) >= instances) for name, classes in found.items()}
        if empty := [name for name, classes in found.items() if not classes]:
            where = f" of part {empty[0]!r}" if empty[0] else ""
            raise DataError(f"{root}: no class{where} has {instances} images: lower instances, or add images")
        return (self._dealt(found[""], root) if "" in found else found), instances

    def _dealt(self, classes: Classes, root: Path) -> dict[str, Classes]:
        try:
            dealt = split_classes(len(classes), self.validation, self.test, self.split_seed)
        except ValueError as fault:
            raise DataError(f"{root}: {fault}") from None
        return {name: tuple(classes[number] for number in dealt[name]) for name in NAMES if len(dealt[name])}


def _folders(root: Path) -> list[Path]:
    try:
        inside = sorted(root.iterdir())
    except OSError as fault:
        wanted = "name a folder with a folder of images for each class"
        raise DataError(f"the folder {root} cannot be read ({fault.strerror}): {wanted}") from None
    return [one for one in inside if one.is_dir() and not one.name.startswith((".", "__"))]


def _images(root: Path, folders: list[Path]) -> Classes:
    """The names of classes, and the images of each in order.

    Raises:
        DataError: there is no class, or one has fewer images than an episode needs.
    """
    if not folders:
        loose = len(_files(root))
        here = f"{loose} images, and" if loose else "nothing that is an image:"
        raise DataError(f"{root} has {here} no folder of a class: expected {root}/CLASS/*.png, or .jpg and the like")
    classes = tuple((folder.name, tuple(_files(folder))) for folder in folders)
    for name, images in classes:
        if len(images) < 2:
            has = "1 image" if images else "no image"
            raise DataError(
                f"class {name!r} in {root} has {has}: an episode shows one and asks for another, so add some to "
                f"{root / name}, or take it away"
            )
    return classes


def _files(folder: Path) -> list[Path]:
    found = [one for one in folder.iterdir() if one.suffix.lower() in SUFFIXES and one.is_file()]
    return sorted(one for one in found if not one.name.startswith("."))


Version = tuple[Path, int, int]
"""A file, and what changes when it does."""


def _version(path: Path) -> Version:
    status = path.stat()
    return path, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4)
def _decoded(classes: tuple[tuple[Version, ...], ...], size: int, colour: bool) -> Tensor:
    """Pictures [C, E, 3, S, S], or [C, E, S, S] without colour, uint8."""
    pictures = np.stack([[square(path, size, colour=colour) for path, *_ in images] for images in classes])
    return torch.from_numpy(pictures)
