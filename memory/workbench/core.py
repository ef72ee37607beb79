"""The workbench: one small core whose mechanisms of memory are options, so that one can be changed at a time.

Legend: B batch, D input width, K output width, R read heads, N short slots, S all slots, W word size.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lukasa.memory.addressing import NORM_EPSILON
from lukasa.memory.collecting import add_choice
from lukasa.memory.controlled import Controlled, Shown
from lukasa.memory.controllers import WINDOW, Kind, NoState
from lukasa.memory.workbench.choosing import DRAWN, Addressing, choose
from lukasa.memory.workbench.forgetting import Forgetting, fade
from lukasa.memory.workbench.organising import (
    Graph,
    Levels,
    Organisation,
    Slots,
    displace,
    follow,
    link,
    time_scores,
)
from lukasa.memory.workbench.writing import NEVER, Writing, ages_after, place

FAINTEST = 1e-6
"""A word of no more strength cannot be found."""


class WorkbenchState(NamedTuple):
    """Everything a workbench carries from one step to the next."""

    memory: Tensor  # [B, S, W]
    strengths: Tensor  # [B, S], in [0, 1]; 0 where nothing was written
    ages: Tensor  # int64 [B, S], steps since the last writing
    organisation: Any  # Graph, Levels, or NoState
    reads: Tensor  # [B, R, W]
    controller: Any


class Told(NamedTuple):
    """What the controller tells the memory; a part that its options do not need has no numbers."""

    keys: Tensor  # [B, R, W]
    key_strengths: Tensor  # [B, R], positive
    word: Tensor  # [B, W]
    write_gate: Tensor  # [B, 1]
    seek: Tensor  # [B, W + 2], where a gated write looks: a key, its strength, and the gate of the oldest slot
    drop: Tensor  # [B, W + 2], what is to be forgotten: a key, its strength, and how much of what it finds
    ages: Tensor  # [B, R]
    age_precisions: Tensor  # [B, R], positive
    modes: Tensor  # [B, R, 3]


class Workbench(Controlled):
    """A memory of words with strengths and ages; how it is addressed, written, organised and forgotten is an option.

    A step forgets, writes one word, and reads by content. Four files say how, one for each option; the defaults are
    the plainest of all.

    Args:
        input_size: D.
        output_size: K.
        slots: number of slots (N).
        word_size: numbers in each slot (W).
        read_heads: heads that read (R).
        addressing: how sharply a head reads.
        writing: which slot a new word goes to.
        organisation: what the memory knows of its slots beside their words.
        forgetting: how words fade.
        top: slots that "top_k" reads.
        temperature: softness of the gradient of "gumbel": divides scores and noise before its softmax.
        similarity: from which on "most_similar" takes two words for the same: the cosine of what sets each apart from
            the mean of all.
        long_slots: slots of the long memory of "two_levels".
        compression: words that share one slot of the long memory.
        half_life: steps in which "decay" halves a strength.
        capacity: words of the full strength that "interference" leaves room for.
        controller: kind of network that reads the input and steers the heads.
        controller_size: units in each layer of the controller.
        controller_layers: number of layers of the controller.
        controller_window: steps that controller "attention" looks back; the others have no window.

    Raises:
        ValueError: the mechanisms make no sense together, or a number cannot be used.
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        slots: int = 32,
        word_size: int = 16,
        read_heads: int = 1,
        addressing: Addressing = "soft",
        writing: Writing = "oldest",
        organisation: Organisation = "flat",
        forgetting: Forgetting = "none",
        top: int = 4,
        temperature: float = 1.0,
        similarity: float = 0.7,
        long_slots: int = 16,
        compression: int = 4,
        half_life: float = 100.0,
        capacity: float = 16.0,
        controller: Kind = "lstm",
        controller_size: int = 64,
        controller_layers: int = 1,
        controller_window: int = WINDOW,
    ):
        _check(organisation, writing, top, slots, temperature, similarity, half_life, capacity)
        gated, learned, timed, graph = (
            writing == "gated",
            forgetting == "learned",
            read_heads * (organisation == "by_time"),
            read_heads * (organisation == "graph"),
        )
        self.widths = [read_heads * word_size, read_heads, word_size, 1, gated * (word_size + 2)]
        self.widths += [learned * (word_size + 2), timed, timed, 3 * graph]
        super().__init__(
            input_size,
            output_size,
            controller=controller,
            controller_size=controller_size,
            controller_layers=controller_layers,
            controller_window=controller_window,
            read_size=read_heads * word_size,
            interface_size=sum(self.widths),
        )
        self.slots, self.word_size, self.read_heads = slots, word_size, read_heads
        self.addressing: Addressing = addressing
        self.writing: Writing = writing
        self.organisation: Organisation = organisation
        self.forgetting: Forgetting = forgetting
        self.top, self.temperature, self.similarity = top, temperature, similarity
        self.compression, self.half_life, self.capacity = compression, half_life, capacity
        self.all_slots = slots + (long_slots if organisation == "two_levels" else 0)
        self.chooses = addressing in DRAWN

    def initial_state(self, batch_size: int) -> WorkbenchState:
        """Nothing was written, and the controller is at rest."""
        zeros = self.interface.weight.new_zeros
        beside = {
            "graph": lambda: Graph(zeros(batch_size, self.slots, self.slots), zeros(batch_size, self.slots)),
            "two_levels": lambda: Levels(zeros(batch_size, dtype=torch.int64)),
        }.get(self.organisation, NoState)
        return WorkbenchState(
            memory=zeros(batch_size, self.all_slots, self.word_size),
            strengths=zeros(batch_size, self.all_slots),
            ages=zeros(batch_size, self.all_slots, dtype=torch.int64) + NEVER,
            organisation=beside(),
            reads=zeros(batch_size, self.read_heads, self.word_size),
            controller=self.controller.initial_state(batch_size),
        )

    def parse(self, emitted: Tensor) -> Told:
        """Split and squash what the controller emits, [B, sum of widths]."""
        keys, strengths, word, gate, seek, drop, ages, precisions, modes = torch.split_with_sizes(
            emitted, self.widths, 1
        )
        return Told(
            keys=keys.unflatten(1, (self.read_heads, -1)),
            key_strengths=1 + F.softplus(strengths),
            word=word,
            write_gate=torch.sigmoid(gate),
            seek=seek,
            drop=drop,
            ages=F.softplus(ages),
            age_precisions=F.softplus(precisions),
            modes=torch.softmax(modes.unflatten(1, (self.read_heads, 3)), 2) if modes.shape[1] else modes,
        )

    def step(self, state: WorkbenchState, emitted: Tensor) -> tuple[WorkbenchState, Shown]:
        """Forget and write, then read."""
        told = self.parse(emitted)
        ages = torch.where(state.ages < NEVER, state.ages + 1, NEVER)
        slots, beside, share = self._write(Slots(state.memory, state.strengths, ages), state.organisation, told)
        weights = self._read_weights(slots, told)
        if isinstance(beside, Graph):
            links = link(beside, share)
            weights = follow(weights, links, told.modes)
            beside = Graph(links, (weights.mean(1) + share) / 2)
        reads = weights @ (slots.strengths.unsqueeze(2) * slots.memory)

        def shown() -> dict[str, Tensor]:
            named = {"read": weights, "write": share.unsqueeze(1), "memory": slots.memory, "strengths": slots.strengths}
            return named | {"write_gate": told.write_gate}

        return WorkbenchState(*slots, beside, reads, state.controller), shown

    def _write(self, slots: Slots, beside: Any, told: Told) -> tuple[Slots, Any, Tensor]:
        """The slots after forgetting and writing, what is beside them, and the share of each slot that was written."""
        short = Slots(*(part[:, : self.slots] for part in slots))
        sought = self._content(slots, told.seek) if self.writing == "gated" else None
        share, strength = place(
            self.writing, short.ages, likeness(told.word, short), sought, told.write_gate, self.similarity
        )
        if isinstance(beside, Levels):
            slots, beside = displace(slots, share, beside, self.compression)
        share = F.pad(share, (0, self.all_slots - self.slots))
        written = (share * strength).sum(1, keepdim=True)
        dropped = self._dropped(slots, told) if self.forgetting == "learned" else None
        kept = fade(self.forgetting, slots.strengths, written, dropped, self.half_life, self.capacity)
        memory = torch.lerp(slots.memory, told.word.unsqueeze(1).expand_as(slots.memory), share.unsqueeze(2))
        strengths = torch.lerp(kept, strength.expand_as(kept), share)
        return Slots(memory, strengths, ages_after(slots.ages, share)), beside, share

    def _content(self, slots: Slots, sought: Tensor) -> tuple[Tensor, Tensor]:
        """Where a key with its strength is found, [B, S], and the gate that came with them, [B, 1]; of [B, W + 2]."""
        key, strength, gate = sought.split([self.word_size, 1, 1], 1)
        scores = (1 + F.softplus(strength)).unsqueeze(2) * _cosine(key.unsqueeze(1), slots.memory)
        return choose(_of_strength(scores, slots.strengths), "soft")[0].squeeze(1), torch.sigmoid(gate)

    def _dropped(self, slots: Slots, told: Told) -> Tensor:
        """How much of each slot the controller asks to be forgotten, [B, S]."""
        found, gate = self._content(slots, told.drop)
        return gate * found

    def _read_weights(self, slots: Slots, told: Told) -> Tensor:
        """Where the heads read by content, and by time if they may, [B, R, S]."""
        scores = told.key_strengths.unsqueeze(2) * _cosine(told.keys, slots.memory)
        if self.organisation == "by_time":
            scores = scores + time_scores(slots.ages, told.ages, told.age_precisions)
        scores = _of_strength(scores, slots.strengths)
        settings: dict[str, Any] = {"top": self.top, "temperature": self.temperature, "draw": self.training}
        weights, chosen = choose(scores, self.addressing, **settings)
        if chosen is not None:
            add_choice(self, chosen)
        return weights


def _cosine(keys: Tensor, memory: Tensor) -> Tensor:
    """Of keys [B, R, W] and words [B, S, W]: [B, R, S]."""
    scales = [(part.square().sum(-1) + NORM_EPSILON).rsqrt() for part in (keys, memory)]
    return keys @ memory.transpose(1, 2) * scales[0].unsqueeze(2) * scales[1].unsqueeze(1)


def likeness(word: Tensor, slots: Slots) -> Tensor:
    """Cosine of what sets a new word and each stored one apart from the mean of all of them, the new one included.

    Words that a controller writes have much in common, most of all before it is trained: as they are, all are alike.

    Args:
        word: [B, W].
        slots: with N slots.

    Returns:
        [B, N]; 1 for a word that is stored, unless it is the only one; 0 where nothing was written.
    """
    filled = (slots.ages < NEVER).to(word.dtype).unsqueeze(2)  # [B, N, 1]
    mean = (word.unsqueeze(1) + (filled * slots.memory).sum(1, keepdim=True)) / (1 + filled.sum(1, keepdim=True))
    return _cosine(word.unsqueeze(1) - mean, filled * (slots.memory - mean)).squeeze(1)


def _of_strength(scores: Tensor, strengths: Tensor) -> Tensor:
    """Scores [B, R, S] of words with strengths [B, S]; −∞ where a word is too faint."""
    strengths = strengths.unsqueeze(1)
    return (scores + strengths.clamp(min=FAINTEST).log()).masked_fill(strengths <= FAINTEST, -math.inf)


def _check(
    organisation: Organisation,
    writing: Writing,
    top: int,
    slots: int,
    temperature: float,
    similarity: float,
    half_life: float,
    capacity: float,
) -> None:
    """Refuse mechanisms that make no sense together, and numbers that cannot be used."""
    where = "option {!r} of core 'workbench' is {!r}: "
    if organisation == "two_levels" and writing != "oldest":
        why = {
            "append": "append-only writing never displaces a word",
            "most_similar": "a word that replaces one like it displaces nothing that should be kept",
            "gated": "a gated write may be spread over slots, none of which is displaced whole",
        }[writing]
        raise ValueError(
            where.format("writing", writing) + f"with organisation 'two_levels', whose long memory holds what is "
            f"displaced from the short one, expected 'oldest', as {why}"
        )
    if top > slots:
        raise ValueError(where.format("top", top) + f"expected at most {slots} (slots)")
    for name, value in (("temperature", temperature), ("half_life", half_life)):
        if not 0 < value < math.inf:
            raise ValueError(where.format(name, value) + "expected a number above 0")
    if not -1 <= similarity <= 1:
        raise ValueError(where.format("similarity", similarity) + "expected a cosine, between -1 and 1")
    if not capacity >= 1:
        raise ValueError(where.format("capacity", capacity) + "expected at least 1 word")
