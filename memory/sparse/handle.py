"""What a state carries of a sparse memory: a view of one version of a store.

Legend: B batch, N slots, W word size, S slots of one operation, R queries a row, K nearest, U slots written.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from lukasa.memory.derivatives import refuse_export, refuse_transforms
from lukasa.memory.sparse import persistence
from lukasa.memory.sparse.layout import Layout, refuse_elsewhere
from lukasa.memory.sparse.operations import Gather, Reset, Tape, Update, Witness
from lukasa.memory.sparse.row_store import RowStore
from lukasa.memory.sparse.store import StaleStateError, Store


class SparseMemory:
    """A batch of sparse memories as one version of them; a change returns the next version and makes this one stale.

    Gradients flow through reads and writes as they would through a dense memory. Nothing costs more than what it
    touches, but for ``fork``, ``grow``, ``save``, ``tensors`` and ``from_tensors``, which cost what is written.

    Attributes:
        store: the rows and all that belongs to them.
        version: how many changes came before.
    """

    def __init__(self, store: RowStore, tape: Tape | None = None, token: Tensor | None = None):
        self.store = store
        self.version = store.version
        self._stamp = store.stamp
        self._tape = Tape() if tape is None else tape
        self._token = torch.zeros((), dtype=store.layout.dtype, device=store.layout.device) if token is None else token

    @classmethod
    def empty(
        cls, batch_size: int, slots: int, word_size: int, *, store: Callable[[Layout], RowStore] = Store, **layout: Any
    ) -> SparseMemory:
        """A memory in which nothing is written.

        Args:
            batch_size: B.
            slots: N.
            word_size: W.
            store: makes what holds it; another than ``Store`` may hold it elsewhere.
            **layout: the other fields of ``Layout``: dtype, device, storage, delta, index, index_options.

        Raises:
            ValueError: the machine has not so much memory, or the index cannot be made.

        Example:
            >>> memory = SparseMemory.empty(batch_size=1, slots=1 << 20, word_size=2)
            >>> slots = memory.least_recent(2)
            >>> keep = torch.zeros(1, 2, dtype=torch.bool)
            >>> memory = memory.write(slots, keep, torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]))
            >>> memory.search(torch.tensor([[[0.1, 2.0]]]), 2)
            tensor([[[1, 0]]])
        """
        refuse_export("a sparse memory")
        return cls(store(Layout(batch_size, slots, word_size, **layout)))

    @property
    def batch_size(self) -> int:
        """B."""
        return self.store.layout.batch_size

    @property
    def slots(self) -> int:
        """N."""
        return self.store.layout.slots

    @property
    def word_size(self) -> int:
        """W."""
        return self.store.layout.word_size

    @property
    def device(self) -> torch.device:
        """Where it lives."""
        return self.store.layout.device

    @property
    def used(self) -> Tensor:
        """How many slots of each row are written, int64 [B]: the slots 0 .. used - 1."""
        return self._store().used

    def read(self, slots: Tensor) -> tuple[Tensor, SparseMemory]:
        """Copy rows.

        Args:
            slots: int64 [B, ...]; -1 reads zeros.

        Returns:
            The rows [B, ..., W], and the memory to go on with.

        Raises:
            StaleStateError: the memory was changed since.
            ValueError: an argument is on another device.
        """
        store = self._store()
        refuse_elsewhere(self.device, slots=slots)
        flat = slots.flatten(1)
        if torch.is_grad_enabled() and self._token.requires_grad:
            # Reading changes no contents: the token moves on in place, so that what follows comes after this read.
            rows, self._token = Gather.apply(self._token, store, self._tape, flat)  # type: ignore[misc]
        else:
            rows = store.gather(flat)
        return rows.view(*slots.shape, self.word_size), self

    def write(self, slots: Tensor, keep: Tensor, words: Tensor) -> SparseMemory:
        """Erase the slots that are not kept, then add all words.

        Args:
            slots: int64 [B, S]; -1 is nothing; duplicates add up. New slots come in the order of ``least_recent``.
            keep: [B, S]; whether what a slot held stays; a duplicate that is not kept erases it for all.
            words: [B, S, W].

        Returns:
            The memory after it.

        Raises:
            StaleStateError: the memory was changed since.
            ValueError: a slot is written before those below it, or would hold what is not finite or too large; or an
                argument is on another device.
        """
        store, keep, words = self._store(), keep.bool(), words.to(self.store.layout.dtype)
        refuse_elsewhere(self.device, slots=slots, keep=keep, words=words)
        if torch.is_grad_enabled() and (words.requires_grad or self._token.requires_grad):
            token: Any = Update.apply(self._token, store, self._tape, slots, keep, words)
            return SparseMemory(store, self._tape, token)
        store.write(slots, keep, words)
        return self._next()

    def search(self, queries: Tensor, k: int) -> Tensor:
        """The written slots most similar to each query by cosine; no gradient.

        Args:
            queries: [B, R, W].
            k: K.

        Returns:
            int64 [B, R, K]; -1 where fewer are written or found.

        Raises:
            StaleStateError: the memory was changed since.
            ValueError: a query is not finite, too large or on another device.
        """
        store = self._store()
        refuse_elsewhere(self.device, queries=queries)
        return store.search(queries.detach().to(store.layout.dtype), k)

    def least_recent(self, count: int) -> Tensor:
        """The slots to write next, those not accessed for longest first: int64 [B, count].

        Raises:
            StaleStateError: the memory was changed since.
            ValueError: there are not so many slots.
        """
        if count > self.slots:
            raise ValueError(f"{count} slots asked for and the memory has {self.slots}: ask for at most that many")
        return self._store().least_recent(count)

    def access(self, slots: Tensor, weights: Tensor) -> SparseMemory:
        """Mark slots as accessed now where their weight exceeds delta; within one call the lowest counts as the oldest.

        Args:
            slots: int64 [B, S]; -1 is nothing.
            weights: [B, S].

        Raises:
            StaleStateError: the memory was changed since.
            ValueError: an argument is on another device.
        """
        store = self._store()
        refuse_elsewhere(self.device, slots=slots, weights=weights)
        store.access(slots, weights)
        return SparseMemory(store, self._tape, self._token)

    def reset(self, mask: Tensor) -> SparseMemory:
        """Empty the rows where the mask [B] is set; no gradient passes there."""
        store = self._store()
        rows = mask.nonzero().flatten().tolist()
        if not rows:
            return self
        if torch.is_grad_enabled() and self._token.requires_grad:
            token: Any = Reset.apply(self._token, store, self._tape, rows)
            return SparseMemory(store, self._tape, token)
        store.reset(rows)
        return self._next()

    def detach(self) -> SparseMemory:
        """The same contents, through which no gradient flows back."""
        return SparseMemory(self._store())

    def watched(self) -> tuple[SparseMemory, Tensor]:
        """The memory to go on with, and a tensor that tells what later steps need of its contents as they are now.

        Returns:
            The memory, and zeros [B, 1], whose gradient will be the norm, in each row, of the gradient with respect to
            all written words. It costs the slots touched, in backward.
        """
        witness = self._token.new_zeros(self.batch_size, 1).requires_grad_()
        token: Any = Witness.apply(self._token, self._tape, witness)
        return SparseMemory(self._store(), self._tape, token), witness

    def fork(self) -> SparseMemory:
        """A copy with a store of its own; gradients flow into what it was copied from."""
        return self.from_tensors(self.tensors())

    def __copy__(self) -> SparseMemory:
        """As ``fork``: two handles of one store would make one another stale."""
        return self.fork()

    def __deepcopy__(self, memo: dict[int, Any]) -> SparseMemory:
        """A copy with a store of its own, which other handles in the same ``copy.deepcopy`` share.

        Raises:
            RuntimeError: gradients flow through this memory, as for a tensor that is computed from others.
            StaleStateError: the memory was changed since.
        """
        if self._token.requires_grad:
            raise RuntimeError(
                "gradients flow through this sparse memory, which copy.deepcopy cannot keep: use fork(), or "
                "memory.fork_state(state), which keep them, or detach() first"
            )
        return SparseMemory(copy.deepcopy(self._store(), memo))

    def __reduce__(self) -> tuple[Any, ...]:
        """What is written, for ``pickle``; without gradient."""
        return SparseMemory, (self._store(),)

    def grow(self, slots: int) -> SparseMemory:
        """The same contents with more slots.

        Raises:
            ValueError: there are more already, or the machine has not so much memory.
        """
        store = self._store()
        store.grow(slots)
        return SparseMemory(store, self._tape, self._token)

    @contextlib.contextmanager
    def journalling(self) -> Iterator[None]:
        """Keep what ``rewind`` needs while the block lasts; costs memory with every change."""
        store = self._store()
        store.begin_journal()
        try:
            yield
        finally:
            store.end_journal()

    @torch.no_grad()
    def rewind(self, version: int) -> SparseMemory:
        """Undo every change since a version; rows, usage order and index are as they were, bit for bit.

        Args:
            version: ``version`` of a memory of this store, made while journalling.

        Returns:
            The memory at that version, without gradient; all others of this store are stale.

        Raises:
            RuntimeError: no journal is kept.
            ValueError: the journal does not reach back so far.
        """
        self.store.rewind(version)
        return SparseMemory(self.store)

    def tensors(self) -> dict[str, Tensor]:
        """What is written, batch first: copies through which gradients flow.

        Returns:
            rows [B, U, W], zero behind the end of a row; used int64 [B]; order int64 [B, A], the slots ever accessed
            from least to most recently, -1 behind the end of a row.
        """
        used = self._store().used
        slots = torch.arange(int(used.max()) if len(used) else 0, device=used.device).expand(len(used), -1)
        rows, _ = self.read(slots.masked_fill(slots >= used.unsqueeze(1), -1))
        return {"rows": rows, "used": used.clone(), "order": self.store.usage.accessed_slots()}

    def from_tensors(self, tensors: Mapping[str, Tensor]) -> SparseMemory:
        """A memory of this kind, with a store and an index of its own, from what ``tensors`` gave.

        Args:
            tensors: rows, used and order; their batch may be another.

        Raises:
            ValueError: they do not fit this kind of memory.
        """
        device = self.store.layout.device
        rows, used, order = (tensors[name].to(device) for name in ("rows", "used", "order"))
        self.store.layout.check_contents(rows, used, order)
        store = self.store.another(len(rows))
        memory = SparseMemory(store)
        if rows.shape[1] and not (torch.is_grad_enabled() and rows.requires_grad):
            store.fill(rows.detach(), used)
        elif rows.shape[1]:
            slots = torch.arange(rows.shape[1], device=device).expand(len(rows), -1)
            slots = slots.masked_fill(slots >= used.unsqueeze(1), -1)
            memory = memory.write(slots, torch.zeros_like(slots), rows)
        store.usage.restore(order)
        return memory

    def save(self, path: str | PathLike[str]) -> None:
        """Write all that is written to a file, all or nothing."""
        persistence.save(self._store(), path)

    @classmethod
    def load(cls, path: str | PathLike[str], **layout: Any) -> SparseMemory:
        """A memory from a file, which is mapped and never changed; the index is built anew.

        Args:
            path: what ``save`` wrote.
            **layout: fields of ``Layout`` to change: device, delta, index, index_options, or more slots.

        Raises:
            ValueError: the file is none, cut short or altered.
        """
        return cls(persistence.load(path, **layout))

    def opened(self) -> tuple[RowStore, Tape, Tensor]:
        """The store, tape and token, for an operation on the tape that is made elsewhere; ``after`` closes it.

        Raises:
            StaleStateError: the memory was changed since.
        """
        return self._store(), self._tape, self._token

    def after(self, token: Tensor | None = None) -> SparseMemory:
        """The memory after an operation that changed the store and gave this token; without one no gradient passes."""
        return self._next() if token is None else SparseMemory(self.store, self._tape, token)

    def _store(self) -> RowStore:
        refuse_transforms("a sparse memory")
        refuse_export("a sparse memory")
        if self._stamp is not self.store.stamp:
            raise StaleStateError(
                f"this state's memory was written since: version {self.version} of {self.store.version}; "
                "use the newest state, or fork() before branching: memory.fork_state(state); activation checkpointing "
                "runs a function twice, so that the fork belongs inside it"
            )
        return self.store

    def _next(self) -> SparseMemory:
        """The handle after a change that no gradient passes through."""
        if self._token.requires_grad:
            return SparseMemory(self.store)
        return SparseMemory(self.store, self._tape, self._token)
