"""One file of tensors and plain values: safetensors, with JSON as its metadata and a checksum over both.

Nothing in such a file is code, and nothing of it is run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save as save_bytes
from torch import Tensor

from lukasa.ground.files import replacing
from lukasa.ground.tensor_headers import metadata as read_metadata

KIND, ABOUT, CHECKSUM = "kind", "about", "checksum"


class AgentFileError(ValueError):
    """A file that holds no agent or session, or not all of one; the message names it."""


def to_bytes(kind: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """A whole file.

    Args:
        kind: what it is, with the number of its format.
        about: values of JSON.
        tensors: by name.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(about)
    return save_bytes(plain, {KIND: kind, ABOUT: text, CHECKSUM: checksum(text, plain)})


def write(path: str | Path, kind: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a file, whole or not at all; see ``to_bytes``."""
    replace_file(path, to_bytes(kind, about, tensors))


def replace_file(path: str | Path, content: bytes) -> None:
    """Write the content of a file, whole or not at all."""
    with replacing(path) as file:
        file.write(content)


def read(source: str | Path | bytes, kind: str, what: str) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """What ``write`` or ``to_bytes`` was given, and its checksum, by which equal files are known.

    Args:
        source: a file, or its content.
        kind: that it must be of.
        what: "agent", "model" or "session", for messages.

    Raises:
        AgentFileError: there is no such file, it is of another kind, cut short or altered.
    """
    name = "this session" if isinstance(source, bytes) else str(source)
    content = source if isinstance(source, bytes) else _content(Path(source), what)
    metadata = read_metadata(content)
    if metadata is None or KIND not in metadata:
        raise AgentFileError(f"{name} holds no {what}: {_expected(what)}")
    found = metadata[KIND]
    if found != kind:
        ours = kind.rpartition(" ")[0]
        if isinstance(found, str) and found.rpartition(" ")[0] == ours:
            raise AgentFileError(
                f"{name} was written in format {found.rpartition(' ')[2]!r}, and this version of lukasa reads "
                f"{kind.rpartition(' ')[2]!r}: use the version that wrote it, or write it again"
            )
        raise AgentFileError(f"{name} holds no {what}, but {str(found)[:60]!r}: {_expected(what)}")
    try:
        tensors = load_bytes(content)
        about = json.loads(metadata[ABOUT])
        intact = metadata[CHECKSUM] == checksum(metadata[ABOUT], tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RecursionError):
        raise AgentFileError(f"{name} was cut short or altered: {_again(what)}") from None
    if not intact or not isinstance(about, dict):
        raise AgentFileError(f"{name} was altered, its checksum does not match: {_again(what)}")
    return about, tensors, metadata[CHECKSUM]


def checksum(text: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over plain values and tensors with their names, types and shapes."""
    total = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        if tensor.numel():
            content: Any = tensor.reshape(-1).view(torch.uint8).numpy()
            total.update(memoryview(content))
    return total.hexdigest()


def _content(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError:
        raise AgentFileError(f"{path} is a folder: {_expected(what)}") from None
    except OSError as error:
        raise AgentFileError(f"{path} cannot be read ({error.strerror}): {_expected(what)}") from None


def _expected(what: str) -> str:
    writer = "session.save" if what == "session" else "`lukasa export RUN --out FILE`"
    return f"expected what {writer} wrote"


def _again(what: str) -> str:
    return "restore it from a copy" if what == "session" else "export the run again, or restore it from a copy"
