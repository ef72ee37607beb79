"""Choosing the sentence with the highest score, and the losses that teach it (Weston, Chopra and Bordes 2015).

Legend: B batch, S sentences, K pairs of candidates, A answers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class Candidates(NamedTuple):
    """What a hop chooses from."""

    scores: Tensor  # [B, S], Φ_x(x)ᵀ Uᵀ U Φ_y(y)
    inside: Tensor  # bool [B, S], which of them there are
    place: Tensor  # int64 [B], when x was written: where the sentence chosen last is; S for the question
    times: Tensor | None = None  # [B, 3], what each feature of Φ_t adds
    stop: Tensor | None = None  # [B], the score of choosing none


def preference(candidates: Candidates, first: Tensor, second: Tensor) -> Tensor:
    """How much one candidate is preferred to another, s(x, y, y'): [B, K]; section 3.3, or 3.1 without write times.

    Φ_t has three features: whether x is older than y, x older than y', and y older than y'. To stop has no time.

    Args:
        candidates: of a hop.
        first: int64 [B, K], places of y; S is to stop.
        second: int64 [B, K], places of y'.
    """
    scores, times = candidates.scores, candidates.times
    count = scores.shape[1]
    if candidates.stop is not None:
        scores = torch.cat([scores, candidates.stop[:, None]], 1)
    better = scores.gather(1, first) - scores.gather(1, second)
    if times is None:
        return better
    place = candidates.place[:, None]
    older = torch.stack(
        [
            (place < first) & (first < count),
            (place < second) & (second < count),
            (first < second) & (second < count),
        ],
        2,
    )  # [B, K, 3]
    return better + (older.to(times.dtype) @ times.unsqueeze(2)).squeeze(2)


def ranking_loss(candidates: Candidates, target: Tensor, margin: float) -> Tensor:
    """The margin ranking loss of a hop, summed over all other candidates: [B]; eq. 6 and 7, or section 3.3.

    Args:
        candidates: of the hop.
        target: int64 [B], the place of the true one; S is to stop.
        margin: γ.
    """
    count = candidates.scores.shape[1]
    others = torch.arange(count + (candidates.stop is not None), device=target.device).expand(len(target), -1)
    wrong = F.pad(candidates.inside, (0, others.shape[1] - count), value=True) & (others != target[:, None])
    target = target[:, None].expand_as(others)
    losses = F.relu(margin - preference(candidates, target, others))
    if candidates.times is not None:
        losses = losses + F.relu(margin + preference(candidates, others, target))
    return (losses * wrong).sum(1)


def answer_loss(scores: Tensor, wanted: Tensor, margin: float) -> Tensor:
    """The margin ranking loss of the answer, summed over all others: [B]; eq. 8.

    Args:
        scores: [B, A].
        wanted: int64 [B], the right one; one that is not among them, -1, has no loss.
        margin: γ.
    """
    right = scores.gather(1, wanted.clamp(min=0)[:, None])
    losses = F.relu(margin - right + scores)
    others = torch.arange(scores.shape[1], device=wanted.device) != wanted[:, None]
    return (losses * others).sum(1) * (wanted >= 0)


def highest(candidates: Candidates) -> Tensor:
    """The place of the candidate that is chosen, int64 [B]: S to stop, -1 where there is none; section 3.3.

    With write times the candidates are gone through one by one, and each is compared with the best so far. They are
    taken newest first: Φ_t says nothing of a y that is newer than y', so only an older one can lose by its time. To
    stop comes last.

    Args:
        candidates: of a hop.
    """
    scores, inside, place, times, stop = candidates
    steps = torch.arange(scores.shape[1], device=scores.device)
    worst = (
        torch.full_like(scores[:, 0], -torch.inf) if scores.shape[1] else scores.new_full((len(scores),), -torch.inf)
    )
    best, top = torch.full_like(place, -1), worst
    as_first = as_second = scores
    if times is not None:
        after = place[:, None] < steps  # x is older
        as_first = scores + times[:, :1] * after + times[:, 2:]
        as_second = scores - times[:, 1:2] * after
    for step in reversed(range(scores.shape[1])):
        better = inside[:, step] & ((best < 0) | (as_first[:, step] > top))
        best = torch.where(better, step, best)
        top = torch.where(better, as_second[:, step], top)
    if stop is None:
        return best
    return torch.where((best < 0) | (stop > top), scores.shape[1], best)  # to stop is compared as one more y
