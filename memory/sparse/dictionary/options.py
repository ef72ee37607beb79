"""What a dictionary is asked, beside its sizes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from torch import Tensor


@dataclass(frozen=True)
class Options:
    """As the arguments of ``NeuralDictionary``."""

    neighbours: int
    delta: float
    rate: float
    tolerance: float
    kernel: str
    rule: str
    unknown: float | None = None
    unknown_distance: float = 0.1

    @property
    def prior(self) -> tuple[float, float] | None:
        """Value and weight of the neighbour that every query has."""
        return None if self.unknown is None else (self.unknown, 1 / (self.unknown_distance**2 + self.delta))

    def check(self, key_size: int, slots: int, dictionaries: int) -> None:
        """Refuse what no dictionary can have.

        Raises:
            ValueError: a number lies outside of its bounds, or there is no such kernel or rule.
        """
        sizes = {"key_size": key_size, "slots": slots, "dictionaries": dictionaries, "neighbours": self.neighbours}
        for name, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise ValueError(f"{name} is {size!r}: expected a whole number of at least 1")
        if not 0 < self.delta < float("inf"):
            raise ValueError(f"delta is {self.delta}: expected more than 0")
        if not 0 <= self.rate <= 1:
            raise ValueError(f"rate is {self.rate}: expected a number from 0 to 1")
        if self.unknown is not None and not abs(self.unknown) < float("inf"):
            raise ValueError(f"unknown is {self.unknown}: expected a finite number")
        if not 0 <= self.unknown_distance < float("inf"):
            raise ValueError(f"unknown_distance is {self.unknown_distance}: expected at least 0")
        if not 0 <= self.tolerance < float("inf"):
            raise ValueError(f"tolerance is {self.tolerance}: expected at least 0")
        for name, value, known in (
            ("kernel", self.kernel, ("inverse", "mean")),
            ("rule", self.rule, ("average", "largest", "every")),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}: expected {' or '.join(map(repr, known))}")


def fitting_index(index: str) -> str:
    """The index that finds by distance.

    Args:
        index: a name; "auto" leaves the choice open, and takes "exact" where neither Numba nor FAISS is installed.

    Raises:
        ValueError: it finds by angle alone.
    """
    if index == "lsh":
        raise ValueError(
            "index 'lsh' finds what lies in the same direction, not what is near, and would miss most neighbours of a "
            "dictionary: choose 'auto', 'lists', 'faiss' or 'exact'"
        )
    return "exact" if index == "auto" and not any(map(find_spec, ("numba", "faiss"))) else index


def check_update(which: Tensor, keys: Tensor, values: Tensor, dictionaries: int) -> None:
    """Refuse estimates that do not belong together.

    Raises:
        ValueError: shapes differ, or there is no such dictionary.
    """
    if keys.dim() != 2 or which.shape != keys.shape[:1] or values.shape != keys.shape[:1]:
        raise ValueError(
            f"which {list(which.shape)}, keys {list(keys.shape)} and values {list(values.shape)} do not fit: "
            f"expected [M], [M, {keys.shape[-1]}] and [M]"
        )
    if len(which) and not 0 <= int(which.min()) <= int(which.max()) < dictionaries:
        raise ValueError(
            f"which names dictionaries {int(which.min())} to {int(which.max())}: there are {dictionaries}, "
            "counted from 0"
        )
