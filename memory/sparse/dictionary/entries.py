"""The keys and values of several dictionaries side by side, over one sparse store.

Legend: D dictionaries, N slots of each, W key size, R queries a dictionary, P neighbours, M entries, S slots of one
operation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lukasa.memory.sparse.bounds import UnstorableError
from lukasa.memory.sparse.dictionary.estimates import squared_distances
from lukasa.memory.sparse.dictionary.lifting import MORE, lifted_keys, lifted_queries
from lukasa.memory.sparse.layout import CPU, Layout
from lukasa.memory.sparse.store import Store
from lukasa.memory.sparse.usage import lazy_zeros

MARGIN = 16
"""Candidates beyond the neighbours asked for: an index orders near ties as it rounds, here distances decide."""

SMALLEST_REACH = 1e-6


class Entries:
    """Keys and values in slots, with the order in which they were last used.

    Args:
        layout: of the store; its words are ``MORE`` numbers longer than the keys.

    Attributes:
        store: words, whose first W numbers are the key.
        values: [D, N].
        reach: the length that no key exceeds; 0 while there is none.
    """

    def __init__(self, layout: Layout):
        self.store = Store(layout)
        self.values = lazy_zeros((layout.batch_size, layout.slots), layout.dtype, CPU)
        self.reach = 0.0

    @property
    def layout(self) -> Layout:
        """Sizes."""
        return self.store.layout

    @property
    def key_size(self) -> int:
        """W."""
        return self.layout.word_size - MORE

    def nearest(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """The entries nearest to queries [D, R, W], the nearest first, ties to the lowest slot.

        Returns:
            Slots int64 [D, R, P], -1 where there are fewer; their keys [D, R, P, W] and squared distances [D, R, P],
            infinite where there are fewer.

        Raises:
            UnstorableError: a query is NaN, infinite or too large.
        """
        queries = queries.detach()
        if self.reach:
            slots = self.store.search(lifted_queries(queries, self.reach), count + MARGIN)
        else:
            self.store.bounds.admit_queries(queries)
            slots = torch.full((*queries.shape[:2], count), -1)
        slots = slots.masked_fill(slots < 0, self.layout.slots).sort(-1).values
        slots = slots.masked_fill(slots == self.layout.slots, -1)
        keys = self.keys(slots)
        squared = squared_distances(queries, keys).masked_fill_(slots < 0, torch.inf)
        squared, order = squared.sort(dim=-1, stable=True)
        squared, order = squared[..., :count], order[..., :count]
        keys = keys.gather(2, order.unsqueeze(-1).expand(*order.shape, keys.shape[-1]))
        return slots.gather(-1, order), keys, squared

    def keys(self, slots: Tensor) -> Tensor:
        """Copies of keys, [D, ..., W] for slots [D, ...]; zeros for -1."""
        rows = self.store.gather(slots.flatten(1))
        return rows[..., : self.key_size].reshape(*slots.shape, self.key_size)

    def values_of(self, slots: Tensor) -> Tensor:
        """Values, [D, ...] for slots [D, ...]; zeros for -1."""
        flat = slots.flatten(1)
        found = self.values.gather(1, flat.clamp_min(0)).masked_fill_(flat < 0, 0)
        return found.view(slots.shape)

    def touch(self, slots: Tensor) -> None:
        """Count slots [D, ...] as used now, -1 aside."""
        flat = slots.flatten(1)
        if flat.shape[1]:
            self.store.access(flat, (flat >= 0).to(self.layout.dtype))

    def least_recent(self, count: int) -> Tensor:
        """The slots to fill next, those never filled first: int64 [D, count]."""
        return self.store.least_recent(count)

    def write(self, which: Tensor, slots: Tensor, keys: Tensor, values: Tensor) -> None:
        """Put entries into slots, each of which occurs once.

        Args:
            which: int64 [M], the dictionary of each.
            slots: int64 [M].
            keys: [M, W].
            values: [M].

        Raises:
            UnstorableError: a number is NaN, infinite or too large; nothing was changed.
        """
        if not len(which):
            return
        self.check(keys, values)
        longest = float(torch.linalg.vector_norm(keys, dim=-1).max())
        if longest > self.reach or not self.reach:
            self._reach_to(2 * longest)
        (packed_slots, words), _ = packed(
            which, self.layout.batch_size, (slots, -1), (lifted_keys(keys, self.reach), 0)
        )
        self.store.write(packed_slots, torch.zeros_like(packed_slots, dtype=torch.bool), words)
        self.values[which, slots] = values

    def check(self, keys: Tensor, values: Tensor) -> None:
        """Refuse what cannot be kept.

        Raises:
            UnstorableError: a number is NaN, infinite or too large.
        """
        limit = self.store.bounds.limit / 8  # of what a word is made of, its length included
        for name, numbers in (("key", keys), ("value", values)):
            sizes = numbers.detach().abs().flatten(1).amax(1) if numbers.dim() > 1 else numbers.detach().abs()
            broken = ~(sizes <= limit)
            if bool(broken.any()):
                first = int(broken.nonzero()[0])
                worst = numbers[first].reshape(-1)
                worst = worst[~(worst.abs() <= limit)][0]
                raise UnstorableError(
                    f"{name} {first} holds {float(worst)}: expected finite numbers of at most {limit:.1e}; look for "
                    "NaN in the inputs and parameters"
                )

    def contents(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Keys [D, U, W], values [D, U], how many of them each has [D], and the slots by when they were used [D, A]."""
        written = int(self.store.used.max())
        keys = self.store.view()[:, :written, : self.key_size]
        return keys, self.values[:, :written], self.store.used, self.store.usage.accessed_slots()

    def replace(self, keys: Tensor, values: Tensor, used: Tensor, order: Tensor) -> None:
        """Hold what ``contents`` gave, in place of what there was.

        Raises:
            ValueError: it does not fit.
        """
        words = keys.new_empty(()).expand(*keys.shape[:2], keys.shape[-1] + MORE)
        self.layout.check_contents(words, used, order)
        there = torch.arange(keys.shape[1]) < used.unsqueeze(1)
        longest = float(torch.linalg.vector_norm(keys[there], dim=-1).max()) if bool(there.any()) else 0.0
        store = Store(self.layout)
        self.reach = max(2 * longest, SMALLEST_REACH) if bool(there.any()) else 0.0
        if keys.shape[1]:
            store.fill(lifted_keys(keys, self.reach or 1.0), used)
        store.usage.restore(order)
        self.store = store
        self.values = lazy_zeros((self.layout.batch_size, self.layout.slots), self.layout.dtype, CPU)
        self.values[:, : keys.shape[1]] = values

    def adopt(self, store: Store, values: Tensor, reach: float) -> None:
        """Hold the words of a store as they are, and values [D, U]."""
        self.store, self.reach = store, reach
        self.values = lazy_zeros((self.layout.batch_size, self.layout.slots), self.layout.dtype, CPU)
        self.values[:, : values.shape[1]] = values

    def _reach_to(self, reach: float) -> None:
        """Have room for longer keys: all words are made anew, which keys that double in length ask for once."""
        reach = max(reach, SMALLEST_REACH)
        if self.reach:
            keys, _, used, order = self.contents()
            store = Store(self.layout)
            store.fill(lifted_keys(keys, reach), used)
            store.usage.restore(order)
            self.store = store
        self.reach = reach


def packed(which: Tensor, dictionaries: int, *parts: tuple[Tensor, Any]) -> tuple[list[Tensor], Tensor]:
    """Entries side by side by dictionary, in their order.

    Args:
        which: int64 [M].
        dictionaries: D.
        *parts: tensors [M, ...] with what fills the gaps.

    Returns:
        Tensors [D, S, ...], and where each entry went, int64 [M], in the first two axes taken as one.

    Example:
        >>> packed(torch.tensor([1, 0, 1]), 2, (torch.tensor([7, 8, 9]), -1))
        ([tensor([[ 8, -1],
                [ 7,  9]])], tensor([2, 0, 3]))
    """
    counts = which.bincount(minlength=dictionaries)
    width = max(1, int(counts.max()))
    order = which.sort(stable=True).indices
    begins = counts.cumsum(0) - counts
    places = torch.empty_like(which)
    places[order] = which[order] * width + torch.arange(len(which)) - begins[which[order]]
    filled = []
    for part, gap in parts:
        flat = part.new_full((dictionaries * width, *part.shape[1:]), gap)
        flat[places] = part
        filled.append(flat.view(dictionaries, width, *part.shape[1:]))
    return filled, places
