"""Parts of a data set of classes: whole classes are trained on, validated on, or kept for the test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lukasa.ground.settings import check_whole

NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class Part:
    """One part of a data set, by what the others are to one who trains on it.

    Attributes:
        test: the part that is new to one who trains on this one.
        validation: the part to choose settings by, with none of this one's classes; empty where there is none.
        benchmark: the published benchmark that results on this part belong to; empty for none.
    """

    test: str = "test"
    validation: str = ""
    benchmark: str = ""


SPLIT = {"train": Part(validation="validation"), "validation": Part(), "test": Part()}
"""The parts of a data set whose classes are dealt out."""


def split_classes(classes: int, validation: float, test: float, seed: int) -> dict[str, np.ndarray]:
    """Deal classes out: each is in one part.

    Args:
        classes: how many there are.
        validation: share of the classes, from 0 up to less than 1; at least one class where it is more than 0.
        test: the same.
        seed: decides which go where.

    Returns:
        The numbers of each part's classes, in order.

    Raises:
        ValueError: a share cannot be used, or nothing is left to train on.

    Example:
        >>> {name: len(numbers) for name, numbers in split_classes(30, 0.1, 0.2, 0).items()}
        {'train': 21, 'validation': 3, 'test': 6}
    """
    check_shares(validation, test, seed)
    counts = [max(1, round(share * classes)) if share else 0 for share in (validation, test)]
    if sum(counts) >= classes:
        raise ValueError(
            f"{classes} classes leave none to train on beside {counts[0]} of part 'validation' and {counts[1]} of part "
            "'test': bring more classes, or set a share to 0"
        )
    # RandomState is frozen: other generators may shuffle differently in a version to come.
    shuffled = np.random.RandomState(seed).permutation(classes)
    dealt = np.split(shuffled, [counts[1], sum(counts)])
    found = dict(zip(("test", "validation", "train"), dealt, strict=True))
    return {name: np.sort(found[name]) for name in NAMES}


def check_shares(validation: float, test: float, seed: int) -> None:
    """Refuse shares of classes that leave nothing to train on.

    Raises:
        ValueError: the message says which, what it was and what was expected.
    """
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise ValueError(f"share {name} is {share}: expected from 0 up to less than 1")
    if validation + test >= 1:
        raise ValueError(f"shares validation {validation} and test {test} leave no class to train on: lower them")
    check_whole("split of classes", "split_seed", seed, 0, 2**32 - 1)


def check_part(part: str, parts: Mapping[str, Part], title: str) -> None:
    """Refuse a part that there is not.

    Raises:
        ValueError: the message lists those there are.
    """
    if part not in parts:
        raise ValueError(f"{title} has no part {part!r}: choose one of {', '.join(map(repr, parts))}")
