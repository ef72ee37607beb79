"""The store of a sparse memory whose rows lie elsewhere.

It is a ``lukasa.memory.sparse.row_store.RowStore``, so that reads and writes are the very same autograd operations as
those of a memory in this process: what they touch is fetched. The order in which slots were accessed, 24 bytes a slot,
is here.

Legend: B batch, N slots, W word size, S slots of one operation, R queries a row, K nearest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lukasa.launch.ray.sharded.fleet import Fleet
from lukasa.launch.ray.sharded.routing import Gather, Reset, Search, join_rows, merge, parts, split_write
from lukasa.launch.ray.sharded.saving import saving
from lukasa.memory.sparse.bounds import Bounds
from lukasa.memory.sparse.inference_mode import outside_inference_mode
from lukasa.memory.sparse.layout import Layout
from lukasa.memory.sparse.listener import Listener, chosen
from lukasa.memory.sparse.usage import UsageOrder

SLOTS_AT_ONCE = 1 << 16  # bounds a message when much is fetched or filled


class ShardedStore:
    """Routes what is done to a memory to its shards.

    Attributes:
        layout: of the whole memory.
        fleet: the shards.
        used: int64 [B], how many slots of each row are written.
        usage: the order in which slots were accessed.
        index: searches all shards.
        version: how often the memory was changed.
        stamp: an object that only handles of this very version hold.
        listener: follows what is asked and done, None while nobody does.
    """

    @outside_inference_mode
    def __init__(
        self, layout: Layout, fleet: Fleet, own_folder: Callable[[], Path], make: Callable[[Layout], ShardedStore]
    ):
        self.layout, self.fleet, self._own_folder, self._make = layout, fleet, own_folder, make
        self.bounds = Bounds(layout)
        self.used = torch.zeros(layout.batch_size, dtype=torch.int64)
        self.usage = UsageOrder(layout.batch_size, layout.slots, layout.device)
        self.index = ShardedIndex(fleet)
        self.version = 0
        self.stamp = object()
        self.listener: Listener | None = None

    def another(self, batch_size: int) -> ShardedStore:
        """An empty store of this kind, with shards of its own."""
        return self._make(replace(self.layout, batch_size=batch_size))

    def __deepcopy__(self, memo: dict[int, Any]) -> ShardedStore:
        """Another memory in shards of its own, with the same contents."""
        store = memo[id(self)] = self.another(self.layout.batch_size)
        slots = torch.arange(int(self.used.max()) if len(self.used) else 0).expand(len(self.used), -1)
        if slots.shape[1]:
            store.fill(self.gather(slots.masked_fill(slots >= self.used.unsqueeze(1), -1)), self.used)
        store.usage.restore(self.usage.accessed_slots())
        return store

    def __reduce__(self) -> Any:
        """Refuse ``pickle``.

        Raises:
            TypeError: always.
        """
        raise TypeError("a sharded memory cannot be pickled, its rows lie in other processes: use store.save(folder)")

    def gather(self, slots: Tensor) -> Tensor:
        """Copies of rows, [B, S, W] for slots [B, S]; zeros for -1."""
        known = self.index.rows_found(slots)
        if known is not None:
            return known
        fetched = [self._fetch(some) for some in slots.split(SLOTS_AT_ONCE, 1)]
        return fetched[0] if len(fetched) == 1 else torch.cat(fetched, 1)

    @outside_inference_mode
    def write(self, slots: Tensor, keep: Tensor, words: Tensor) -> None:
        """First erase the slots that are not kept, then add all words; see ``Store``.

        Raises:
            ValueError: a slot is written before those below it, or does not exist.
        """
        self.bounds.admit(slots, keep, words, self.used, self.gather)
        if self.listener is not None:
            self.listener.wrote(slots)
        self._put(slots, keep, words)
        self._mark_changed()

    def search(self, queries: Tensor, k: int) -> Tensor:
        """The nearest slots of each query; see ``Store``."""

        def own() -> Tensor:
            self.bounds.admit_queries(queries)
            return self.index.search(queries, k)

        return chosen(self.listener, (*queries.shape[:2], k), own)

    def least_recent(self, count: int) -> Tensor:
        """The slots accessed least recently, those never accessed first: int64 [B, count]."""
        return chosen(self.listener, (self.layout.batch_size, count), lambda: self.usage.least_recent(count))

    @outside_inference_mode
    def access(self, slots: Tensor, weights: Tensor) -> None:
        """Mark the slots whose weight exceeds δ as accessed now; both [B, S]."""
        accessed = weights > self.layout.delta
        if self.listener is not None:
            self.listener.accessed(slots.masked_fill(~accessed, -1))
        self.usage.access(slots, accessed)
        self.version += 1
        self.stamp = object()

    @outside_inference_mode
    def reset(self, rows: list[int]) -> None:
        """Empty some batch rows."""
        used, self.used = self.used.tolist(), self.used.clone()
        for row in rows:
            self.used[row] = 0
            self.usage.reset(row, used[row])
        self.fleet.tell(dict.fromkeys(range(self.fleet.sharding.shards), Reset(rows)))
        self._mark_changed()

    @outside_inference_mode
    def grow(self, slots: int) -> None:
        """Raise the number of slots; what is written stays where it is.

        Raises:
            ValueError: there are more already.
            UserError: the slots cannot be divided among the shards.
        """
        if slots < self.layout.slots:
            raise ValueError(f"a memory of {self.layout.slots} slots cannot shrink to {slots}: ask for more slots")
        layout = replace(self.layout, slots=slots)
        self.fleet.grow(self.fleet.sharding.layout_of_a_shard(layout))
        self.layout = layout
        self.usage.grow(slots, int(self.used.max()))
        self._mark_changed()

    @outside_inference_mode
    def fill(self, rows: Tensor, used: Tensor) -> None:
        """Write the first slots of every row of an empty store; rows [B, U, W], used int64 [B], at most U."""
        self.bounds.admit_rows(rows, used)
        slots = torch.arange(rows.shape[1]).expand(len(rows), -1)
        slots = slots.masked_fill(slots >= used.unsqueeze(1), -1)
        for some, words in zip(slots.split(SLOTS_AT_ONCE, 1), rows.split(SLOTS_AT_ONCE, 1), strict=True):
            self._put(some, torch.zeros_like(some), words)

    def save(self, folder: str | Path | None = None) -> None:
        """Save the whole memory.

        Args:
            folder: where; by default the memory's own folder, from which lost shards begin, and logs begin anew.

        Raises:
            UserError: a shard, or this process, cannot write there.
            ShardLostError: a shard was lost and cannot be brought back.
        """
        shards = self.fleet.sharding.shards
        order = self.usage.accessed_slots()
        folder = None if folder is None else Path(folder).absolute()
        needed = None if folder is None else self.fleet.saved
        with saving(folder or self._own_folder(), shards, self.layout, self.used, order, needed) as state:
            self.fleet.save(state)
            if folder is None:
                self.fleet.begin_log(state)

    def begin_journal(self) -> None:
        """Refuse: changes of a sharded memory cannot be undone.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("a sharded memory keeps no journal: save it, or fork() it, before what is to be undone")

    def end_journal(self) -> None:
        """None is kept."""

    def rewind(self, version: int) -> None:
        """Refuse, as ``begin_journal`` does."""
        self.begin_journal()

    def view(self) -> Tensor:
        """Refuse: the rows are not here.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("the rows of a sharded memory lie in its shards: save it with memory.store.save(folder)")

    def _put(self, slots: Tensor, keep: Tensor, words: Tensor) -> None:
        used = torch.maximum(self.used, slots.amax(1) + 1)
        fresh = (slots >= self.used.unsqueeze(1)).sum(1)
        if int(used.max()) > self.layout.slots or bool((used - self.used > fresh).any()):
            raise ValueError(
                f"slots up to {int(used.max()) - 1} cannot be written while {self.used.tolist()} of "
                f"{self.layout.slots} are: new slots are handed out in order, least_recent() says which come next"
            )
        if self.fleet.logged > self.fleet.sharding.log_bytes:  # before this step, so that what is saved is whole steps
            self.save()
        self.fleet.tell(split_write(slots, keep, words, self.fleet.sharding.shards))
        self.used = used

    def _fetch(self, slots: Tensor) -> Tensor:
        split = list(parts(slots.numpy(), self.fleet.sharding.shards))
        answers = self.fleet.ask({part.shard: Gather(part.slots) for part in split})
        like = np.empty((*slots.shape, self.layout.word_size), torch.empty(0, dtype=self.layout.dtype).numpy().dtype)
        return torch.from_numpy(join_rows(split, [answers[part.shard] for part in split], like))

    def _mark_changed(self) -> None:
        self.index.forget()
        self.version += 1
        self.stamp = object()


class ShardedIndex:
    """The nearest slots of all shards; what they hold comes with them, so that reading them costs no second message."""

    def __init__(self, fleet: Fleet):
        self.fleet = fleet
        self._found: tuple[Tensor, Tensor] | None = None

    def search(self, queries: Tensor, k: int) -> Tensor:
        """The nearest slots of each query, int64 [B, R, k], the most similar first; -1 where there are fewer."""
        question = Search(queries.numpy(), k)
        slots, rows = merge(self.fleet.ask(dict.fromkeys(range(self.fleet.sharding.shards), question)), k)
        self._found = slots.flatten(1), rows.flatten(1, 2)
        return slots

    def rows_found(self, slots: Tensor) -> Tensor | None:
        """What slots [B, S] hold, if the last search found exactly them and nothing was written since."""
        found, self._found = self._found, None
        return found[1] if found is not None and torch.equal(found[0], slots) else None

    def forget(self) -> None:
        """Something was written."""
        self._found = None
