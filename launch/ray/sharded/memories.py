"""Makes sparse memories that lie in shards, for direct use and for cores."""

from __future__ import annotations

import gc
import shutil
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

from lukasa.ground.mistakes import UserError
from lukasa.launch.ray.sharded.fleet import Fleet
from lukasa.launch.ray.sharded.saving import read_saved
from lukasa.launch.ray.sharded.sharding import Sharding
from lukasa.launch.ray.sharded.store import ShardedStore
from lukasa.memory.sparse import SparseMemory
from lukasa.memory.sparse.layout import Layout


class ShardedMemories:
    """Sharded memories, and the actors that they need, for as long as the block lasts.

    The shards of a memory that nobody holds any more serve the next one, so that a core that begins every sequence with
    an empty memory starts its shards once.

    Args:
        sharding: how memories are cut.

    Raises:
        UserError: the sharding cannot be placed in this cluster.
    """

    def __init__(self, sharding: Sharding):
        sharding = replace(sharding, folder=Path(sharding.folder).absolute())
        sharding.check()
        self.sharding = sharding
        self._fleets: list[Fleet] = []
        self._free: list[Fleet] = []

    def __enter__(self) -> ShardedMemories:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __deepcopy__(self, memo: Any) -> ShardedMemories:
        """Itself: the copy of a core keeps its memories in the same shards."""
        return self

    def empty(self, batch_size: int, slots: int, word_size: int, **layout: Any) -> SparseMemory:
        """A memory in which nothing is written; arguments as in ``SparseMemory.empty``.

        Raises:
            UserError: the slots cannot be divided among the shards.
        """
        return SparseMemory.empty(batch_size, slots, word_size, store=self.store, **layout)

    def serve(self, core: Any) -> None:
        """Have a core, `sam` or `sdnc`, keep its memories in shards from now on.

        Raises:
            UserError: it is a core without a sparse memory.
        """
        if not isinstance(getattr(core, "sparse", None), dict):
            raise UserError(f"core {type(core).__name__} has no sparse memory to shard: choose 'sam' or 'sdnc'")
        core.sparse["store"] = self.store

    def load(self, folder: str | Path) -> SparseMemory:
        """The memory that was saved to a folder, by its owner or because its log was long.

        Raises:
            UserError: the folder holds none, or one of another number of shards.
            ShardLostError: the state of a shard cannot be read.
        """
        saved = read_saved(Path(folder).absolute())
        if saved.shards != self.sharding.shards:
            raise UserError(
                f"the memory in {folder} was saved by {saved.shards} shards: load it with as many, not "
                f"{self.sharding.shards}"
            )
        store = self._opened(saved.layout, saved.state)
        store.fleet.start()
        store.used = saved.used
        store.usage.restore(saved.order)
        return SparseMemory(store)

    def store(self, layout: Layout) -> ShardedStore:
        """A store in shards.

        Raises:
            UserError: the slots cannot be divided among the shards.
        """
        return self._opened(layout, None)

    def close(self) -> None:
        """End all actors; what was saved stays."""
        for fleet in self._fleets:
            fleet.close()
        self._fleets.clear()
        self._free.clear()

    def _opened(self, layout: Layout, saved: Path | None) -> ShardedStore:
        part = self.sharding.layout_of_a_shard(layout)
        fleet = self._free_fleet(part)
        own = _Folder(self.sharding.folder)
        store = ShardedStore(layout, fleet, own.path, self.store)
        weakref.finalize(store, self._take_back, fleet, own).atexit = False
        fleet.serve_another(part, saved)
        return store

    def _free_fleet(self, part: Layout) -> Fleet:
        """Shards that serve no memory: those that run before those that were never needed."""
        if not self._free:
            gc.collect()  # graphs and exceptions hold memories in cycles, and so their shards
        if not self._free:
            self._fleets.append(Fleet(self.sharding, part))
            return self._fleets[-1]
        chosen = next((fleet for fleet in reversed(self._free) if fleet.running), self._free[-1])
        self._free.remove(chosen)
        return chosen

    def _take_back(self, fleet: Fleet, own: _Folder) -> None:
        """Nobody holds the memory any more: its shards are free and what they saved can be forgotten."""
        fleet.begin_log(None)
        own.remove()
        if fleet in self._fleets:
            self._free.append(fleet)


class _Folder:
    """A folder in which one memory saves its states, made when first needed."""

    def __init__(self, parent: Path):
        self.parent = parent
        self.made: Path | None = None

    def path(self) -> Path:
        """The folder; no other memory, of this or another process, has the same."""
        number = 0
        while self.made is None:
            path = self.parent / f"memory-{number}"
            try:
                path.mkdir(parents=True)
                self.made = path
            except FileExistsError:
                number += 1
            except OSError as error:
                raise UserError(f"no shard can be saved to {self.parent}: {error}: choose another folder") from None
        return self.made

    def remove(self) -> None:
        """Remove what is in it."""
        if self.made is not None:
            shutil.rmtree(self.made, ignore_errors=True)
            self.made = None
