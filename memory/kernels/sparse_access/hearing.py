"""What native code asks of those who follow a sparse memory, before its steps, and says to them, after them.

Legend: B batch, T steps, H heads, C slots that a head reads, N slots.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa.memory.sparse.listener import UNKNOWN, Steps
from lukasa.memory.sparse.store import Store


def given(store: Store, steps: int, heads: int, reads: int) -> Any:
    """What a listener answers in some steps: the oldest slots of all heads, then those nearest to each key.

    Args:
        store: whose listener foreknows, if it has one.
        steps: T.
        heads: H.
        reads: C.

    Returns:
        int64 [T, B, H + H C], ``UNKNOWN`` where the memory answers itself; [T, 0, 0] where it does so everywhere.

    Raises:
        ValueError: an answer is no slot of this memory.
    """
    listener: Any = store.listener
    width, slots = heads * (1 + reads), store.layout.slots
    known = None if listener is None else listener.known(steps * width)
    if known is None or not known.shape[1]:
        return np.empty((steps, 0, 0), np.int64)
    lowest, highest = int(known.min()), int(known.max())
    known = F.pad(known, (0, steps * width - known.shape[1]), value=UNKNOWN).unflatten(1, (steps, width))
    if lowest < UNKNOWN or highest >= slots or bool((known[:, :, :heads] == -1).any()):
        raise ValueError(
            f"a listener answers with slots {lowest} to {highest} of a memory of {slots}: expected slots from 0 on, "
            f"-1 where fewer are near than asked for, and {UNKNOWN} where the memory is to answer"
        )
    return known.transpose(0, 1).contiguous().numpy()


def heard(written: tuple[Tensor, Tensor], found: Tensor, read: tuple[Tensor, Tensor], delta: float) -> Steps:
    """What a listener would have heard of the equations.

    Args:
        written: slots and weights [T, B, H, C + 1], the oldest slot of each head last.
        found: slots [T, B, H, C], by content.
        read: slots and weights [T, B, H, C].
        delta: weight above which a slot counts as accessed.
    """
    slots = torch.cat([written[0], read[0]], 3)
    accessed = slots.masked_fill(~(torch.cat([written[1], read[1]], 3) > delta), -1)
    answers = torch.cat([written[0][..., -1], found.flatten(2)], 2)
    return Steps(*(part.flatten(2).transpose(0, 1) for part in (answers, written[0], accessed)))


def answered(given: Any, row: int, heads: int) -> Tensor:
    """Whether a listener says what is nearest to the key of each head, which then nobody looks for: bool [H, 1].

    Args:
        given: of one step, int64 [B, H + H C].
        row: of the batch.
        heads: H.
    """
    if not len(given):
        return torch.zeros(heads, 1, dtype=torch.bool)
    return torch.from_numpy((given[row, heads:] != UNKNOWN).reshape(heads, -1).all(1, keepdims=True))


def threshold(store: Store) -> float:
    """δ as the equations compare with it, in the precision of the weights."""
    return torch.tensor(store.layout.delta, dtype=store.layout.dtype).item()
