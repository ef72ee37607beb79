"""Weightings over slots, cut down to the slots that were used, and the age of what was read.

Dimensions: T steps, H heads, N slots, C slots that a sparse head lists in a step, U slots used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LEAST = 0.05
"""A slot is used if at some step it has this share of the largest weight there is."""
NEARLY_ALL = 0.7
"""Slots between the lowest and the highest used one are all kept where so many of them are used."""


@dataclass(frozen=True)
class SlotView:
    """Weightings over the same few slots.

    Attributes:
        slots: [U], their numbers.
        total: N, None where nobody said.
        by_first_use: whether they are in the order of their first use; by number otherwise.
        weights: by name, [T, H, U].
    """

    slots: np.ndarray
    total: int | None
    by_first_use: bool
    weights: Mapping[str, np.ndarray]

    @property
    def caption(self) -> str:
        """Which slots these are, in words.

        Example:
            >>> SlotView(np.arange(3, 15), 128, False, {}).caption
            'slots 3 to 14 of 128'
        """
        of = "" if self.total is None else f" of {self.total:,}"
        if len(self.slots) == self.total:
            return f"all {self.total:,} slots"
        if len(self.slots) and not self.by_first_use and len(self.slots) == np.ptp(self.slots) + 1:
            return f"slots {self.slots[0]:,} to {self.slots[-1]:,}{of}"
        order = ", in the order of their first use" if self.by_first_use else ", the used ones"
        return f"{len(self.slots):,}{of} slots{order}"


def dense_view(weights: Mapping[str, np.ndarray]) -> SlotView:
    """The used range of weightings over all slots, or only the used slots where the range is mostly unused.

    Args:
        weights: by name, [T, H, N].

    Example:
        >>> weights = np.zeros((2, 1, 8))
        >>> weights[0, 0, 3] = weights[1, 0, 5] = weights[1, 0, 4] = 1
        >>> dense_view({"read": weights}).slots
        array([3, 4, 5])
    """
    total = next(iter(weights.values())).shape[2]
    peaks = np.stack([_finite(one).max((0, 1), initial=0) for one in weights.values()])  # [names, N]
    largest = peaks.max(1, keepdims=True)
    used = ((peaks >= LEAST * largest) & (peaks > 0)).any(0).nonzero()[0]
    if not len(used):
        used = np.arange(total)
    span = np.arange(used[0], used[-1] + 1)
    slots = span if len(used) >= NEARLY_ALL * len(span) else used
    return SlotView(slots, total, False, {name: one[..., slots] for name, one in weights.items()})


def sparse_view(listed: Mapping[str, tuple[np.ndarray, np.ndarray]], total: int | None) -> SlotView:
    """Weightings that list slots and their weights, over the slots read or written, in the order of their first use.

    Args:
        listed: by name, slots [T, H, C], -1 for none, and weights [T, H, C].
        total: N.

    Example:
        >>> slots, weights = np.array([[[900]], [[7]], [[-1]]]), np.ones((3, 1, 1))
        >>> view = sparse_view({"read": (slots, weights)}, 1000)
        >>> view.slots, view.weights["read"][:, 0].tolist()
        (array([900,   7]), [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    """
    counts = {name: (slots >= 0) & (_finite(weights) > LEAST / 5) for name, (slots, weights) in listed.items()}
    steps = len(next(iter(counts.values())))
    seen: dict[int, int] = {}  # slot to its row
    for step in range(steps):
        for name in sorted({"read", "write"} & set(listed), reverse=True):
            for slot in listed[name][0][step][counts[name][step]].tolist():
                seen.setdefault(slot, len(seen))
    weights = {}
    for name, (slots, given) in listed.items():
        dense = np.zeros((*given.shape[:2], len(seen)))
        for step, head, place in zip(*counts[name].nonzero(), strict=True):
            row = seen.get(int(slots[step, head, place]))
            if row is not None:
                dense[step, head, row] += given[step, head, place]
        weights[name] = dense
    return SlotView(np.array(list(seen), dtype=np.int64), total, True, weights)


def ages(read: np.ndarray, write: np.ndarray, wiped: np.ndarray | None = None) -> np.ndarray:
    """How long ago what is read was written.

    A write of weight w takes over the share w of a slot, several heads together 1 - ∏(1 - w). A step writes before it
    reads, so that the age 0 is what the step itself wrote.

    Args:
        read: [T, H, U], read weights.
        write: [T, P, U], write weights, of any number P of heads.
        wiped: [T, P, U], slots that were emptied before the write (1) or not (0).

    Returns:
        [T, H, T]: the share of each read that is so many steps old; what was never written has no age.

    Example:
        >>> write = np.eye(4)[:, None]  # each step writes a slot of its own
        >>> read = np.roll(write, 2, 0) * (np.arange(4) >= 2)[:, None, None]  # the one of two steps ago
        >>> ages(read, write).argmax(2)[2:].ravel()
        array([2, 2])
    """
    read, write = _finite(read), np.clip(_finite(write), 0, 1)
    steps, _, slots = write.shape
    owned = np.zeros((steps, slots))  # the share of each slot that each step wrote
    found = np.zeros((steps, read.shape[1], steps))
    for step in range(steps):
        if wiped is not None:
            owned *= 1 - wiped[step].max(0)
        taken = 1 - np.prod(1 - write[step], 0)
        owned *= 1 - taken
        owned[step] = taken
        found[step, :, : step + 1] = (read[step] @ owned[: step + 1].T)[:, ::-1]
    return found


def _finite(values: np.ndarray) -> np.ndarray:
    return np.nan_to_num(np.asarray(values, dtype=np.float64), nan=0.0, posinf=0.0, neginf=0.0)
