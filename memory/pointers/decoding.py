"""Answers out of a model that points: greedy, or by beam search among the answers that the rules allow.

Legend: B batch, N points, T steps, W beams of a set.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lukasa.memory.pointers.pointer import Encoded, Pointer
from lukasa.memory.pointers.rules import END, Rules


class Decoded(NamedTuple):
    """Answers to a batch of sets."""

    answers: Tensor  # int64 [B, T], the points in the order of the answer; -1 after them
    lengths: Tensor  # int64 [B], pointers of each
    surprise: Tensor  # [B], nats of each whole answer, under the masks of the rules
    attention: Tensor  # [B, T, N], how much each step looked at each point; 0 after the answer


@torch.no_grad()
def decode(
    model: Pointer, points: Tensor, sizes: Tensor, rules: Rules, limits: Tensor, *, beams: int = 1, wipe: str = ""
) -> Decoded:
    """The likeliest answers that a beam search finds; greedy with one beam.

    Each beam is an answer so far that the rules allow. One that has ended stays, with the surprise it has.

    Args:
        model: trained.
        points: [B, N, F].
        sizes: int64 [B].
        rules: what an answer may be.
        limits: int64 [B], pointers after which an answer has to end.
        beams: answers kept at each step (W).
        wipe: "keys" has nothing known of the points where one is chosen, "summary" of the set where the decoder begins.

    Raises:
        ValueError: ``beams`` is less than 1, or a set is too large for the model.
    """
    if beams < 1:
        raise ValueError(f"beams is {beams}: expected at least 1")
    encoded = wiped(model.encode(points, sizes), wipe)
    search = _Search(model, encoded, rules, limits, beams)
    while not search.ended:
        search.step()
    return search.best()


def wiped(encoded: Encoded, part: str) -> Encoded:
    """What a decoder looks at, without a part of it.

    Raises:
        ValueError: there is no such part.
    """
    if part == "keys":
        return encoded._replace(keys=torch.zeros_like(encoded.keys), states=torch.zeros_like(encoded.states))
    if part == "summary":
        zeros = torch.zeros_like(encoded.hidden)
        return encoded._replace(hidden=zeros, cell=zeros)
    if part:
        raise ValueError(f"a set has no part {part!r}: expected keys or summary")
    return encoded


class _Search:
    """The beams of a batch, step by step; those of a set lie beside each other."""

    def __init__(self, model: Pointer, encoded: Encoded, rules: Rules, limits: Tensor, beams: int):
        self.model, self.rules, self.beams = model, rules, beams
        self.batch, self.most = encoded.points.shape[:2]
        self.encoded = encoded.repeated(beams)
        self.limits = limits.to(encoded.points.device).repeat_interleave(beams)
        device, rows = encoded.points.device, self.batch * beams
        self.state = model.begin(self.encoded)
        self.used = torch.zeros(rows, self.most, dtype=torch.bool, device=device)
        self.done = torch.zeros(rows, dtype=torch.bool, device=device)
        # Before the first step all beams of a set are the same empty answer: all but one count for nothing.
        self.total = torch.full((self.batch, beams), -torch.inf, dtype=encoded.points.dtype, device=device)
        self.total[:, 0] = 0.0
        self.total = self.total.flatten()
        self.chosen: Tensor | None = None
        self.choices = torch.zeros(rows, 0, dtype=torch.int64, device=device)
        self.attention = torch.zeros(rows, 0, self.most, dtype=encoded.points.dtype, device=device)

    @property
    def ended(self) -> bool:
        return bool((self.done | self.total.isneginf()).all())

    def step(self) -> None:
        """Every way on from every beam; the best are kept."""
        taken = self.model.step(self.encoded, self.state, self.chosen)
        allowed = self.rules.allowed(self.encoded.sizes, self.used, self.choices.shape[1], self.limits)
        gains = torch.log_softmax(taken.scores.masked_fill(~allowed, -torch.inf), -1)  # [B W, 1 + N]
        stays = torch.full_like(gains, -torch.inf)
        stays[:, END] = 0.0  # an answer that has ended ends again, at no cost
        gains = torch.where(self.done[:, None], stays, gains)
        total = (self.total[:, None] + gains).view(self.batch, -1)
        best = total.sort(dim=1, descending=True, stable=True)
        width = 1 + self.most
        places = best.indices[:, : self.beams]
        starts = torch.arange(self.batch, device=places.device)[:, None] * self.beams
        rows = (starts + places // width).flatten()
        self.chosen = (places % width).flatten()
        self.total = best.values[:, : self.beams].flatten()
        self._follow(rows, taken.attention, taken.state)

    def _follow(self, rows: Tensor, attention: Tensor, state: tuple[Tensor, ...]) -> None:
        """Go on from the beams of these rows, with what they chose."""
        assert self.chosen is not None
        self.state = tuple(one[rows] for one in state)
        shown = torch.where(self.done[rows][:, None], 0.0, attention[rows])
        self.attention = torch.cat([self.attention[rows], shown[:, None]], 1)
        self.choices = torch.cat([self.choices[rows], self.chosen[:, None]], 1)
        self.done = self.done[rows] | (self.chosen == END)
        everyone = torch.arange(1 + self.most, device=rows.device)
        self.used = self.used[rows] | (self.chosen[:, None] == everyone)[:, 1:]

    def best(self) -> Decoded:
        """The first beam of each set is its likeliest."""
        first = torch.arange(self.batch, device=self.total.device) * self.beams
        answers = self.choices[first] - 1
        lengths = (answers >= 0).sum(1)
        steps = int(lengths.max().clamp(min=1)) if len(lengths) else 0
        return Decoded(answers[:, :steps], lengths, -self.total[first], self.attention[first, :steps])
