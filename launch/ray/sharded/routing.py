"""Which shard holds a slot, what it is sent, and the answers of all shards as one.

Slot n is the slot n div S of shard n mod S. Slots are handed out in order, and so are those of every shard.

Legend: B batch, S shards, M slots of one operation, U changes, R queries a row, K nearest, W word size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from lukasa.memory.sparse.store import Store

Array: TypeAlias = np.ndarray[Any, Any]


class Write(NamedTuple):
    """Erase the slots that are not kept, then add all words; arrays, which Ray ships faster than tensors."""

    slots: Array  # int64 [B, M], -1 is nothing
    keep: Array  # bool [B, M]
    words: Array  # [B, M, W]

    def apply(self, store: Store) -> None:
        """Change a shard's store."""
        # Ray gives arrays that cannot be written to, of which PyTorch makes no tensors without a warning.
        store.write(*(torch.from_numpy(part.copy()) for part in self))

    @property
    def nbytes(self) -> int:
        """What it takes to keep it."""
        return sum(part.nbytes for part in self)


class Reset(NamedTuple):
    """Empty some batch rows."""

    rows: list[int]

    def apply(self, store: Store) -> None:
        """Change a shard's store."""
        store.reset(self.rows)

    @property
    def nbytes(self) -> int:
        """What it takes to keep it."""
        return 8 * len(self.rows)


class Grow(NamedTuple):
    """Have at least so many slots."""

    slots: int

    def apply(self, store: Store) -> None:
        """Change a shard's store."""
        store.grow(max(self.slots, store.layout.slots))

    @property
    def nbytes(self) -> int:
        """What it takes to keep it."""
        return 8


Change: TypeAlias = Write | Reset | Grow


class Search(NamedTuple):
    """Ask for the nearest slots, and for what they hold."""

    queries: Array  # [B, R, W]
    k: int


class Gather(NamedTuple):
    """Ask what slots hold."""

    slots: Array  # int64 [B, M], -1 is nothing


Question: TypeAlias = Search | Gather


class Found(NamedTuple):
    """A shard's answer to a search, the most similar first."""

    scores: Array  # [B, R, K]; -inf where there are fewer
    slots: Array  # int64 [B, R, K], of the shard; -1 where there are fewer
    rows: Array  # [B, R, K, W]


class Part(NamedTuple):
    """What one shard holds of slots [B, M]."""

    shard: int
    columns: Array  # int64 [B, m], which of the M
    slots: Array  # int64 [B, m], of the shard; -1 where a row has fewer


def parts(slots: Array, shards: int) -> Iterator[Part]:
    """The shards that hold some of the slots [B, M], each with its part; the order within a row is kept."""
    owners = np.where(slots < 0, -1, slots % shards)
    for shard in range(shards):
        mine = owners == shard
        width = int(mine.sum(1).max(initial=0))
        if width:
            columns = np.argsort(~mine, axis=1, kind="stable")[:, :width]
            there = np.take_along_axis(mine, columns, 1)
            yield Part(shard, columns, np.where(there, np.take_along_axis(slots, columns, 1) // shards, -1))


def split_write(slots: Tensor, keep: Tensor, words: Tensor, shards: int) -> dict[int, Write]:
    """A write of slots [B, M] as one for each shard that holds some of them."""
    kept, added = keep.bool().numpy(), words.detach().numpy()
    return {
        part.shard: Write(
            part.slots,
            np.take_along_axis(kept, part.columns, 1),
            np.take_along_axis(added, part.columns[..., None], 1),
        )
        for part in parts(slots.numpy(), shards)
    }


def join_rows(split: Sequence[Part], answers: Sequence[Array], like: Array) -> Array:
    """The rows that the shards gave for their parts, in place in zeros like ``like`` [B, M, W]."""
    rows = np.zeros_like(like)
    for part, answer in zip(split, answers, strict=True):
        b, m = np.nonzero(part.slots >= 0)
        rows[b, part.columns[b, m]] = answer[b, m]
    return rows


def merge(answers: Sequence[Found], k: int) -> tuple[Tensor, Tensor]:
    """The nearest of all shards, ties to the lowest slot.

    Args:
        answers: of every shard.
        k: K.

    Returns:
        int64 [B, R, K], -1 where there are fewer, and what they hold [B, R, K, W].
    """
    shards = len(answers)
    found = [np.where(one.slots < 0, -1, one.slots * shards + shard) for shard, one in enumerate(answers)]
    slots = torch.from_numpy(np.concatenate(found, -1))  # [B, R, S K]
    scores = torch.from_numpy(np.concatenate([one.scores for one in answers], -1))
    rows = torch.from_numpy(np.concatenate([one.rows for one in answers], -2))
    slots, by_slot = slots.sort(-1)
    best = scores.gather(-1, by_slot).sort(dim=-1, descending=True, stable=True).indices[..., :k]
    picked = by_slot.gather(-1, best).unsqueeze(-1).expand(*best.shape, rows.shape[-1])
    return slots.gather(-1, best), rows.gather(-2, picked)
