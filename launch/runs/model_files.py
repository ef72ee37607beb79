"""A trained model as one file: what was asked, what it learned, and a card that says what it is and how good.

It is in the format of safetensors; the values that are no tensors are JSON in its metadata, with a checksum over both.
Nothing in it is code. To ``eval``, ``plot``, ``ask`` and ``--start-from`` such a file is a run with one checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lukasa.ground.mistakes import UserError
from lukasa.ground.names import most_like
from lukasa.ground.tensor_headers import is_whole, metadata

if TYPE_CHECKING:
    from torch import Tensor

MODEL, AGENT = "lukasa model 1", "lukasa agent 1"
"""What such a file says it is. An agent plays without its run as well (``lukasa.agents.portable``)."""

RUN = "run"
"""Where the run of a model is among the values of its file."""

SUFFIX = ".safetensors"
FOLDER = Path(__file__).resolve().parents[1] / "models"
"""The models that come with this program, by the names of their files."""

TRAINING_ALONE = frozenset({"optimizer", "schedule", "generator", "window", "random"})
"""Parts of a checkpoint that training goes on with and nothing else needs, wherever they are in it."""


def names() -> list[str]:
    """The models that come with this program."""
    return sorted(path.name.removesuffix(SUFFIX) for path in FOLDER.glob(f"*{SUFFIX}"))


def located(path: Path) -> Path:
    """Where a run or a model is: the path itself, or the file of a model of that name where there is no such path."""
    named = FOLDER / f"{path}{SUFFIX}"
    return named if not path.exists() and len(path.parts) == 1 and named.is_file() else path


def nearest_model(path: Path) -> str | None:
    """The model whose name a path that is not there was meant to be; None where it is like none."""
    return most_like(str(path), names(), 0.7) if len(path.parts) == 1 else None


def without_training(state: Any) -> Any:
    """What a checkpoint holds, but for what only training goes on with.

    Example:
        >>> without_training({"trainer": {"core": {"w": 1}, "optimizer": {}}, "random": 3})
        {'trainer': {'core': {'w': 1}}}
    """
    if not isinstance(state, Mapping):
        return state
    return {name: without_training(part) for name, part in state.items() if name not in TRAINING_ALONE}


def packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Nested plain values as JSON has them.

    Args:
        value: as ``lukasa.launch.runs.checkpoints.to_plain`` gives it.
        name: that the names of its tensors begin with.
        tensors: gets them, by name.
    """
    if isinstance(value, Mapping):
        return {"fields": [[key, packed(part, f"{name}.{key}", tensors)] for key, part in value.items()]}
    if isinstance(value, list | tuple):
        parts = [packed(part, f"{name}.{place}", tensors) for place, part in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": parts}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    tensors[name] = value
    return {"tensor": name}


def unpacked(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of ``packed``; of what it never gave a ``KeyError``, ``TypeError`` or ``ValueError`` is raised.

    Example:
        >>> unpacked(packed({"a": (1, [2.5, None]), 3: b"x"}, "run", {}), {})
        {'a': (1, [2.5, None]), 3: b'x'}
    """
    if not isinstance(value, dict):
        return value
    [(how, held)] = value.items()
    if how == "tensor":
        return tensors[held]
    if how == "bytes":
        return bytes.fromhex(held)
    if how == "fields":
        return {key: unpacked(part, tensors) for key, part in held}
    return {"tuple": tuple, "list": list}[how](unpacked(part, tensors) for part in held)


@cache
def _read_header(path: Path, changed: int) -> tuple[str, dict[str, Any]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
    said = metadata(content) or {}
    try:
        kind, about = said["kind"], json.loads(said["about"])
    except (KeyError, TypeError, ValueError, RecursionError):
        kind, about = None, None
    if not isinstance(about, dict):
        raise UserError(f"{path} holds no trained model: expected a run directory, or what `lukasa export` wrote")
    if not is_whole(content):
        raise UserError(f"{path} was cut short: export the run again, or restore it from a copy")
    return str(kind), about


def read_header(path: Path) -> tuple[str, dict[str, Any]]:
    """What a file says it is, and its values; without its tensors, and without checking them.

    Raises:
        UserError: it is no such file, or cut short.
    """
    return _read_header(path, path.stat().st_mtime_ns)


def is_model(path: Path) -> bool:
    """Whether a file holds a model that is no agent; what holds neither is none."""
    return _kind_in(path) == MODEL


def is_exported(path: Path) -> bool:
    """Whether a file holds what ``lukasa export`` writes, a model or an agent."""
    return _kind_in(path) in (MODEL, AGENT)


def _kind_in(path: Path) -> str | None:
    try:
        return read_header(path)[0]
    except UserError:
        return None


def run_in(path: Path) -> dict[str, Any]:
    """What a file says of the run that it was exported from: config, step, score, state and card.

    Raises:
        UserError: it is no such file, or does not say it.
    """
    kind, about = read_header(path)
    found = about.get(RUN)
    if kind not in (MODEL, AGENT):
        raise UserError(f"{path} holds {kind!r}: expected {MODEL!r} or {AGENT!r}, which `lukasa export RUN` writes")
    if not isinstance(found, dict) or not isinstance(found.get("config"), dict):
        raise UserError(f"{path} holds an agent without its run: lukasa play plays it; export the run again")
    return found


def read_card(path: Path) -> dict[str, Any]:
    """The card of a model, with the size and the checksum of its file.

    Raises:
        UserError: it is no such file.
    """
    import hashlib

    card = run_in(path).get("card", {})
    content = path.read_bytes()
    return {**card, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def own_cards() -> dict[str, dict[str, Any]]:
    """The cards of the models that come with this program, by name; raises as ``read_card``."""
    return {name: read_card(FOLDER / f"{name}{SUFFIX}") for name in names()}


def read_state(path: Path) -> dict[str, Any]:
    """The checkpoint in a file, once its checksum was found to match.

    Raises:
        UserError: it is no such file, was cut short or altered.
    """
    from lukasa.agents.portable.agent_file import AgentFileError, read

    run_in(path)
    try:
        about, tensors, _ = read(path, read_header(path)[0], "model")
        return unpacked(about[RUN]["state"], tensors)
    except AgentFileError as error:
        raise UserError(str(error)) from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} describes a model that this version of lukasa does not know ({error}): export it again"
        ) from None
