"""Any array of classes × instances as a data set of few-shot episodes, from Python or out of a NumPy file.

Dimensions: C classes, E instances of each, then those of one example.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lukasa.tasks.class_parts import NAMES, SPLIT, Part, check_part, check_shares, split_classes
from lukasa.tasks.data import DataError
from lukasa.tasks.examples import Examples

EXPECTED = "expected [classes, instances, ...] with at least 2 instances of each class, a numpy file of one such array"
Values = np.ndarray | Tensor


@dataclass(frozen=True, eq=False)
class ClassArray:
    """Classes × instances that are in memory.

    Args:
        values: [C, E, ...], whose classes are dealt out to parts; or an array for each of the parts "train",
            "validation" and "test". uint8 stands for 0 to 1, other types for themselves.
        title: what results call it.
        validation: share of the classes that settings are chosen by.
        test: share of the classes that are kept for the test.
        split_seed: decides which classes go where.
        turns: pictures turned by 90, 180 and 270 degrees are classes of their own.

    Raises:
        ValueError: the values are no classes × instances, or no class is left to train on.

    Example:
        >>> made = ClassArray(torch.rand(20, 5, 8), title="noise")
        >>> made.load("test").values.shape, made.load("test").source
        (torch.Size([4, 5, 8]), 'noise (test, 4 classes)')
    """

    values: Values | Mapping[str, Values]
    title: str = "array"
    validation: float = 0.15
    test: float = 0.2
    split_seed: int = 0
    turns: bool = False

    def __post_init__(self) -> None:
        check_shares(self.validation, self.test, self.split_seed)
        shapes = {tuple(one.shape[2:]) for one in self._values.values()}
        if len(shapes) > 1:
            raise ValueError(f"{self.title}: examples of the parts differ in shape: {sorted(map(list, shapes))}")
        if "train" not in self._values:
            raise ValueError(f"{self.title} has the parts {', '.join(self._values)}: 'train' is missing")

    @cached_property
    def _values(self) -> dict[str, Tensor]:
        """The parts, those without a class left out."""
        if isinstance(self.values, Mapping):
            if unknown := [name for name in self.values if name not in NAMES]:
                raise ValueError(f"{self.title} has a part {unknown[0]!r}: expected some of {', '.join(NAMES)}")
            return {name: _checked(self.values[name], self.title, name) for name in NAMES if name in self.values}
        everything = _checked(self.values, self.title, "")
        dealt = split_classes(len(everything), self.validation, self.test, self.split_seed)
        return {name: everything[torch.from_numpy(dealt[name])] for name in NAMES if len(dealt[name])}

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example."""
        return tuple(self._values["train"].shape[2:])

    @property
    def parts(self) -> Mapping[str, Part]:
        """Those that have classes."""
        return present(self._values)

    def load(self, part: str) -> Examples:
        """The classes of a part.

        Raises:
            ValueError: there is no such part.
        """
        check_part(part, self.parts, self.title)
        values = self._values[part]
        return Examples(values, f"{self.title} ({part}, {len(values):,} classes)", turns=self.turns)


def present(found: Mapping[str, Any]) -> dict[str, Part]:
    """The parts of a split data set, of which some may have no class."""
    parts = {name: part for name, part in SPLIT.items() if name in found}
    return parts if "validation" in found else {name: Part() for name in parts}


def array(
    *,
    file: str = "",
    channels_last: bool = False,
    validation: float = 0.15,
    test: float = 0.2,
    split_seed: int = 0,
    turns: bool = False,
) -> ClassArray:
    """Your own .npy or .npz file of classes × instances.

    Args:
        file: NumPy file, .npy of [classes, instances, ...], or .npz of one such array or of train, validation and
            test.
        channels_last: pictures are [height, width, channels] in it, not [channels, height, width].
        validation: share of the classes that settings are chosen by; nothing to a file that has the parts.
        test: share of the classes that are kept for the test; nothing to a file that has the parts.
        split_seed: decides which classes go where.
        turns: pictures turned by 90, 180 and 270 degrees are classes of their own.

    Raises:
        ValueError: no file is given, or a value cannot be used.
        lukasa.tasks.data.DataError: the file is not there, or holds something else.
    """
    if not file:
        raise ValueError(
            "data set 'array' needs its file, a .npy or .npz of [classes, instances, ...]: give it as file"
        )
    check_shares(validation, test, split_seed)
    place = Path(file).expanduser()
    try:
        status = place.stat()
    except OSError as fault:
        raise DataError(f"{place} cannot be read ({fault.strerror}): name a .npy or .npz file") from None
    values = _read(place, status.st_mtime_ns, status.st_size)
    if channels_last:
        if any(one.ndim != 5 for one in values.values()):
            raise DataError(f"{place} has no pictures with channels: leave channels_last out")
        values = {name: np.moveaxis(one, -1, 2) for name, one in values.items()}
    whole = values.get("")
    try:
        return ClassArray(
            values if whole is None else whole, place.name, validation, test, split_seed=split_seed, turns=turns
        )
    except ValueError as fault:
        raise DataError(str(fault)) from None


@lru_cache(maxsize=2)
def _read(place: Path, *_: int) -> dict[str, np.ndarray]:
    """The arrays of a file by part, a single one by the empty name; the rest of the key says when it changed."""
    try:
        loaded = np.load(place, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"": loaded}
        with loaded:
            arrays = {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError) as fault:
        raise DataError(f"{place} is no .npy or .npz file of numbers ({fault}): {EXPECTED}") from None
    except Exception as fault:  # a damaged archive: zipfile and zlib raise their own
        raise DataError(f"{place} is damaged ({fault}): write it anew") from None
    parts = {name: values for name, values in arrays.items() if name in NAMES}
    if not parts and len(arrays) == 1:
        return {"": next(iter(arrays.values()))}
    if "train" not in parts:
        found = ", ".join(arrays) or "nothing"
        raise DataError(f"{place} holds {found}: expected one array, or those named train, validation and test")
    return parts


def _checked(values: Any, title: str, part: str) -> Tensor:
    """The values as ``Examples`` takes them.

    Raises:
        ValueError: they are no numbers, or no classes × instances.
    """
    where = f"{title} ({part})" if part else title
    numbers = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if numbers.dtype.kind not in "buif":
        raise ValueError(f"{where} holds {numbers.dtype}: expected numbers")
    if numbers.ndim < 3 or 0 in numbers.shape or numbers.shape[1] < 2:
        raise ValueError(f"{where} has the shape {list(numbers.shape)}: {EXPECTED}")
    if numbers.dtype != np.uint8:
        numbers = numbers.astype(np.float32)
        if not np.isfinite(numbers).all():
            raise ValueError(f"{where} holds numbers that are not finite (NaN or infinity): replace them")
    return torch.from_numpy(np.ascontiguousarray(numbers))
