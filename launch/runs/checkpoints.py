"""Checkpoints that are whole or refused: written beside, then renamed, each with sizes and checksums.

A checkpoint is a folder ``step-000000012345`` with ``state.pt`` (tensors and plain values, read by
``torch.load(weights_only=True)``) and ``manifest.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lukasa.ground.files import replacing, replacing_folder, write_text
from lukasa.ground.mistakes import TrainingError, UserError
from lukasa.ground.names import nearest
from lukasa.launch.runs.model_files import read_state, run_in

STATE_FILE, MANIFEST_FILE, PREFIX = "state.pt", "manifest.json", "step-"

BESIDE = "beside"
"""Key of a state: what is saved in files of its own, such as those that are mapped into memory. By the name of each
file a function that writes it, and in what was loaded its path."""


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on disk; its content is checked when it is loaded.

    Attributes:
        path: its folder.
        step: environment steps or sequences trained when it was taken.
        score: the mean score then, the higher the better; None when it was not known.
    """

    path: Path
    step: int
    score: float | None

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.path.name


def save_checkpoint(
    folder: Path, step: int, state: Mapping[str, Any], score: float | None, keep: int = 3
) -> Checkpoint:
    """Write a checkpoint, then drop old ones: the last few and the best stay.

    Args:
        folder: the folder of all checkpoints of a run.
        step: environment steps or sequences so far; a checkpoint of the same step is replaced.
        state: tensors, arrays and plain values, nested; under ``BESIDE`` functions that write further files.
        score: the higher the better; the best one is chosen by it.
        keep: how many of the last ones stay.

    Raises:
        TrainingError: it cannot be written, since the disk is full for example; those before are as they were.
    """
    path = folder / f"{PREFIX}{step:012d}"
    plain, files = to_plain({name: part for name, part in state.items() if name != BESIDE}), state.get(BESIDE, {})
    try:
        with replacing_folder(path) as beside:
            _write(beside, plain, files, {"step": step, "score": score})
    except (OSError, RuntimeError) as error:  # torch.save hides what the disk said behind a RuntimeError
        said = _of_the_disk(error)
        raise TrainingError(f"checkpoint {path} cannot be written: {said}; {last_good(folder)}") from error
    checkpoints = list_checkpoints(folder)
    stays = {checkpoint.name for checkpoint in checkpoints[-keep:]} | {best_checkpoint(checkpoints).name}
    for checkpoint in checkpoints:
        if checkpoint.name not in stays:
            shutil.rmtree(checkpoint.path)
    return Checkpoint(path, step, score)


def _write(folder: Path, state: Any, files: Mapping[str, Any], manifest: dict[str, Any]) -> None:
    import torch  # takes seconds, which a mistake on the command line should not

    with replacing(folder / STATE_FILE) as file:
        torch.save(state, file)
    for name, write in files.items():
        write(folder / name)
    manifest = manifest | {"files": {name: _size_and_checksum(folder / name) for name in (STATE_FILE, *files)}}
    write_text(folder / MANIFEST_FILE, json.dumps(manifest, indent=1))


def _of_the_disk(error: BaseException) -> str:
    """What the system said, however deep it lies."""
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, OSError) and one.strerror:
            return one.strerror
        one = one.__cause__ or one.__context__
    return " ".join(str(error).split())


def list_checkpoints(folder: Path) -> list[Checkpoint]:
    """All checkpoints of a run, the oldest first; whole or not. The file of a model is its own, and the only one."""
    if folder.parent.is_file():
        held = run_in(folder.parent)
        return [Checkpoint(folder.parent, int(held["step"]), held.get("score"))]
    found = []
    for path in sorted(folder.glob(f"{PREFIX}*")):
        try:
            score = json.loads((path / MANIFEST_FILE).read_text())["score"]
        except (OSError, ValueError, KeyError, TypeError):
            score = None
        if isinstance(score, bool) or not isinstance(score, int | float):
            score = None
        step = path.name.removeprefix(PREFIX)
        if step.isdecimal():
            found.append(Checkpoint(path, int(step), score))
    return found


def last_good(folder: Path) -> str:
    """The end of a message about a run that could not go on: what is left of it."""
    checkpoints = list_checkpoints(folder)
    return f"the last good checkpoint is {checkpoints[-1].path}" if checkpoints else "there is no checkpoint yet"


def set_later_aside(folder: Path, step: int) -> None:
    """Rename the checkpoints after a step, so that a run that continues from there does not take them for its own."""
    for checkpoint in list_checkpoints(folder):
        if checkpoint.step > step:
            os.rename(checkpoint.path, folder / f"replaced-{time.time_ns()}-{checkpoint.name}")


def best_checkpoint(checkpoints: list[Checkpoint]) -> Checkpoint:
    """The one with the highest score, the later of two that tie; the last one when none has a score."""
    return max(checkpoints, key=lambda one: (float("-inf") if one.score is None else one.score, one.step))


def find_checkpoint(folder: Path, which: str) -> Checkpoint:
    """A checkpoint by name, or the "best" or "last" one.

    Raises:
        UserError: there is no such checkpoint.
    """
    checkpoints = list_checkpoints(folder)
    if not checkpoints:
        raise UserError(f"run {folder.parent} has no checkpoint yet: train it for longer")
    by_name = {one.name: one for one in checkpoints}
    by_name |= {"best": best_checkpoint(checkpoints), "last": checkpoints[-1]}
    if which not in by_name:
        raise UserError(f"run {folder.parent} has no checkpoint {which!r}: {nearest(which, by_name)}")
    return by_name[which]


def load_checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    """The state that was saved, arrays as NumPy arrays; under ``BESIDE`` the paths of files beside it.

    Raises:
        UserError: a file is missing, cut short or altered, or holds more than tensors and plain values.
    """
    path = checkpoint.path
    if path.is_file():
        return from_plain(read_state(path))
    try:
        files = json.loads((path / MANIFEST_FILE).read_text())["files"]
        files = {str(name): {"bytes": one["bytes"], "sha256": one["sha256"]} for name, one in files.items()}
        files[STATE_FILE]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"checkpoint {path} cannot be used: its {MANIFEST_FILE} is missing or broken") from None
    for name, expected in files.items():
        if not (path / name).is_file():
            raise UserError(f"checkpoint {path} is cut short: {name} is missing")
        size = (path / name).stat().st_size
        if size != expected["bytes"]:
            raise UserError(f"checkpoint {path} is cut short: {name} has {size} of {expected['bytes']} bytes")
        if _size_and_checksum(path / name) != expected:
            raise UserError(f"checkpoint {path} was altered: {name} does not match its checksum")
    import torch

    try:
        state = from_plain(torch.load(path / STATE_FILE, weights_only=True))
    except Exception as error:  # of many classes: whatever a file has that was written to harm
        said = " ".join(str(error).split())
        raise UserError(
            f"checkpoint {path} cannot be used: {STATE_FILE} is none of ours, and nothing of it was run "
            f"({type(error).__name__}: {said[:200]})"
        ) from None
    beside = {name: path / name for name in files if name != STATE_FILE}
    return {**state, BESIDE: beside} if beside else state


@contextmanager
def fitting(checkpoint: Checkpoint) -> Iterator[None]:
    """Say in one sentence that weights out of a checkpoint do not fit what ``config.json`` has them loaded into.

    Raises:
        UserError: loading them failed.
    """
    try:
        yield
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:  # as torch and RLlib say it
        said = " ".join(str(error).split())
        if checkpoint.path.is_file():
            raise UserError(
                f"the weights in {checkpoint.path} do not fit what it says was trained: export it again with this "
                f"version of lukasa ({type(error).__name__}: {said[:300]})"
            ) from error
        config = checkpoint.path.parent.parent / "config.json"
        raise UserError(
            f"checkpoint {checkpoint.path} does not fit {config}, which says what was trained: one was changed; "
            f"restore it from a copy ({type(error).__name__}: {said[:300]})"
        ) from error


def to_plain(value: Any) -> Any:
    """Nested values as tensors, numbers, strings, lists, tuples and dicts: what loads without unpickling.

    Raises:
        TypeError: there is a value of another kind.
    """
    import numpy as np
    import torch

    if isinstance(value, np.ndarray):
        # A copy, since arrays of RLlib may be read-only views.
        return torch.from_numpy(np.array(value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(to_plain(item) for item in value)
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}: only tensors and plain values")


def from_plain(value: Any) -> Any:
    """The inverse of ``to_plain``, tensors as NumPy arrays."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.numpy()
    if isinstance(value, dict):
        return {key: from_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(from_plain(item) for item in value)
    return value


def _size_and_checksum(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
