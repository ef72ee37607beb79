"""Panels of a picture that share the steps of an episode as their axis.

Dimensions: T steps, F features, H and W height and width of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.ticker import MaxNLocator

from lukasa.launch.pictures.figures import BAD, COLOURS, GOOD, QUIET

MOST_FRAMES = 12
SMALLEST_FRAME = 0.75
"""Inches: where a dozen frames would be smaller there are fewer."""
MOST_NAMED_ROWS = 24
MOST_STEPS_WITH_NUMBERS = 110
MOST_ROWS, MOST_COLUMNS = 240, 1600
"""An image with more is drawn from the largest value of neighbours, so that no thin line is lost."""


class Panel(Protocol):
    """One strip of the picture."""

    @property
    def height(self) -> float:
        """Inches."""
        ...

    def draw(self, axes: Axes) -> None:
        """Draw it; steps are whole numbers at the horizontal axis."""
        ...


def panel_width(steps: int) -> float:
    """Inches that a panel takes beside its labels."""
    return min(13.2, max(5.7, 0.17 * steps))


@dataclass(frozen=True)
class Frames:
    """A film strip: some frames, side by side, each with a line to its step.

    Attributes:
        label: what they show.
        images: [T, H, W] or [T, H, W, 3 or 4], bytes or from 0 to 1.
    """

    label: str
    images: np.ndarray

    @property
    def count(self) -> int:
        """As many frames as have room, a dozen at most."""
        return min(MOST_FRAMES, len(self.images), int(panel_width(len(self.images)) / SMALLEST_FRAME))

    @property
    def height(self) -> float:
        """The frames at their own proportions, their numbers above and the lines below."""
        rows, columns = self.images.shape[1:3]
        return min(1.8, panel_width(len(self.images)) / max(self.count, 6) * rows / columns) + 0.4

    def draw(self, axes: Axes) -> None:
        """The frames above, lines to their steps below."""
        steps, below, above = len(self.images), 0.2 / self.height, 0.15 / self.height
        chosen = np.unique(np.linspace(0, steps - 1, self.count).round().astype(int))
        width = steps / max(len(chosen), 6)  # few frames are drawn no larger than six would be
        left = (steps - width * len(chosen)) / 2 - 0.5
        axes.set(ylim=(0, 1), yticks=[])
        for place, step in enumerate(chosen):
            middle = left + (place + 0.5) * width
            box = (middle - 0.47 * width, below, 0.94 * width, 1 - below - above)
            frame = axes.inset_axes(box, transform=axes.transData)
            limits: dict[str, Any] = {} if self.images.dtype == np.uint8 else {"vmin": 0, "vmax": 1}
            frame.imshow(self.images[step], cmap="gray", interpolation="nearest", **limits)
            frame.set(xticks=[], yticks=[], anchor="S")
            frame.set_title(f"{step}", fontsize=7, pad=2, color=QUIET)
            axes.plot([middle, step], [below, 0.0], color=QUIET, linestyle="-", linewidth=0.6, clip_on=False)
        axes.set_ylabel(self.label, rotation=0, ha="right", va="center")
        axes.spines[:].set_visible(False)


@dataclass(frozen=True)
class Strip:
    """Every step's picture above its step.

    Attributes:
        label: what they show.
        images: [T, H, W], from 0 to 1 for all ink.
        height: inches.
    """

    label: str
    images: np.ndarray
    height: float = 1.0

    def draw(self, axes: Axes) -> None:
        """The pictures side by side."""
        steps, height, width = self.images.shape
        strip = self.images.transpose(1, 0, 2).reshape(height, steps * width)
        axes.imshow(1 - strip, cmap="gray", vmin=0, vmax=1, aspect="auto", extent=(-0.5, steps - 0.5, 0, 1))
        axes.vlines(np.arange(1, steps) - 0.5, 0, 1, color="0.8", linewidth=0.5)
        axes.set_ylabel(self.label, rotation=0, ha="right", va="center")
        axes.set_yticks([])


@dataclass(frozen=True)
class Symbols:
    """One of several values a step: a coloured cell with its number or name; a value has one colour in all panels.

    Attributes:
        label: what they are.
        values: [T], whole numbers.
        names: of the values, by number; numbers where there are none.
    """

    label: str
    values: np.ndarray
    names: Sequence[str] = ()

    @property
    def height(self) -> float:
        """A line; names get one a row."""
        return 0.17 * len(self.names) + 0.15 if self.names else 0.42

    def draw(self, axes: Axes) -> None:
        """Cells in one line, or in the line of their name."""
        values = self.values.astype(int).ravel()
        rows = len(self.names) or 1
        image = np.ones((rows, len(values), 3))
        for step, value in enumerate(values):
            image[value % rows if self.names else 0, step] = tint(value)
        axes.imshow(image, aspect="auto", interpolation="nearest")
        axes.set_ylabel(self.label, rotation=0, ha="right", va="center")
        axes.set_yticks(range(len(self.names)), self.names, fontsize=8)
        if not self.names and len(values) <= MOST_STEPS_WITH_NUMBERS:
            for step, value in enumerate(values):
                axes.text(step, 0, f"{value}", ha="center", va="center", fontsize=6.5)


@dataclass(frozen=True)
class Features:
    """Several numbers a step as rows of an image.

    Attributes:
        label: what they are.
        values: [T, F].
        names: of the rows; numbers where there are none.
        limits: of the colours; the values' own where None.
        colours: a colour map.
    """

    label: str
    values: np.ndarray
    names: Sequence[str] = ()
    limits: tuple[float, float] | None = None
    colours: str = "cividis"

    @property
    def height(self) -> float:
        """Room for a name beside each row, where there are names."""
        features = self.values.shape[1]
        return 0.16 * features + 0.15 if self.names else min(2.2, 0.32 + 0.1 * features)

    def draw(self, axes: Axes) -> None:
        """The image, its rows named where they are few."""
        low, high = self.limits or (None, None)
        image = _largest(np.asarray(self.values, dtype=np.float64))
        extent = (-0.5, len(self.values) - 0.5, self.values.shape[1] - 0.5, -0.5)
        style: dict[str, Any] = {"vmin": low, "vmax": high, "cmap": self.colours, "extent": extent}
        drawn = axes.imshow(image.T, aspect="auto", interpolation="nearest", **style)
        axes.set_ylabel(self.label, rotation=0, ha="right", va="center")
        if self.names and len(self.names) <= MOST_NAMED_ROWS:
            axes.set_yticks(range(len(self.names)), self.names, fontsize=8)
            axes.hlines(np.arange(1, len(self.names)) - 0.5, *extent[:2], color="0.85", linewidth=0.5)
        else:
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        if self.height > 0.7:
            axes.figure.colorbar(drawn, ax=axes, pad=0.01, ticks=MaxNLocator(3))


@dataclass(frozen=True)
class Rewards:
    """A bar for each reward, and how the episode ended.

    Attributes:
        values: [T].
        ending: such as "terminated after 51 steps", written above the last step.
    """

    values: np.ndarray
    ending: str = ""
    height: float = 0.75

    def draw(self, axes: Axes) -> None:
        """Gains upwards in one colour, losses downwards in another."""
        values = np.nan_to_num(np.asarray(self.values, dtype=np.float64))
        steps = np.arange(len(values))
        axes.bar(steps, values, width=0.8, color=[GOOD if value > 0 else BAD for value in values])
        axes.axhline(0, color=QUIET, linestyle="-", linewidth=0.6)
        axes.set_title(self.ending, loc="right", fontsize=8, pad=3, color=QUIET)
        axes.set_ylabel("reward", rotation=0, ha="right", va="center")
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.spines[["top", "right"]].set_visible(False)


@dataclass(frozen=True)
class Slots:
    """Weights over slots, one row a slot.

    Attributes:
        caption: which head and which slots.
        values: [T, U].
        slots: [U], their numbers.
        colours: a colour map from nothing to all.
        label: what a row is.
        mark: a row to draw a line at, with its name; None for none.
        top: the value of the darkest colour; None for a weight: 1, or 0.5 where no weight reaches that.
    """

    caption: str
    values: np.ndarray
    slots: np.ndarray
    colours: str = "Blues"
    label: str = "slot"
    mark: tuple[int, str] | None = None
    top: float | None = None

    @property
    def height(self) -> float:
        """More for more slots, within reason."""
        return min(2.0, 0.7 + 0.05 * len(self.slots))

    def draw(self, axes: Axes) -> None:
        """The image, with the numbers of some slots beside it and a line where numbers are left out."""
        steps, count = self.values.shape
        largest = float(np.nanmax(self.values, initial=0))
        # A head that is nowhere in particular stays pale.
        top = self.top or (1.0 if largest > 0.5 else 0.5)
        extent = (-0.5, steps - 0.5, -0.5, count - 0.5)
        style: dict[str, Any] = {"vmin": 0, "vmax": top, "cmap": self.colours, "extent": extent, "origin": "lower"}
        drawn = axes.imshow(_largest(self.values).T, aspect="auto", interpolation="nearest", **style)
        axes.set_ylabel(self.label)
        axes.set_title(self.caption, loc="left", fontsize=9, pad=3)
        places = np.unique(np.linspace(0, max(0, count - 1), min(count, 6)).round().astype(int))
        if len(self.slots) and np.ptp(self.slots) + 1 == count:
            places = np.array([at for at in MaxNLocator(6, integer=True).tick_values(0, count - 1) if 0 <= at < count])
            places = places.astype(int)
        axes.set_yticks(places, [f"{self.slots[at]:,}" for at in places])
        if count <= 64 and (np.diff(self.slots) > 0).all():
            axes.hlines(np.flatnonzero(np.diff(self.slots) > 1) + 0.5, *extent[:2], color=QUIET, linewidth=0.6)
        if self.mark is not None:
            row, name = self.mark
            axes.axhline(row, color="black", linestyle=":", linewidth=1)
            place = {"xycoords": ("axes fraction", "data"), "va": "bottom", "ha": "right", "fontsize": 8}
            axes.annotate(name, (0.995, row + 0.3), **place)
        axes.figure.colorbar(drawn, ax=axes, pad=0.01, ticks=MaxNLocator(3))


def _largest(values: np.ndarray) -> np.ndarray:
    """Values [T, F] with neighbours joined, until no more are left than a picture can show."""
    for axis, most in ((0, MOST_COLUMNS), (1, MOST_ROWS)):
        block = -(-values.shape[axis] // most)
        if block > 1:
            starts = np.arange(0, values.shape[axis], block)
            values = np.maximum.reduceat(values, starts, axis=axis)
    return values


def tint(value: int) -> tuple[float, float, float]:
    """A pale colour for a number, on which black is read; the first few differ most."""
    red, green, blue = to_rgb(COLOURS[value % (len(COLOURS) - 1)])
    pale = 0.5 if value < len(COLOURS) - 1 else 0.72
    return (pale + (1 - pale) * red, pale + (1 - pale) * green, pale + (1 - pale) * blue)
