"""Omniglot and the characters that stand in for it, as data sets of few-shot episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lukasa.ground.settings import check_whole
from lukasa.tasks.class_parts import Part, check_part
from lukasa.tasks.examples import Examples
from lukasa.tasks.omniglot import PARTS, Source, load_omniglot
from lukasa.tasks.omniglot_files import SIDE

BENCHMARK = "omniglot"
"""The published benchmark: the 423 characters of part test and their turns, 28×28."""


@dataclass(frozen=True, kw_only=True)
class OmniglotClasses:
    """Handwritten characters of 50 alphabets (Lake et al. 2015).

    Attributes:
        size: side of the pictures, pixels.
        source: real, generated, or auto for real characters where their files are available.
        data_dir: folder to look for the files in first.
        turns: characters turned by 90, 180 and 270 degrees are characters of their own.
    """

    size: int = 28
    source: Source = "auto"
    data_dir: str = ""
    turns: bool = True

    def __post_init__(self) -> None:
        check_whole("Omniglot", "size", self.size, 4, SIDE)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one picture."""
        return (self.size, self.size)

    @property
    def parts(self) -> Mapping[str, Part]:
        """The papers' random split, and the official parts."""
        return _parts(BENCHMARK if self.size == 28 and self.turns else "")

    def load(self, part: str) -> Examples:
        """The characters of a part.

        Raises:
            ValueError: there is no such part.
            lukasa.tasks.data.DataError: the files are damaged, or, for source "real", nowhere.
        """
        check_part(part, PARTS_OF_ALL, "Omniglot")
        loaded = load_omniglot(part, self.size, source=self.source, data_dir=self.data_dir)  # pyright: ignore
        return replace(loaded, turns=self.turns)


@dataclass(frozen=True, kw_only=True)
class OmniglotStrokes:
    """Characters of a few strokes, made up here, in the parts and sizes of Omniglot.

    Attributes:
        size: side of the pictures, pixels.
        turns: characters turned by 90, 180 and 270 degrees are characters of their own.
    """

    size: int = 28
    turns: bool = True

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one picture."""
        return (self.size, self.size)

    @property
    def parts(self) -> Mapping[str, Part]:
        """Those of Omniglot; no paper reports results on them."""
        return PARTS_OF_ALL

    def load(self, part: str) -> Examples:
        """The characters of a part.

        Raises:
            ValueError: there is no such part.
        """
        return OmniglotClasses(size=self.size, source="generated", turns=self.turns).load(part)


def _parts(benchmark: str) -> dict[str, Part]:
    parts = {name: Part("evaluation" if name.startswith("background") else "test") for name in PARTS}
    # "train" has the characters of "validation", "fit" has none of them.
    fit, test = replace(parts["fit"], validation="validation"), replace(parts["test"], benchmark=benchmark)
    return {**parts, "fit": fit, "test": test}


PARTS_OF_ALL = _parts("")
"""The parts of Omniglot and of what stands in for it."""
