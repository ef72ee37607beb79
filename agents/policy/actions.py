"""Actions of any supported space as one flat vector, whole-number choices first and then real numbers.

Legend: T time, C choices of one action, R real numbers of one action.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lukasa.ground.spaces import kind, named, nested

MOST_OUTPUTS = 1_000_000
"""Numbers that the policy may put out for one action: more would not fit into a network of reasonable size."""

FEW_INTEGERS = 32
"""Integers that an element of a box may take if each of them is to be an option; more are a rounded real number."""


@dataclass(frozen=True)
class _Leaf:
    """A part of an action: choices, each with its number of options, or real numbers."""

    space: Any
    options: tuple[int, ...]
    numbers: int


class ActionLayout:
    """Where the parts of an action lie in its flat vector.

    Args:
        space: of the actions.

    Attributes:
        options: how many each choice has, in order.
        numbers: R.

    Raises:
        ValueError: the space is not supported.
    """

    def __init__(self, space: Any):
        self.space = space
        self.leaves = [_leaf(part, space) for part in _parts(space)]
        self.options = tuple(count for leaf in self.leaves for count in leaf.options)
        self.numbers = sum(leaf.numbers for leaf in self.leaves)
        choices = sum(self.options) if is_plain(space) else len(self.options) * max(self.options, default=0)
        outputs = choices + 2 * self.numbers
        if not outputs:
            raise ValueError(f"action space {named(space)} leaves nothing to decide: use one that does")
        if outputs > MOST_OUTPUTS:
            raise ValueError(
                f"action space {named(space)} is too large: the policy would put out {outputs:,} numbers a step, and "
                f"at most {MOST_OUTPUTS:,} are supported; a wrapper can offer fewer actions"
            )

    @property
    def logits(self) -> int:
        """What the policy puts out: the logits of all options, then the means and then the log deviations."""
        return sum(self.options) + 2 * self.numbers

    @property
    def width(self) -> int:
        """How wide an action is once every choice is one-hot."""
        return sum(self.options) + self.numbers

    def one_hot(self, flat: np.ndarray) -> np.ndarray:
        """Flat actions [T, C + R] with each choice one-hot, as a network reads them: float32 [T, width]."""
        choices, numbers = flat[:, : len(self.options)].astype(np.int64), flat[:, len(self.options) :]
        offsets = np.cumsum([0, *self.options[:-1]])[: len(self.options)].astype(np.int64)
        shown = np.zeros((len(flat), self.width), np.float32)
        np.put_along_axis(shown, choices + offsets, 1.0, axis=1)
        shown[:, sum(self.options) :] = numbers
        return shown

    def decode(self, flat: np.ndarray, *, normalized: bool = True) -> Any:
        """The actions inside their space that flat vectors [..., C + R] stand for: arrays [..., shape of a part].

        Args:
            flat: choices from 0, then real numbers.
            normalized: where both bounds of a number are known, -1 and 1 stand for them, as in RLlib.
        """
        flat = np.asarray(flat, np.float64)
        choices, numbers = np.split(flat, [len(self.options)], axis=-1)
        parts = []
        for leaf in self.leaves:
            chosen, choices = np.split(choices, [len(leaf.options)], axis=-1)
            given, numbers = np.split(numbers, [leaf.numbers], axis=-1)
            parts.append(_number(leaf.space, given, normalized) if leaf.numbers else _chosen(leaf.space, chosen))
        return nested(self.space, iter(parts))


def is_plain(space: Any) -> bool:
    """Whether RLlib's own distributions and pieces bring every action of a space into it."""
    if kind(space) == "Discrete":
        return int(space.start) == 0
    if kind(space) == "MultiDiscrete":
        return space.nvec.ndim == 1 and not space.start.any()
    if not (kind(space) == "Box" and len(space.shape) == 1 and space.dtype in (np.float32, np.float64)):
        return False
    below, above = space.bounded_below, space.bounded_above
    with np.errstate(over="ignore"):
        finite = bool(below.all() and above.all()) and bool(np.isfinite(space.high - space.low).all())
    return finite or not (below.any() or above.any())


def action_width(space: Any) -> int:
    """How wide an action is once every discrete part is one-hot."""
    return ActionLayout(space).width


def _parts(space: Any) -> Iterator[Any]:
    if kind(space) in ("Dict", "Tuple"):
        if not len(space):
            raise ValueError(f"action space {named(space)}, or a part of one, is empty: leave it out")
        for part in space.values() if kind(space) == "Dict" else space:
            yield from _parts(part)
    else:
        yield space


def _leaf(space: Any, whole: Any) -> _Leaf:
    if kind(space) == "Discrete":
        return _Leaf(space, (int(space.n),), 0)
    if kind(space) == "MultiDiscrete":
        return _Leaf(space, tuple(map(int, space.nvec.flat)), 0)
    if kind(space) == "MultiBinary":
        return _Leaf(space, (2,) * math.prod(space.shape), 0)
    if kind(space) == "Box" and space.dtype.kind in "biuf" and space.dtype.itemsize <= 8:
        if space.dtype.kind in "biu":
            spans = [int(high) - int(low) + 1 for low, high in zip(space.low.flat, space.high.flat, strict=True)]
            if spans and max(spans) <= FEW_INTEGERS:
                return _Leaf(space, tuple(spans), 0)
        return _Leaf(space, (), math.prod(space.shape))
    part = "" if space is whole else f"part {named(space)} of "
    raise ValueError(
        f"{part}action space {named(whole)} is not supported: use Discrete, MultiDiscrete, MultiBinary, Box, or a "
        "Dict or Tuple of these; a wrapper can convert the rest"
    )


def _chosen(space: Any, choices: np.ndarray) -> Any:
    """Choices from 0, [..., C], as the space counts them."""
    if kind(space) == "Discrete":
        first, dtype = np.asarray([int(space.start)], object), getattr(space, "dtype", np.int64)
    else:
        start = space.start if kind(space) == "MultiDiscrete" else getattr(space, "low", np.zeros(space.shape))
        first, dtype = np.asarray(start, object).ravel(), space.dtype
    # as Python's whole numbers, for a start may be too large for any of NumPy's with a sign
    values = choices.astype(np.int64) if not any(first) else choices.astype(np.int64).astype(object) + first
    return values.astype(dtype).reshape((*choices.shape[:-1], *space.shape))[()]


def _number(space: Any, numbers: np.ndarray, normalized: bool) -> np.ndarray:
    """Real numbers [..., R] as elements of a box: scaled where both bounds are known, rounded to integers, clipped."""
    low, high = (np.asarray(bound, np.float64).ravel() for bound in (space.low, space.high))
    both = (space.bounded_below & space.bounded_above).ravel()
    share = np.clip((numbers + 1) / 2, 0, 1)
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = low * (1 - share) + high * share
        values = np.clip(np.where(both & normalized, scaled, numbers), low, high)
        if space.dtype.kind in "biu":
            values = np.rint(values)
        cast = values.astype(space.dtype)
    # a double rounds the ends of wide integers, and a narrow float may round past a bound
    cast = np.where(values <= low, space.low.ravel(), np.where(values >= high, space.high.ravel(), cast))
    finite = np.finfo(space.dtype).max if space.dtype.kind == "f" else None
    cast = cast if finite is None else np.clip(cast, -finite, finite)
    inside = np.clip(cast, space.low.ravel(), space.high.ravel()).astype(space.dtype)
    return inside.reshape((*numbers.shape[:-1], *space.shape))
