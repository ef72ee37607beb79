"""Archives and folders of small pictures, and pictures as bits."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lukasa.tasks.data import DataError

Read = Callable[[str], bytes]


@contextmanager
def opened(place: Path) -> Iterator[tuple[list[str], Read]]:
    """Open a zip archive, or the folder that it unpacks to.

    Args:
        place: of the archive or folder.

    Yields:
        The names of its files, with forward slashes, and a function that reads one.

    Raises:
        DataError: it is not there, or neither.
    """
    if place.is_dir():
        files = sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
        yield files, lambda name: (place / name).read_bytes()
        return
    try:
        archive = zipfile.ZipFile(place)
    except FileNotFoundError:
        raise DataError(f"{place} is not there: name a zip archive, or the folder that it unpacks to") from None
    except (zipfile.BadZipFile, OSError) as fault:
        raise DataError(f"{place} is no zip archive ({fault}): it is cut short or another file, get it anew") from None
    with archive:
        yield archive.namelist(), lambda name: _member(archive, name, place)


def _member(archive: zipfile.ZipFile, name: str, place: Path) -> bytes:
    try:
        return archive.read(name)
    except zipfile.BadZipFile as fault:
        raise DataError(f"{place}: {name} is damaged ({fault}): get the archive anew") from None


def ink(content: bytes, where: str, side: int) -> np.ndarray:
    """Decode a square drawing in black on white.

    Args:
        content: of a picture file, such as a PNG.
        where: the file's name, for messages.
        side: height and width expected, pixels.

    Returns:
        [side, side] uint8, 1 where there is ink.

    Raises:
        DataError: it is not a picture, or of another size.
    """
    # Not at the top: samplers without pictures need torch and numpy alone.
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as picture:
            grey = np.asarray(picture.convert("L"))
    except (OSError, SyntaxError, ValueError):  # Pillow raises each of these for broken files
        found = f"{len(content):,} bytes that are no picture"
    else:
        if grey.shape == (side, side):
            return (grey < 128).astype(np.uint8)
        found = f"a picture of {grey.shape[1]}×{grey.shape[0]} pixels"
    raise DataError(f"{where} holds {found}, expected a PNG of {side}×{side}: get the file anew")


def square(path: Path, side: int, *, colour: bool) -> np.ndarray:
    """Decode an image of any kind and size: its largest square in the middle, resized.

    Args:
        path: of the file, such as a PNG or JPEG; transparent parts are shown on white.
        side: of the picture, pixels.
        colour: red, green and blue, in place of shades of grey.

    Returns:
        [3, side, side] or [side, side], uint8.

    Raises:
        DataError: the file is no image, or damaged.
    """
    # Not at the top: samplers without pictures need torch and numpy alone.
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as opened_picture:
            picture = ImageOps.exif_transpose(opened_picture)
            if picture.mode.startswith("I"):  # 16 bits, which Pillow would cut off rather than scale
                picture = Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8))
            if "A" in picture.mode or "transparency" in picture.info:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
            fitted = ImageOps.fit(picture.convert("RGB" if colour else "L"), (side, side), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as fault:
        reason = str(fault).partition("'")[0].strip() if isinstance(fault, OSError) else str(fault)
        raise DataError(f"{path} cannot be read as an image ({reason}): replace it, or take it away") from None
    pixels = np.asarray(fitted)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)) if colour else pixels
