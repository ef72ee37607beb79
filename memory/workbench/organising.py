"""Organisation: what a memory knows of its slots beside their words.

``flat``        nothing
``by_time``     when each was written: a head may ask for an age
``two_levels``  which are short and which are long: a word that is displaced from the short memory is not lost, but
                averaged with the next ones displaced into one slot of the long memory
``graph``       what was in mind when each was written: a head may follow the edges

Legend: B batch, R read heads, N short slots, L long slots, S all slots, W word size.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor

from lukasa.memory.workbench.choosing import one_slot
from lukasa.memory.workbench.writing import NEVER

Organisation: TypeAlias = Literal["flat", "by_time", "two_levels", "graph"]


class Slots(NamedTuple):
    """What is stored."""

    memory: Tensor  # [B, S, W]
    strengths: Tensor  # [B, S], in [0, 1]
    ages: Tensor  # int64 [B, S], steps since the last writing


class Levels(NamedTuple):
    """What two levels need to know."""

    displaced: Tensor  # int64 [B], words that went from the short to the long memory


class Graph(NamedTuple):
    """What slots have to do with each other."""

    links: Tensor  # [B, S, S], from the first to the second
    in_mind: Tensor  # [B, S], what was read and written at the step before


def time_scores(ages: Tensor, wanted: Tensor, precision: Tensor) -> Tensor:
    """How well ages fit: −κ (ln(1 + age) − τ)², so that "just now" is told finely and "long ago" coarsely.

    Args:
        ages: int64 [B, S].
        wanted: [B, R], τ, the logarithm of the age that a head asks for.
        precision: [B, R], κ, non-negative; 0 asks for none.

    Returns:
        [B, R, S], at most 0.
    """
    logarithms = torch.log1p(ages.to(wanted.dtype)).unsqueeze(1)
    return -precision.unsqueeze(2) * (logarithms - wanted.unsqueeze(2)).square()


def displace(slots: Slots, share: Tensor, levels: Levels, ratio: int) -> tuple[Slots, Levels]:
    """Average what is about to be overwritten in the short memory into the long one.

    Args:
        slots: of both memories; the short one is first.
        share: [B, N], the one short slot that will be overwritten.
        levels: how many words were displaced before.
        ratio: words that share a long slot.
    """
    short = share.shape[1]
    long = slots.memory.shape[1] - short
    filled = (share * (slots.ages[:, :short] < NEVER)).sum(1) > 0
    here = one_slot(levels.displaced // ratio % long, long).to(share.dtype) * filled.unsqueeze(1)  # [B, L]
    # 1 for the first of a group, which replaces what was there
    part = here / (levels.displaced % ratio + 1).unsqueeze(1)
    word = torch.einsum("bn,bnw->bw", share, slots.memory[:, :short])
    strength = (share * slots.strengths[:, :short]).sum(1, keepdim=True)
    age = (share.to(torch.int64) * slots.ages[:, :short]).sum(1, keepdim=True)
    memory = torch.lerp(slots.memory[:, short:], word.unsqueeze(1).expand(-1, long, -1), part.unsqueeze(2))
    strengths = torch.lerp(slots.strengths[:, short:], strength.expand(-1, long), part)
    ages = torch.where(here > 0, age, slots.ages[:, short:])
    after = Slots(
        torch.cat([slots.memory[:, :short], memory], 1),
        torch.cat([slots.strengths[:, :short], strengths], 1),
        torch.cat([slots.ages[:, :short], ages], 1),
    )
    return after, Levels(levels.displaced + filled)


def link(graph: Graph, share: Tensor) -> Tensor:
    """Edges from what was in mind to what is written, [B, S, S]; those of what was overwritten go.

    Args:
        graph: before.
        share: [B, S], what is written.
    """
    kept = (1 - share).unsqueeze(2) * (1 - share).unsqueeze(1) * graph.links
    return kept + graph.in_mind.unsqueeze(2) * share.unsqueeze(1)


def follow(weights: Tensor, links: Tensor, modes: Tensor) -> Tensor:
    """What is read where a head follows edges: π₁ w + π₂ w L + π₃ w Lᵀ.

    Args:
        weights: [B, R, S], found by score.
        links: [B, S, S]; what leaves a slot counts as at most 1.
        modes: [B, R, 3], π: stay, ahead, back; sum to 1.

    Returns:
        [B, R, S]; sums to at most 1.
    """
    ahead = links / links.sum(2, keepdim=True).clamp(min=1)
    back = links.transpose(1, 2) / links.sum(1).unsqueeze(2).clamp(min=1)
    stay, on, off = modes.unsqueeze(3).unbind(2)
    return stay * weights + on * (weights @ ahead) + off * (weights @ back)
