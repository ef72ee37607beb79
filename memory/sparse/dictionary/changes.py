"""What changed in a dictionary since a copy of it was last brought up to date.

Legend: M changed entries, W key size.
"""

from __future__ import annotations

import secrets
from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor

KEPT = 1 << 18
"""Changed entries that are remembered; a copy that is behind by more gets all entries."""


class Mark(NamedTuple):
    """Where a dictionary stands.

    Attributes:
        line: of which dictionary this is a state; another one after it was loaded or cleared.
        version: how often it was changed.
    """

    line: int
    version: int


class Changes(NamedTuple):
    """Entries as they are now, to be put into a copy.

    Attributes:
        since: where the copy must stand; None replaces all that it holds.
        mark: where it stands afterwards.
        which: int64 [M], the dictionary of each entry.
        slots: int64 [M], ascending for each dictionary.
        keys: [M, W].
        values: [M].
    """

    since: Mark | None
    mark: Mark
    which: Tensor
    slots: Tensor
    keys: Tensor
    values: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes that travel."""
        return sum(part.nbytes for part in (self.which, self.slots, self.keys, self.values))


def new_line() -> int:
    """The name of a line of states, like no other; it takes nothing from any random state."""
    return secrets.randbits(62)


class ChangeLog:
    """Which entries each version changed, of the last versions.

    Args:
        mark: where the dictionary stands.
    """

    def __init__(self, mark: Mark):
        self.mark, self.floor = mark, mark.version
        self._notes: deque[tuple[int, Tensor]] = deque()
        self._kept = 0

    def note(self, places: Tensor) -> None:
        """One change, of entries at these places, int64 [M]."""
        self.mark = self.mark._replace(version=self.mark.version + 1)
        self._notes.append((self.mark.version, places))
        self._kept += len(places)
        while self._kept > KEPT and len(self._notes) > 1:
            self.floor, dropped = self._notes.popleft()
            self._kept -= len(dropped)

    def since(self, mark: Mark | None) -> Tensor | None:
        """The places changed since a mark, ascending; None where that is not known any more."""
        if mark is None or mark.line != self.mark.line or not self.floor <= mark.version <= self.mark.version:
            return None
        places = [places for version, places in self._notes if version > mark.version]
        return torch.cat(places).unique() if places else torch.empty(0, dtype=torch.int64)
