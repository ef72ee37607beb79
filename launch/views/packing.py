"""Numbers as bytes in text: quantised, compressed, and read back by the page.

Dimensions: T steps, K rows, H and W height and width of a picture.
"""

from __future__ import annotations

import base64
import io
import zlib
from typing import Any

import numpy as np

LEVELS = 255
"""Steps between the lowest and the highest value: a weight is right to 1/510 of its range."""


def packed(values: np.ndarray, limits: tuple[float, float], levels: int = LEVELS) -> dict[str, Any]:
    """Numbers over time as bytes.

    Args:
        values: [T, ...]; what is not finite counts as the lower limit.
        limits: of the numbers; what is beyond is cut off.
        levels: between them, at most 255.

    Returns:
        "shape" with time last, "low" and "unit", which make a number of a byte as ``low + unit * byte``, "delta" if the
        bytes are differences in time, modulo 256, and "data", compressed by zlib, in base 64.

    Example:
        >>> packed(np.array([[0.0], [1.0]]), (0.0, 1.0))["shape"]
        [1, 2]
    """
    low, high = map(float, limits)
    unit = (high - low) / levels or 1.0
    known = np.nan_to_num(np.asarray(values, np.float32), nan=low, posinf=high, neginf=low)
    whole = np.clip(np.rint((known - low) / unit), 0, levels).astype(np.uint8)
    return _compressed(np.moveaxis(whole, 0, -1)) | {"low": low, "unit": unit}


def packed_numbers(values: np.ndarray) -> dict[str, Any]:
    """Whole numbers from 0 to 65,535 over time, [T, ...], exactly: a track of low and one of high bytes.

    Returns:
        As ``packed``, with the low bytes as "data" and the high ones as "high".
    """
    whole = np.moveaxis(np.asarray(values).astype(np.uint16), 0, -1)
    low, high = (whole & 255).astype(np.uint8), (whole >> 8).astype(np.uint8)
    return _compressed(low) | {"low": 0.0, "unit": 1.0, "high": _compressed(high)}


def unpacked(found: dict[str, Any]) -> np.ndarray:
    """The numbers that ``packed`` or ``packed_numbers`` packed, [T, ...], as the page reads them."""
    numbers = found["low"] + found["unit"] * _bytes(found)
    return numbers + 256 * _bytes(found["high"]) if "high" in found else numbers


def size_of(found: dict[str, Any]) -> int:
    """Characters that packed numbers take in the page."""
    return len(found["data"]) + (len(found["high"]["data"]) if "high" in found else 0)


def as_bytes(images: np.ndarray) -> np.ndarray:
    """Pictures as bytes; numbers from 0 to 1 are spread over them."""
    if images.dtype == np.uint8:
        return images
    return np.rint(255 * np.clip(np.nan_to_num(images.astype(np.float32)), 0, 1)).astype(np.uint8)


def png(image: np.ndarray, side: int) -> str:
    """A picture as a PNG in base 64.

    Args:
        image: uint8 [H, W] or [H, W, 3].
        side: the longest that height and width may be: a larger one is made smaller.
    """
    from PIL import Image

    picture = Image.fromarray(image)
    if max(picture.size) > side:
        picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def _compressed(whole: np.ndarray) -> dict[str, Any]:
    """Bytes with time last, as they are or as differences in time, whichever is shorter."""
    changes = np.diff(whole, axis=-1, prepend=np.zeros((*whole.shape[:-1], 1), np.uint8))
    plain, delta = (zlib.compress(np.ascontiguousarray(one).tobytes(), 6) for one in (whole, changes))
    shorter = min(plain, delta, key=len)
    data = base64.b64encode(shorter).decode()
    return {"shape": list(whole.shape), "delta": shorter is delta, "data": data}


def _bytes(found: dict[str, Any]) -> np.ndarray:
    raw = np.frombuffer(zlib.decompress(base64.b64decode(found["data"])), np.uint8).reshape(found["shape"])
    whole = np.cumsum(raw, -1, dtype=np.uint8) if found["delta"] else raw
    return np.moveaxis(whole.astype(np.float64), -1, 0)
