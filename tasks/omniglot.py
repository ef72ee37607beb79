"""Omniglot for few-shot learning: the parts that papers train and test on, and its episodes as a task.

Dimensions: C characters, E drawings of each, S side of a picture in pixels.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
import torch
from torch import Generator, Tensor

from lukasa.ground.settings import check_choice, check_whole
from lukasa.tasks.batch import Batch
from lukasa.tasks.data import DataError
from lukasa.tasks.episodes import Labels, Presentations, check_labels, presentation_spec
from lukasa.tasks.examples import Augmentation, Examples, check_enough
from lukasa.tasks.omniglot_files import CHARACTERS, DRAWERS, SIDE, MissingDataError, read_drawings
from lukasa.tasks.omniglot_strokes import stroke_characters
from lukasa.tasks.spec import Spec

Part = Literal[
    "train", "test", "fit", "validation", "background", "evaluation", "background_small1", "background_small2", "all"
]
Source = Literal["auto", "real", "generated"]

SEED = 1623
"""Decides which characters are in "train" and which in "test"."""

BOTH = CHARACTERS["background"] + CHARACTERS["evaluation"]

PARTS: dict[str, int] = {"train": 1200, "test": 423, "fit": 1028, "validation": 172, **CHARACTERS, "all": BOTH}
"""Characters of each part: the random split of the papers, the first of its parts cut in two once more to choose
settings by, the official parts, and the official two together."""


def load_omniglot(part: Part = "train", size: int = 20, *, source: Source = "auto", data_dir: str = "") -> Examples:
    """The characters of a part, resized.

    Args:
        part: "train" and "test", 1,200 and 423 of all characters; "fit" and "validation", the first 1,028 of "train"
            and the other 172; "background", "evaluation" and the two small ones as they are distributed; or "all".
        size: side of the pictures; 20 in Santoro et al. 2016, 28 in most other papers.
        source: "real"; "generated" for made-up characters; "auto" for real ones where they are available. Generated
            ones do not mix with real ones, and come in parts of the same sizes.
        data_dir: folder to look for the files in first; see ``lukasa.tasks.data``.

    Returns:
        Pictures [C, 20, S, S], uint8; ``source`` says whether they are real.

    Raises:
        ValueError: there is no such part, size or source.
        DataError: the files are damaged, or, for "real", nowhere.
    """
    _check_choices("load_omniglot", part, size, source)
    made, characters = _part(part, size, source, data_dir)
    where = f"{part}, {len(characters):,} characters"
    return Examples(characters, f"generated strokes ({where})" if made else f"Omniglot ({where})")


def split_characters(part: str) -> np.ndarray:
    """Which of all characters are in a part, from 0; all background ones come before all evaluation ones."""
    # RandomState is frozen: other generators may shuffle differently in a version to come.
    shuffled = np.random.RandomState(SEED).permutation(BOTH)
    starts = {"train": 0, "test": PARTS["train"], "fit": 0, "validation": PARTS["fit"]}
    if part in starts:
        return shuffled[starts[part] : starts[part] + PARTS[part]]
    start = CHARACTERS["background"] if part == "evaluation" else 0
    return np.arange(start, start + PARTS[part])


@lru_cache(maxsize=4)
def _part(part: str, size: int, source: str, data_dir: str) -> tuple[bool, Tensor]:
    """Whether the pictures of a part are made, and the pictures."""
    official = (part,) if part in CHARACTERS else ("background", "evaluation")
    if source != "generated":
        try:
            everything = torch.cat([_read(one, size, data_dir) for one in official])
        except MissingDataError as fault:
            if source == "real":
                raise DataError(f"{fault}; or take generated characters (source 'generated')") from None
            warnings.warn(f"{fault}: generated characters stand in for Omniglot", stacklevel=4)
        else:
            return False, everything if part in CHARACTERS else everything[split_characters(part)]
    numbers = split_characters(part)
    return True, _made(int(numbers.max()) + 1, size)[numbers]


_read, _made = lru_cache(maxsize=4)(read_drawings), lru_cache(maxsize=2)(stroke_characters)


def _check_choices(name: str, part: str, size: int, source: str) -> None:
    check_choice(name, "part", part, PARTS)
    check_whole(name, "size", size, 4, SIDE)
    check_choice(name, "source", source, ("auto", "real", "generated"))


@dataclass(frozen=True, kw_only=True)
class OmniglotPresentations:
    """Name handwritten characters that were never seen before this episode; the right name comes one step late.

    One sample along time, for two characters ``x`` and ``o``, which are 1 and 0 in this episode::

        step      0  1  2  3  4
        picture   x  o  x  x  o
        label     -  1  0  1  1
        target    1  0  1  1  0

    The input is the picture's pixels, row by row, from 0 to 1 for all ink, and the label of the step before. See
    ``lukasa.tasks.episodes.Presentations`` for what is drawn anew for each episode.

    Chance: 20.0 accuracy %, for one who draws among the labels.
    Best: 94.6 accuracy %, for one who never forgets, and draws where a character is new.
    Paper: Santoro et al. 2016.

    Attributes:
        classes: number of different characters in an episode.
        presentations: times that each character is shown, by as many drawers; at most 20.
        labels: "one-hot", or "string" for five characters out of five letters.
        label_values: different one-hot labels; as many as classes by default. A curriculum of classes needs as many
            as it will ever show.
        part: part of the data, see ``load_omniglot``; the default leaves "validation" and "test" unseen, the paper
            trains on "train", which is both "fit" and "validation".
        size: side of the pictures, pixels.
        turns: characters turned by 90, 180 and 270 degrees are characters of their own.
        augment: move, turn and stretch each picture a little, each time it is shown.
        source: "real", "generated", or "auto" for real characters where they are available.
        data_dir: folder to look for the files in first.
    """

    classes: int = 5
    presentations: int = 10
    labels: Labels = "one-hot"
    label_values: int = 0
    part: Part = "fit"
    size: int = 20
    turns: bool = True
    augment: bool = True
    source: Source = "auto"
    data_dir: str = ""

    def __post_init__(self) -> None:
        _check_choices("omniglot", self.part, self.size, self.source)
        check_labels("omniglot", self.classes, self.presentations, self.labels, self.label_values)
        there = PARTS[self.part] * (4 if self.turns else 1)
        check_enough("classes", self.classes, there, "characters", f"the part {self.part!r}")
        check_enough("presentations", self.presentations, DRAWERS, "drawings of each character", "Omniglot")

    @property
    def spec(self) -> Spec:
        """A picture and the label before in; a label out."""
        shape = (self.size, self.size)
        return presentation_spec(shape, self.classes, self.presentations, self.labels, self.label_values)

    @property
    def data(self) -> str:
        """What the characters are, real or generated, for results; reads them."""
        return self._presentations().examples.source

    def sample(self, batch_size: int, generator: Generator) -> Batch:
        """Draw episodes; nothing but the generator decides which."""
        return self._presentations().sample(batch_size, generator)

    def _presentations(self) -> Presentations:
        loaded = load_omniglot(self.part, self.size, source=self.source, data_dir=self.data_dir)
        return Presentations(
            examples=replace(loaded, turns=self.turns, augmentation=Augmentation() if self.augment else None),
            classes=self.classes,
            presentations=self.presentations,
            labels=self.labels,
            label_values=self.label_values,
        )
