"""Writing: which slot a new word goes to.

Legend: B batch, N slots that are written.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from lukasa.memory.workbench.choosing import one_slot

Writing: TypeAlias = Literal["append", "oldest", "most_similar", "gated"]
NEVER = 1 << 40
"""Age of a slot that was never written, in steps."""


class Place(NamedTuple):
    """Where a word is written."""

    share: Tensor  # [B, N], of each slot that is replaced
    strength: Tensor  # [B, 1], with which the word is kept there


def place(
    kind: Writing,
    ages: Tensor,
    likeness: Tensor,
    sought: tuple[Tensor, Tensor] | None,
    gate: Tensor,
    threshold: float,
) -> Place:
    """Which slot a new word goes to.

    ================ ==================================================================================================
    ``append``       the next one that was never written; when there is none left, nothing is written any more
    ``oldest``       the one whose writing is the longest ago
    ``most_similar`` the one whose word is most like the new one, if they are alike; else the oldest
    ``gated``        a blend, by a gate, of the oldest slot and of where the controller looks by content
    ================ ==================================================================================================

    The first three take one slot whole, and the write gate is the strength with which the word is kept. A gated write
    may be spread over slots, and the write gate says how much of them is replaced.

    Args:
        kind: one of the above.
        ages: int64 [B, N], steps since the last writing.
        likeness: [B, N], of the new word and the word in a slot, at most 1; anything where nothing was written.
        sought: of a gated write, where the controller looks by content, [B, N], and the gate [B, 1] between that, at 0,
            and the oldest slot.
        gate: [B, 1], the write gate.
        threshold: the likeness from which on two words are alike.
    """
    slots = ages.shape[1]
    oldest = one_slot(ages.argmax(1), slots)  # the first of those never written
    if kind == "append":
        oldest = oldest & (ages >= NEVER)
    if kind == "most_similar":
        best, slot = likeness.masked_fill(ages >= NEVER, -2).max(1, keepdim=True)
        oldest = torch.where(best >= threshold, one_slot(slot.squeeze(1), slots), oldest)
    share = oldest.to(gate.dtype)
    if sought is not None:
        content, blend = sought
        return Place(gate * torch.lerp(content, share, blend.expand_as(share)), torch.ones_like(gate))
    return Place(share, gate)


def ages_after(ages: Tensor, share: Tensor) -> Tensor:
    """Steps since the last writing: of a slot's first word, or of one that replaced more than half of what it held."""
    return torch.where((share > 0.5) | ((ages >= NEVER) & (share > 0)), 0, ages)
