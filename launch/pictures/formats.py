"""Formats of pictures: chosen by a file's name or by an option."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lukasa.ground.mistakes import UserError

Format = Literal["png", "pdf", "svg"]
FORMATS: tuple[Format, ...] = ("png", "pdf", "svg")


def check_picture_name(path: Path) -> None:
    """Refuse a file whose name ends in no known format.

    Raises:
        UserError: it does.
    """
    if path.suffix[1:].lower() not in FORMATS:
        raise UserError(f"--out {path} is not a picture: give a file that ends in .png, .pdf or .svg")


def picture_format(out: str | None, chosen: Format | None) -> Format:
    """The format of all pictures of a command: the option's, else that of ``--out``, else PNG.

    Raises:
        UserError: ``--out`` is no picture, or of another format than the option.

    Example:
        >>> picture_format("curves.pdf", None), picture_format(None, "svg"), picture_format(None, None)
        ('pdf', 'svg', 'png')
    """
    if out is None:
        return chosen or "png"
    check_picture_name(Path(out))
    named: Format = next(one for one in FORMATS if Path(out).suffix[1:].lower() == one)
    if chosen not in (None, named):
        raise UserError(f"--out {out} and --format {chosen} contradict each other: leave one of them out")
    return named


def picture_path(folder: Path, name: str, chosen: Format | None) -> Path:
    """Where a picture goes: PNG unless another format was chosen."""
    return folder / f"{name}.{chosen or 'png'}"
