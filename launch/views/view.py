"""What a page of ``lukasa view`` shows, as data; a kind of training makes one, and ``page`` writes it.

Dimensions: T steps, K rows, U slots shown, W word size, C chosen outputs, H and W height and width of a picture.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Form = Literal["image", "bars", "symbols"]


@dataclass(frozen=True)
class Track:
    """Rows of numbers over the steps.

    Attributes:
        name: what they are.
        values: [T, K].
        rows: [K], what each row is called.
        limits: of the colours, or of the bars.
        colours: a colour map of matplotlib.
        row: what a row is, such as "slot" or "unit".
        form: "image" for colours, "bars" for one row of numbers, "symbols" for whole numbers of a colour each.
        symbols: names of the symbols, by number; empty where they have none.
    """

    name: str
    values: np.ndarray
    rows: Sequence[str]
    limits: tuple[float, float] = (0.0, 1.0)
    colours: str = "Blues"
    row: str = "row"
    form: Form = "image"
    symbols: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.rows):
            raise ValueError(
                f"track {self.name!r} has values {list(self.values.shape)} and {len(self.rows)} names of rows: "
                "expected [steps, rows] and a name for each row"
            )


@dataclass(frozen=True)
class Film:
    """A picture for every step.

    Attributes:
        label: what it shows.
        images: [T, H, W] or [T, H, W, 3], bytes or from 0 to 1.
    """

    label: str
    images: np.ndarray


@dataclass(frozen=True)
class Words:
    """What the slots hold after each step.

    Attributes:
        slots: [U], their names, which are also those of the rows of tracks over slots.
        values: [T, U, W].
    """

    slots: Sequence[str]
    values: np.ndarray


@dataclass(frozen=True)
class Links:
    """After each step the slot that was written next after each, as far as one was.

    Attributes:
        slots: [U], their names.
        following: int [T, U], the place of the slot with the strongest link, from 0 on.
        strength: [T, U], of that link, from 0 to 1.
    """

    slots: Sequence[str]
    following: np.ndarray
    strength: np.ndarray


@dataclass(frozen=True)
class Gradients:
    """How much chosen outputs depend on each step before them.

    Attributes:
        steps: [C], the steps of the outputs.
        norms: by name of the way that the gradient takes, [C, T]; 0 after the output's own step.
        of: what is differentiated by what, in a sentence.
    """

    steps: Sequence[int]
    norms: Mapping[str, np.ndarray]
    of: str


@dataclass(frozen=True)
class View:
    """An episode or a sequence.

    Attributes:
        title: whose it is.
        steps: T.
        tracks: one below the other, each over all steps.
        subtitle: which episode or sequence.
        step: what a step is called, such as "step" or "hop".
        films: pictures for every step.
        texts: by label, a text for every step.
        contents: by name of a row what it holds all the time, such as a sentence.
        holders: what the rows are called that hold something, in ``Track.row``.
        words: what the slots hold after each step; None where that is not known.
        links: between slots; None where there are none.
        gradients: None where there are none.
        notes: what is left out and why, a sentence each.
    """

    title: str
    steps: int
    tracks: Sequence[Track]
    subtitle: str = ""
    step: str = "step"
    films: Sequence[Film] = ()
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    holders: str = "slot"
    words: Words | None = None
    links: Links | None = None
    gradients: Gradients | None = None
    notes: Sequence[str] = ()

    def __post_init__(self) -> None:
        lengths = {one.name: len(one.values) for one in self.tracks}
        lengths |= {one.label: len(one.images) for one in self.films}
        lengths |= {label: len(lines) for label, lines in self.texts.items()}
        for name, length in lengths.items():
            if length != self.steps:
                raise ValueError(f"{name!r} has {length} steps and the view {self.steps}: they must be as many")
