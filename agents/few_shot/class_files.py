"""A class memory as a folder: the file of its sparse memory, and a table of the classes in its slots.

The table names the file that it belongs to and comes last, by a rename: a crash at any moment leaves the memory that
was saved before or the one that is saved now.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from lukasa.ground.files import replacing
from lukasa.memory.sparse import SparseMemory

TABLE = "classes.pt"


@dataclass(frozen=True)
class Table:
    """All of a class memory but its embeddings.

    Attributes:
        keep: what a slot holds.
        candidates: of a query.
        classes: int64, of each slot that is written.
        counts: int64, examples that the embedding there is the mean of.
        probe: the embedding by which to tell encoders apart.
    """

    keep: Literal["means", "instances"]
    candidates: int
    classes: Tensor
    counts: Tensor
    probe: Tensor


def save(folder: str | PathLike[str], memory: SparseMemory, table: Table) -> None:
    """Write a memory and its table; what was saved in the folder before is replaced at once or not at all."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    before = {path.name: path for path in folder.glob("embeddings-*.memory")}
    number = next(one for one in range(len(before) + 1) if _name(one) not in before)
    memory.save(folder / _name(number))
    fields = {name: part.cpu().clone() if isinstance(part, Tensor) else part for name, part in asdict(table).items()}
    content = io.BytesIO()
    torch.save({**fields, "embeddings": _name(number), "checksum": _checksum(fields)}, content)
    with replacing(folder / TABLE) as file:
        file.write(content.getbuffer())
    for path in before.values():
        path.unlink()


def load(folder: str | PathLike[str], **layout: Any) -> tuple[SparseMemory, Table]:
    """What ``save`` wrote.

    Args:
        folder: where.
        **layout: as ``SparseMemory.load``.

    Raises:
        ValueError: there is none, or not all of it.
    """
    path = Path(folder) / TABLE
    if not path.is_file():
        raise ValueError(f"{folder} is no class memory: it has no {TABLE}")
    try:
        fields = torch.load(path, map_location="cpu", weights_only=True)
        name, checksum = fields.pop("embeddings"), fields.pop("checksum")
        table = Table(**fields)
    except Exception as error:  # whatever torch raises for the bytes of a broken file
        raise ValueError(f"{path} was cut short or altered: restore it from a copy") from error
    if checksum != _checksum(fields):
        raise ValueError(f"{path} was altered: its checksum does not match; restore it from a copy")
    if not (Path(folder) / name).is_file():
        raise ValueError(f"{folder} is not all of a class memory: it has no {name}; restore it from a copy")
    return SparseMemory.load(Path(folder) / name, **layout), table


def _name(number: int) -> str:
    return f"embeddings-{number}.memory"


def _checksum(fields: dict[str, Any]) -> int:
    return zlib.crc32(b"".join(fields[name].numpy().tobytes() for name in ("classes", "counts", "probe")))
