"""Alphabets of handwritten characters, one after the other.

Dimensions: W characters of a task, E drawings of each, S side of a picture in pixels.
"""

from __future__ import annotations

import functools
import warnings
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from lukasa.ground.settings import check_choice, check_whole
from lukasa.tasks.continual.taught import Stream, divided, taught
from lukasa.tasks.data import DataError
from lukasa.tasks.omniglot import Source
from lukasa.tasks.omniglot_files import DRAWERS, SIDE, MissingDataError, read_alphabets, read_drawings
from lukasa.tasks.omniglot_strokes import PER_ALPHABET, stroke_characters

TESTED = 0.25
"""Share of the drawers whose drawings are kept for the test: 5 of 20."""


@dataclass(frozen=True, kw_only=True)
class OmniglotAlphabets:
    """Characters of one alphabet of Omniglot after another (Lake et al. 2015).

    Five of the twenty people who drew each character are kept for the test.

    Attributes:
        tasks: alphabets that are learned.
        classes: characters of each.
        size: side of the pictures, pixels.
        source: real, generated, or auto for real characters where their files are available.
        data_dir: folder to look for the files in first.
        split_seed: decides which alphabets and characters there are, in which order, and who draws for the test.
    """

    tasks: int = 10
    classes: int = 20
    size: int = 28
    source: Source = "auto"
    data_dir: str = ""
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_whole("alphabets", "tasks", self.tasks, 1, 10_000)
        check_whole("alphabets", "classes", self.classes, 2, 10_000)
        check_whole("alphabets", "size", self.size, 4, SIDE)
        check_whole("alphabets", "split_seed", self.split_seed, 0, 2**32 - 1)
        check_choice("alphabets", "source", self.source, ("auto", "real", "generated"))

    def load(self) -> Stream:
        """The stream: the same one every time.

        Raises:
            ValueError: there are not so many alphabets of so many characters.
            lukasa.tasks.data.DataError: the files are damaged, or, for source "real", nowhere.
        """
        return _load(self)


@functools.lru_cache(maxsize=4)
def _load(asked: OmniglotAlphabets) -> Stream:
    generator = Generator().manual_seed(asked.split_seed)
    chosen, source = _chosen(asked, generator)
    learned, tested = divided(DRAWERS, TESTED, generator)
    train, test, columns = [], [], []
    for task, pictures in enumerate(chosen.values()):
        numbers = torch.arange(asked.classes) + task * asked.classes
        columns.append(numbers)
        for part, drawers in ((train, learned), (test, tested)):
            classes = numbers.repeat_interleave(len(drawers))
            part.append(taught(pictures[:, drawers].flatten(0, 1), classes[:, None], task, classes))
    count = asked.tasks * asked.classes
    return Stream(
        "pictures", tuple(chosen), tuple(train), tuple(test), tuple(columns), count, count, f"{source}, {count} classes"
    )


def _chosen(asked: OmniglotAlphabets, generator: Generator) -> tuple[dict[str, Tensor], str]:
    """Pictures [W, E, S, S] of the characters of each alphabet by its name, and what they are."""
    if asked.source != "generated":
        try:
            return _real(asked, generator), "Omniglot"
        except MissingDataError as fault:
            if asked.source == "real":
                raise DataError(f"{fault}; or take generated characters (source 'generated')") from None
            warnings.warn(f"{fault}: generated characters stand in for Omniglot", stacklevel=4)
    if asked.classes > PER_ALPHABET:
        raise ValueError(
            f"a task of {asked.classes} classes needs alphabets of so many characters, and generated ones have "
            f"{PER_ALPHABET}: ask for fewer classes"
        )
    drawn = stroke_characters(asked.tasks * PER_ALPHABET, asked.size, seed=0).unflatten(0, (asked.tasks, PER_ALPHABET))
    order = torch.randperm(asked.tasks, generator=generator).tolist()
    picked = torch.randperm(PER_ALPHABET, generator=generator)[: asked.classes]
    return {f"alphabet {one + 1}": drawn[one, picked] for one in order}, "generated strokes"


def _real(asked: OmniglotAlphabets, generator: Generator) -> dict[str, Tensor]:
    parts = ("background", "evaluation")
    places: dict[tuple[str, str], list[int]] = {}
    for part in parts:
        for place, alphabet in enumerate(read_alphabets(part, asked.data_dir)):
            places.setdefault((part, alphabet), []).append(place)
    large = [one for one, found in places.items() if len(found) >= asked.classes]
    if len(large) < asked.tasks:
        raise ValueError(
            f"{asked.tasks} tasks of {asked.classes} classes need as many alphabets of so many characters, and "
            f"Omniglot has {len(large)}: ask for fewer tasks or fewer classes"
        )
    order = [large[one] for one in torch.randperm(len(large), generator=generator)[: asked.tasks].tolist()]
    picked = {}
    for one in order:
        some = torch.randperm(len(places[one]), generator=generator)[: asked.classes].tolist()
        picked[one] = sorted(places[one][place] for place in some)
    pictures = {}
    for part in parts:
        wanted = sorted(place for one, found in picked.items() if one[0] == part for place in found)
        if wanted:
            drawn = read_drawings(part, asked.size, asked.data_dir, frozenset(wanted))
            pictures |= {(part, place): drawings for place, drawings in zip(wanted, drawn, strict=True)}
    return {name: torch.stack([pictures[part, place] for place in picked[part, name]]) for part, name in order}
