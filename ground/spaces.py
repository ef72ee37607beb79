"""Observation and action spaces as plain data, and the kind of a space whoever made it.

The classes here have the attributes of Gymnasium's that an agent needs, under the same names, so that a trained agent
plays where Gymnasium is not installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

KINDS = ("Box", "Discrete", "MultiDiscrete", "MultiBinary", "Dict", "Tuple")
LONGEST_NAME = 200
"""Characters of a space in a message."""

Path = tuple[str | int, ...]


@dataclass(frozen=True, eq=False)
class Box:
    """Numbers between bounds."""

    low: np.ndarray
    high: np.ndarray
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one element."""
        return self.low.shape

    @property
    def bounded_below(self) -> np.ndarray:
        """Which numbers have a lower bound."""
        return np.asarray(self.low > -np.inf)

    @property
    def bounded_above(self) -> np.ndarray:
        """Which numbers have an upper bound."""
        return np.asarray(self.high < np.inf)

    def is_bounded(self) -> bool:
        """Whether every number has both bounds."""
        return bool(self.bounded_below.all() and self.bounded_above.all())

    def __str__(self) -> str:
        low, high = (bound.flat[0] if len(np.unique(bound)) == 1 else bound for bound in (self.low, self.high))
        return f"Box({low}, {high}, {self.shape}, {self.dtype})"


@dataclass(frozen=True)
class Discrete:
    """Whole numbers from ``start`` on."""

    n: int
    start: int
    dtype: np.dtype
    shape: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"Discrete({self.n}, start={self.start})" if self.start else f"Discrete({self.n})"


@dataclass(frozen=True, eq=False)
class MultiDiscrete:
    """Several of them."""

    nvec: np.ndarray
    start: np.ndarray
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one element."""
        return self.nvec.shape

    def __str__(self) -> str:
        return f"MultiDiscrete({self.nvec.tolist()})"


@dataclass(frozen=True)
class MultiBinary:
    """Several zeros and ones."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __str__(self) -> str:
        return f"MultiBinary({self.shape})"


@dataclass(frozen=True)
class Dict:
    """Named parts."""

    spaces: dict[str, Any]

    def items(self) -> Any:
        """Names and parts, in order."""
        return self.spaces.items()

    def values(self) -> Any:
        """The parts."""
        return self.spaces.values()

    def __iter__(self) -> Iterator[str]:
        return iter(self.spaces)

    def __len__(self) -> int:
        return len(self.spaces)

    def __str__(self) -> str:
        return f"Dict({', '.join(f'{name!r}: {part}' for name, part in self.spaces.items())})"


@dataclass(frozen=True)
class Tuple:
    """Parts in order."""

    spaces: tuple[Any, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.spaces)

    def __len__(self) -> int:
        return len(self.spaces)

    def __str__(self) -> str:
        return f"Tuple({', '.join(map(str, self.spaces))})"


def kind(space: Any) -> str:
    """The name of a space's kind, one of ``KINDS``; its class's, with its module, where it is another.

    Example:
        >>> import gymnasium
        >>> kind(gymnasium.spaces.Discrete(3)), kind(Discrete(3, 0, np.dtype(np.int64)))
        ('Discrete', 'Discrete')
    """
    return _kind_of(type(space))


@cache
def _kind_of(found: type) -> str:
    for one in found.__mro__:
        if one.__name__ in KINDS and (one.__module__ == __name__ or one.__module__.startswith("gymnasium.spaces")):
            return one.__name__
    return f"{found.__module__}.{found.__name__}"


def leaves(space: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The parts of a nested space, with the keys that lead there."""
    if kind(space) == "Dict":
        for name, part in space.items():
            yield from leaves(part, (*path, name))
    elif kind(space) == "Tuple":
        for index, part in enumerate(space):
            yield from leaves(part, (*path, index))
    else:
        yield path, space


def pick(observations: Any, path: Path) -> Any:
    """The part of a nested observation to which a path leads."""
    for key in path:
        observations = observations[key]
    return observations


def nested(space: Any, parts: Iterator[Any]) -> Any:
    """Parts in the order of ``leaves``, nested as the space is."""
    if kind(space) == "Dict":
        return {name: nested(part, parts) for name, part in space.items()}
    return tuple(nested(part, parts) for part in space) if kind(space) == "Tuple" else next(parts)


def named(space: Any) -> str:
    """A space as a message shows it, on one line and not too long."""
    text = " ".join(str(space).split())
    return text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}…"
