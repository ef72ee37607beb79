"""Forgetting: how the strength of a word fades.

A slot's strength lies between 0 and 1. It scales what is read of the slot, and its logarithm is added to the slot's
score, so that a faint word is both harder to find and fainter when it is found.

Legend: B batch, S slots.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from torch import Tensor

Forgetting: TypeAlias = Literal["none", "decay", "interference", "learned"]


def fade(
    kind: Forgetting, strengths: Tensor, written: Tensor, dropped: Tensor | None, half_life: float, capacity: float
) -> Tensor:
    """What is left of the strengths when a word has been written elsewhere.

    ================ ==================================================================================================
    ``none``         all of it
    ``decay``        half of it after ``half_life`` steps
    ``interference`` every word that is written takes its share of a ``capacity`` from all others, so that strengths
                     never sum to more than that
    ``learned``      what the controller asks to be forgotten, by content, goes
    ================ ==================================================================================================

    Args:
        kind: one of the above.
        strengths: [B, S].
        written: [B, 1], the strength of what is written at this step.
        dropped: [B, S], how much of each slot the controller asks to be forgotten, between 0 and 1; None of the others.
        half_life: steps.
        capacity: words of the full strength, at least 1.
    """
    if kind == "decay":
        return strengths * 0.5 ** (1 / half_life)
    if kind == "interference":
        return strengths * (1 - written / capacity)
    return strengths if dropped is None else strengths * (1 - dropped)
