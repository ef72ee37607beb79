"""The header of a file of safetensors, in plain Python: what is in it, without loading what is."""

from __future__ import annotations

import json
from typing import Any

LENGTH = 8
"""Bytes at the beginning, which say how long the header is."""


def metadata(content: bytes) -> dict[str, Any] | None:
    """The texts that a file has beside its tensors; behind its header it may be cut short.

    Args:
        content: of the file, or its beginning.

    Returns:
        None where it is no such file, or has no texts.

    Example:
        >>> header = b'{"__metadata__": {"kind": "notes"}}'
        >>> metadata(len(header).to_bytes(8, "little") + header), metadata(b"GIF89a")
        ({'kind': 'notes'}, None)
    """
    header = _header(content)
    found = None if header is None else header.get("__metadata__")
    return found if isinstance(found, dict) else None


def is_whole(content: bytes) -> bool:
    """Whether a file is as long as its header says.

    Example:
        >>> header = b'{"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]}}'
        >>> whole = len(header).to_bytes(8, "little") + header + b"xy"
        >>> is_whole(whole), is_whole(whole[:-1])
        (True, False)
    """
    header = _header(content)
    if header is None:
        return False
    try:
        ends = [one["data_offsets"][1] for name, one in header.items() if name != "__metadata__"]
        return len(content) == LENGTH + int.from_bytes(content[:LENGTH], "little") + max(ends, default=0)
    except (KeyError, IndexError, TypeError):
        return False


def _header(content: bytes) -> dict[str, Any] | None:
    length = int.from_bytes(content[:LENGTH], "little")
    try:
        header = json.loads(content[LENGTH : LENGTH + length])
    except (ValueError, RecursionError):
        return None
    return header if isinstance(header, dict) else None
