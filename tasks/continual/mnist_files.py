"""MNIST as its four files hold it (LeCun et al. 1998), packed or not.

Dimensions: n pictures.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lukasa.tasks.data import VARIABLE, DataError, folders

HOME = "http://yann.lecun.com/exdb/mnist/"
PICTURES, LABELS = 0x803, 0x801
"""The numbers that files of pictures and of labels begin with."""


def read_mnist(part: str, data_dir: str = "") -> tuple[Tensor, Tensor]:
    """The pictures [n, 28, 28], uint8, and classes [n], int64, of a part: "train" or "t10k".

    Raises:
        DataError: the files are nowhere, or are not what they should be.
    """
    pictures = _read(f"{part}-images-idx3-ubyte", PICTURES, 3, data_dir)
    labels = _read(f"{part}-labels-idx1-ubyte", LABELS, 1, data_dir)
    if pictures.shape[1:] != (28, 28) or len(pictures) != len(labels) or not len(labels) or labels.max() > 9:
        raise DataError(
            f"the files of MNIST ({part}) hold pictures {list(pictures.shape)} and {len(labels):,} labels: expected as "
            f"many of both, 28×28 pixels, labels 0 to 9; get them anew from {HOME}"
        )
    return pictures, labels.long()


def _read(name: str, magic: int, dimensions: int, data_dir: str) -> Tensor:
    place = _find(name, data_dir)
    try:
        content = gzip.decompress(place.read_bytes()) if place.suffix == ".gz" else place.read_bytes()
    except (OSError, EOFError, zlib.error) as fault:
        raise DataError(f"{place} cannot be read ({fault}): get it anew from {HOME}") from None
    size = 4 * (1 + dimensions)
    header = struct.unpack_from(f">{1 + dimensions}I", content) if len(content) >= size else (0,)
    if header[0] != magic or len(content) != size + math.prod(header[1:]):
        raise DataError(f"{place} is cut short or another file: get it anew from {HOME}")
    values = np.frombuffer(content, np.uint8, offset=size).reshape(header[1:])
    return torch.from_numpy(values.copy())


def _find(name: str, data_dir: str) -> Path:
    for folder in folders("mnist", data_dir):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise DataError(
        f"{name}.gz of MNIST is not on this machine: get it from {HOME}, and name its folder with {VARIABLE}"
    )
