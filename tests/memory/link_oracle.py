"""Temporal links of one batch row as dense float64 matrices, transcribed from the papers as loops.

Legend: N slots, E entries of a row.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def largest(row: Array, count: int) -> Array:
    """Only the largest entries of a row, ties by lowest slot."""
    order = sorted(range(len(row)), key=lambda slot: (-row[slot], slot))
    return np.array([weight if slot in order[:count] else 0.0 for slot, weight in enumerate(row)])


class DenseLinks:
    """N_t, P_t and p_t of Rae et al. 2016, supplement D.1; with ``both`` they fade as L_t of Graves et al. 2016."""

    def __init__(self, slots: int, entries: int, both: bool = False):
        self.slots, self.entries, self.both = slots, entries, both
        self.earlier = np.zeros((slots, slots))  # N
        self.later = np.zeros((slots, slots))  # P
        self.precedence = np.zeros(slots)

    def update(self, weights: Array, erased: list[int]) -> None:
        """weights [N]: w_t, before it is scaled down to a sum of at most 1."""
        for slot in erased:
            for other in range(self.slots):
                self.earlier[slot, other] = self.earlier[other, slot] = 0
                self.later[slot, other] = self.later[other, slot] = 0
            self.precedence[slot] = 0
        w, p = weights / max(1.0, weights.sum()), self.precedence
        earlier, later = np.zeros_like(self.earlier), np.zeros_like(self.later)
        for i in range(self.slots):
            for j in range(self.slots):
                if i != j:
                    fade = 1 - w[i] - (w[j] if self.both else 0)
                    earlier[i, j] = fade * self.earlier[i, j] + w[i] * p[j]
                    later[j, i] = fade * self.later[j, i] + w[i] * p[j]
        self.earlier = np.stack([largest(row, self.entries) for row in earlier])
        self.later = np.stack([largest(row, self.entries) for row in later])
        self.precedence = largest((1 - w.sum()) * p + w, self.entries)
