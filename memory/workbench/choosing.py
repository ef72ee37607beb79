"""Addressing: from the scores of the slots to how much a head reads of each.

Legend: B batch, R read heads, S slots.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import Tensor

Addressing: TypeAlias = Literal["soft", "top_k", "sparsemax", "straight_through", "gumbel", "reinforce"]
DRAWN = ("gumbel", "reinforce")
"""Those that draw at random while they are trained."""


def choose(
    scores: Tensor, kind: Addressing, *, top: int = 4, temperature: float = 1.0, draw: bool = False
) -> tuple[Tensor, Tensor | None]:
    """How much of each slot is read.

    ==================== ==============================================================================================
    ``soft``             softmax, over all slots
    ``top_k``            softmax, over the ``top`` slots of the highest scores (Rae et al. 2016)
    ``sparsemax``        the nearest distribution to the scores, most of it 0 (Martins & Astudillo 2016)
    ``straight_through`` the slot of the highest score, with the gradient of the softmax (Bengio et al. 2013)
    ``gumbel``           one slot drawn from the softmax, with the gradient of a softmax of the scores and the noise
                         that drew it (Jang et al. 2017)
    ``reinforce``        one slot drawn from the softmax; no gradient passes but by the probability of what was drawn,
                         which is judged by what came of it (Williams 1992)
    ==================== ==============================================================================================

    Args:
        scores: [B, R, S]; −∞ where a slot cannot be read.
        kind: one of the above.
        top: slots of ``top_k``.
        temperature: of ``gumbel``'s softmax, by which its gradient passes.
        draw: whether to draw at random; where not, the slot of the highest score is taken.

    Returns:
        Weights [B, R, S], which sum to 1, or to 0 where no slot can be read; and, of what was drawn by
        ``reinforce``, the logarithm of its probability, [B], summed over heads.
    """
    readable = scores > -math.inf
    some = readable.any(-1, keepdim=True)
    scores = scores.masked_fill(~some, 0)
    if kind == "top_k":
        # The lowest of the best is the same for ties, all of which are then read.
        scores = scores.masked_fill(scores < scores.topk(min(top, scores.shape[-1])).values[..., -1:], -math.inf)
    if kind == "sparsemax":
        return sparsemax(scores) * some, None
    if kind in ("soft", "top_k"):
        return torch.softmax(scores, -1) * some, None
    if kind == "reinforce":
        return _drawn(scores, draw, some)
    if kind == "gumbel" and draw:
        waited = torch.empty_like(scores).exponential_().clamp(min=torch.finfo(scores.dtype).tiny)
        scores = (scores - waited.log()) / temperature
    soft = torch.softmax(scores, -1)
    return (_highest(scores) + (soft - soft.detach())) * some, None


def sparsemax(scores: Tensor) -> Tensor:
    """The point of the simplex nearest to the scores; Martins & Astudillo 2016, algorithm 1.

    Args:
        scores: [..., S]; −∞ gets the weight 0.

    Returns:
        [..., S]; non-negative, sums to 1.
    """
    # Nothing changes where all scores move alike; and no score more than 1 below the highest has a weight, so that a
    # finite one takes the place of −∞.
    scores = (scores - scores.detach().amax(-1, keepdim=True)).clamp(min=-2)
    ordered = scores.sort(-1, descending=True).values
    count = torch.arange(1, scores.shape[-1] + 1, device=scores.device, dtype=scores.dtype)
    in_support = 1 + count * ordered > ordered.cumsum(-1)
    threshold = (torch.where(in_support, ordered, 0).sum(-1, keepdim=True) - 1) / in_support.sum(-1, keepdim=True)
    return (scores - threshold).clamp(min=0)


def _drawn(scores: Tensor, draw: bool, some: Tensor) -> tuple[Tensor, Tensor | None]:
    if not draw:
        return _highest(scores) * some, None
    probabilities = torch.softmax(scores, -1)
    flat = probabilities.detach().flatten(0, -2)
    slots = torch.multinomial(flat, 1).view(*scores.shape[:-1], 1)
    found = torch.log_softmax(scores, -1).gather(-1, slots) * some
    weights = torch.zeros_like(scores).scatter(-1, slots, 1.0)
    return weights * some, found.sum((1, 2))


def _highest(scores: Tensor) -> Tensor:
    return one_slot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)


def one_slot(slot: Tensor, slots: int) -> Tensor:
    """True at one slot, [...], of S: bool [..., S]; unlike ``one_hot``, ``torch.func`` can transform it."""
    return slot.unsqueeze(-1) == torch.arange(slots, device=slot.device)
