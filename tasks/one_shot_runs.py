"""The official runs of 20-way one-shot classification that come with Omniglot (Lake et al. 2015), and their score.

Dimensions: N classes of a run, one training drawing each; Q test drawings.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lukasa.tasks.data import DataError
from lukasa.tasks.omniglot_files import OMNIGLOT, SIDE, resized
from lukasa.tasks.picture_files import Read, ink, opened

RUNS = 20
"""Runs in the archive, from run01 to run20."""

LABELS = "class_labels.txt"


class OneShotRun(NamedTuple):
    """One run: as many questions as classes, each with one right answer."""

    name: str
    training: Tensor  # [N, size, size], float from 0 to 1 for all ink
    test: Tensor  # [Q, size, size], the same
    answers: Tensor  # [Q], int64: which training drawing is of the same class


def read_one_shot_runs(place: str | Path, size: int = 28, *, runs: int = RUNS) -> list[OneShotRun]:
    """Read all_runs.zip of the Omniglot repository, or the folder that it unpacks to.

    Args:
        place: the archive: run01 to run20, each with class_labels.txt, training/ and test/.
        size: side that drawings are resized to, pixels.
        runs: how many there have to be.

    Raises:
        DataError: it is not there, has a hole, or holds something else.
    """
    place = Path(place)
    with opened(place) as (names, read):
        folders = {found[2]: found[1] for name in names if (found := re.search(rf"^(.*?(run\d+)/){LABELS}$", name))}
        missing = [name for name in (f"run{number:02d}" for number in range(1, runs + 1)) if name not in folders]
        if missing:
            raise DataError(
                f"{place} has {runs - len(missing)} of {runs} runs, {missing[0]}/{LABELS} is missing: "
                f"get all_runs.zip anew from {OMNIGLOT.home}"
            )
        return [_run(name, folders[name], set(names), read, place, size) for name in sorted(folders)[:runs]]


def _run(name: str, folder: str, names: set[str], read: Read, place: Path, size: int) -> OneShotRun:
    where = f"{place}: {folder}{LABELS}"
    pairs: dict[str, str] = {}
    for number, line in enumerate(read(folder + LABELS).decode("utf-8", "replace").splitlines(), 1):
        found = re.fullmatch(rf"\s*{name}/(test/\S+)\s+{name}/(training/\S+)\s*", line)
        if found:
            pairs[found[1]] = found[2]
        elif line.strip():
            raise DataError(
                f"{where}, line {number}: expected '{name}/test/item01.png {name}/training/class01.png', "
                f"found {line[:60]!r}"
            )
    if not pairs:
        raise DataError(f"{where} is empty, expected a test and a training drawing in each line")
    test, training = sorted(pairs), sorted(set(pairs.values()))
    for drawing in (*test, *training):
        if folder + drawing not in names:
            raise DataError(f"{where} names {drawing}, which is missing: get all_runs.zip anew from {OMNIGLOT.home}")

    def drawings(files: list[str]) -> Tensor:
        bits = np.stack([ink(read(folder + one), f"{place}: {folder}{one}", SIDE) for one in files])
        return resized(bits, size) / 255

    answers = torch.tensor([training.index(pairs[one]) for one in test])
    return OneShotRun(name, drawings(training), drawings(test), answers)


def one_shot_error(classify: Callable[[Tensor, Tensor], Tensor], runs: list[OneShotRun]) -> tuple[float, list[float]]:
    """The error rate as the authors of the runs take it: of each run, and then the mean over runs.

    Args:
        classify: from a run's training drawings [N, size, size] and test drawings [Q, size, size] to answers [Q],
            each the number of a training drawing.
        runs: at least one.

    Returns:
        Mean error in percent, and that of each run.
    """
    errors = [100 * float((classify(run.training, run.test).cpu() != run.answers).double().mean()) for run in runs]
    return sum(errors) / len(errors), errors


def nearest_pixels(training: Tensor, test: Tensor) -> Tensor:
    """Answer with the training drawing that differs least, pixel by pixel; a baseline for ``one_shot_error``."""
    return torch.cdist(test.flatten(1), training.flatten(1)).argmin(1)
