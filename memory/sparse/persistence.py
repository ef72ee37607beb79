"""A sparse memory as a file: a header in JSON, then the rows as they lie in memory, so that they can be mapped.

Legend: B batch, U slots written in the fullest row, W word size, A slots ever accessed.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lukasa.ground.files import replacing
from lukasa.memory.sparse.layout import Layout, the_device
from lukasa.memory.sparse.row_store import RowStore
from lukasa.memory.sparse.store import Store

MAGIC = b"lukasa sparse memory 1\n"
PAGE = 4096
CHUNK = 1 << 24  # bytes copied and summed at a time
DTYPES = {str(dtype).removeprefix("torch."): dtype for dtype in (torch.float32, torch.float64)}


def save(
    store: RowStore,
    path: str | PathLike[str],
    beside: Mapping[str, Tensor] | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Write what is written in a store to a file beside the path, then rename it.

    Args:
        store: left as it is.
        path: a file there is replaced at once or not at all.
        beside: further tensors, of float32 or float64, which ``load_with`` gives back.
        about: what else there is to say of it, in values of JSON; ``about`` gives it back.
    """
    layout = store.layout
    written = int(store.used.max()) if layout.batch_size else 0
    order = store.usage.accessed_slots()
    rows = store.view()
    # Row by row, which spares a copy; last comes the row that stands for no slot.
    parts = {"used": [store.used], "order": [order], "rows": [*rows[:, :written], rows.new_zeros(1, layout.word_size)]}
    shapes = {"used": store.used.shape, "order": order.shape, "rows": (len(store.used) * written + 1, layout.word_size)}
    beside = beside or {}
    parts |= {name: [tensor] for name, tensor in beside.items()}
    shapes |= {name: tensor.shape for name, tensor in beside.items()}
    header: dict[str, Any] = {
        "slots": layout.slots,
        "word_size": layout.word_size,
        "batch_size": layout.batch_size,
        "dtype": str(layout.dtype).removeprefix("torch."),
        "storage": layout.storage,
        "delta": layout.delta,
        "index": layout.index,
        "index_options": dict(layout.index_options or {}),
        "sections": {},
        "beside": {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in beside.items()},
        "about": dict(about or {}),
    }
    end = 0
    for name, tensors in parts.items():
        size, checksum = sum(tensor.nbytes for tensor in tensors), 0
        for tensor in tensors:
            checksum = _checksum(_bytes(tensor), checksum)
        header["sections"][name] = {"shape": list(shapes[name]), "begin": end, "bytes": size, "checksum": checksum}
        end = _next_page(end + size)
    text = json.dumps(header).encode()
    start = _next_page(len(MAGIC) + 20 + len(text))
    with replacing(path) as file:
        file.write(MAGIC + f"{len(text):010d}{zlib.crc32(text):010d}".encode() + text)
        for name, tensors in parts.items():
            file.seek(start + header["sections"][name]["begin"])
            file.writelines(_bytes(tensor) for tensor in tensors)
        file.truncate(start + end)


def load(path: str | PathLike[str], **changes: Any) -> Store:
    """A store over a file that is mapped copy-on-write, so that it is never changed.

    Args:
        path: what ``save`` wrote.
        **changes: fields of ``Layout`` that are to differ; slots can only be more.

    Raises:
        ValueError: the file is none, cut short or altered, or the changes do not fit it.
    """
    return load_with(path, **changes)[0]


def about(path: str | PathLike[str]) -> dict[str, Any]:
    """What ``save`` was told about a memory.

    Raises:
        ValueError: the file is none of a memory, or cut short.
    """
    return _read_header(Path(path))[0].get("about", {})


def load_with(path: str | PathLike[str], **changes: Any) -> tuple[Store, dict[str, Tensor]]:
    """As ``load``, and the tensors beside it, which are mapped as well."""
    path = Path(path)
    header, start = _read_header(path)
    layout = Layout(
        **{name: header[name] for name in ("batch_size", "slots", "word_size", "storage", "delta", "index")},
        dtype=DTYPES[header["dtype"]],
        index_options=header["index_options"],
    )
    if "index" in changes:
        layout = replace(layout, index_options=None)
    for name in ("batch_size", "word_size", "dtype", "storage"):
        if changes.get(name, getattr(layout, name)) != getattr(layout, name):
            raise ValueError(f"{path} holds {name} {getattr(layout, name)}: it cannot be loaded as {changes[name]}")
    if changes.get("slots", layout.slots) < layout.slots:
        raise ValueError(f"{path} is of a memory of {layout.slots} slots: it cannot be loaded with {changes['slots']}")
    device = the_device(changes.get("device", "cpu"))
    beside = {name: DTYPES[dtype] for name, dtype in header.get("beside", {}).items()}
    dtypes = {"used": torch.int64, "order": torch.int64, "rows": layout.stored, **beside}
    parts = {}
    for name, section in header["sections"].items():
        if not section["bytes"]:  # nothing cannot be mapped
            parts[name] = torch.empty(section["shape"], dtype=dtypes[name], device=device)
            continue
        data = np.memmap(path, np.uint8, "c", start + section["begin"], (section["bytes"],))
        if _checksum(data) != section["checksum"]:
            raise ValueError(f"{path} was altered: the checksum of its {name} does not match; restore it from a copy")
        parts[name] = torch.from_numpy(data).view(dtypes[name]).view(section["shape"]).to(device)
    store = Store(replace(layout, **{**changes, "device": device}))
    if len(parts["rows"]) > 1:
        store.adopt(parts["rows"], parts["used"].clone())
    store.usage.restore(parts["order"])
    return store, {name: parts[name] for name in beside}


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and where the sections begin.

    Raises:
        ValueError: the file is no memory, or not all of one.
    """
    with path.open("rb") as file:
        first = file.read(len(MAGIC) + 20)
        if not first.startswith(MAGIC):
            raise ValueError(f"{path} is no sparse memory: it does not begin with {MAGIC.decode().strip()!r}")
        numbers = first[len(MAGIC) :]
        length, checksum = int(numbers[:10] or b"0"), int(numbers[10:] or b"0")
        text = file.read(length)
        size = file.seek(0, os.SEEK_END)
    if len(numbers) < 20 or len(text) < length:
        raise ValueError(f"{path} was cut short: its header is not all there; restore it from a copy")
    if zlib.crc32(text) != checksum:
        raise ValueError(f"{path} was altered: the checksum of its header does not match; restore it from a copy")
    header = json.loads(text)
    start = _next_page(len(first) + length)
    expected = start + max(_next_page(part["begin"] + part["bytes"]) for part in header["sections"].values())
    if size != expected:
        raise ValueError(f"{path} was cut short: it has {size:,} bytes of {expected:,}; restore it from a copy")
    return header, start


def _bytes(tensor: Tensor) -> memoryview:
    data: Any = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy()
    return memoryview(data)


def _checksum(data: Any, total: int = 0) -> int:
    view = memoryview(data)
    for begin in range(0, len(view), CHUNK):
        total = zlib.crc32(view[begin : begin + CHUNK], total)
    return total


def _next_page(position: int) -> int:
    return -(-position // PAGE) * PAGE
