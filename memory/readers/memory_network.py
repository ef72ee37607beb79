"""A memory network that is taught which sentences support an answer (Weston, Chopra and Bordes 2015).

Legend: B batch, S sentences, L words of a sentence, F supporting sentences, h those chosen before a hop, H hops, D size
of an embedding.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.readers.distinct import distinct_sentences
from lukasa.memory.readers.encodings import bag_of_words
from lukasa.memory.readers.ranking import Candidates, answer_loss, highest, ranking_loss
from lukasa.memory.readers.reader import Asked, Reader, Reading, Sizes, check_asked, in_story

SPREAD = 0.1
"""Standard deviation of the embeddings at the beginning."""


class MemoryNetwork(Reader):
    """Hops that choose one sentence each, by the highest score, and an answer scored from the question and these.

    Each score is Φ_x(x)ᵀ Uᵀ U Φ_y(y) (section 3.1, eq. 5), with U_O for sentences and U_R for answers. A word has three
    rows of U: one in the question, one in sentences chosen before, one in what is scored. With write times, sentences
    are compared two by two, s(x, y, y') = Φ_x(x)ᵀ Uᵀ U (Φ_y(y) − Φ_y(y') + Φ_t(x, y, y')) (3.3). Training has the true
    sentences at every hop, and lowers the margin ranking loss over all others (eq. 6 to 8).

    Args:
        sizes: of the questions; they must name the supporting sentences.
        size: numbers of an embedding (D).
        hops: the most sentences that are chosen; no more than the most that support any question are (H).
        margin: by how much the right sentence or answer has to score higher (γ).
        write_time: whether sentences are compared with regard to when they were written (3.3).
        adaptive: whether a hop may choose to stop, so that a question takes as many as it needs (Weston et al. 2015b,
            section 4, "adaptive memory").
        ngrams: the longest runs of words that are features beside single words; 3 in Weston et al. 2015b.
        buckets: rows of the embeddings that longer runs share, by a hash.
        nonlinear: embeddings E(x) = tanh(W tanh(U Φ(x))), as in Weston et al. 2015b.
        last_apart: whether a word has a fourth row, in the sentence that was chosen last. With the paper's three, two
            sentences are one bag: "Mary went to the hall", "then she went to the garden" may end in either place.
    """

    answer_words: Tensor

    def __init__(
        self,
        sizes: Sizes,
        *,
        size: int = 100,
        hops: int = 2,
        margin: float = 0.1,
        write_time: bool = True,
        adaptive: bool = False,
        ngrams: int = 1,
        buckets: int = 5000,
        nonlinear: bool = False,
        last_apart: bool = False,
    ):
        super().__init__(sizes)
        _check_supports(sizes, hops)
        if margin < 0:
            raise ValueError(f"margin is {margin}: expected 0 or more, which the right one scores higher")
        self.hops = min(hops, sizes.supports + adaptive)  # one more, in which to stop
        self.margin, self.ngrams = margin, ngrams
        self.buckets = buckets if ngrams > 1 else 0
        rows = sizes.words + self.buckets
        # U_O and U_R, each with rows of the question, of sentences chosen before, of what is scored, and of the last.
        kinds = range(3 + last_apart)
        self.before = (1, 3) if last_apart else (1,)  # numbers of the rows of sentences chosen before, and of the last
        self.choosing = nn.ParameterList(nn.Parameter(torch.randn(rows, size) * SPREAD) for _ in kinds)
        self.answering = nn.ParameterList(nn.Parameter(torch.randn(rows, size) * SPREAD) for _ in kinds)
        self.times = nn.Parameter(torch.randn(3, size) * SPREAD) if write_time else None
        self.stop = nn.Parameter(torch.randn(size) * SPREAD) if adaptive else None
        layers = [nn.Linear(size, size, bias=False) for _ in range(2 if nonlinear else 0)]
        self.choosing_layer, self.answering_layer = layers or (None, None)
        answers = features(sizes.answer_words, sizes.words, self.ngrams, self.buckets)
        self.register_buffer("answer_words", answers, persistent=False)

    def forward(self, asked: Asked) -> Reading:
        """Answer questions with the sentences that score highest."""
        check_asked(self.sizes, asked)
        known = self._embed(asked)
        chosen = []
        for _ in range(self.hops):
            before = torch.stack(chosen, 1) if chosen else known.none
            candidates = self._candidates(known, before)
            best = highest(candidates)
            if chosen and self.stop is not None:
                best = best.masked_fill(chosen[-1] < 0, -1)
            chosen.append(best.masked_fill(best >= asked.story.shape[1], -1))
        return self._reading(asked, known, torch.stack(chosen, 1))

    def losses(self, asked: Asked) -> tuple[Tensor, Reading]:
        """The margin ranking losses [B] of hops and answer; in training the reading is of the true sentences.

        Raises:
            ValueError: in training, a question names no supporting sentence, or more than there are hops.
        """
        check_asked(self.sizes, asked)
        if self.training:
            self.check_taught(asked.support, asked.sentences)
        support = asked.support[:, : self.hops]
        known = self._embed(asked)
        losses = known.sentences.new_zeros(len(asked.story))
        for hop in range(self.hops):
            target = _column(support, hop)
            taught = target >= 0
            if self.stop is not None:  # once there are no more, the target is to stop
                first = torch.ones_like(taught) if hop == 0 else _column(support, hop - 1) >= 0
                target = torch.where(first & ~taught, asked.story.shape[1], target)
                taught = first
            ranked = ranking_loss(self._candidates(known, support[:, :hop]), target.clamp(min=0), self.margin)
            losses = losses + torch.where(taught, ranked, 0.0)
        taught = self._reading(asked, known, support)
        losses = losses + answer_loss(taught.scores, asked.answers[:, 0], self.margin)
        return losses, taught if self.training else self(asked)

    def check_taught(self, support: Tensor, sentences: Tensor) -> None:
        """Refuse supporting sentences that it cannot learn from.

        Args:
            support: int64 [B, F], as of ``Asked``.
            sentences: int64 [B], likewise.

        Raises:
            ValueError: a question names none, or more than there are hops.
        """
        if (support[:, self.hops :] >= 0).any():
            most = int((support >= 0).sum(1).max())
            raise ValueError(
                f"a question has {most} supporting sentences, memory_network has {self.hops} hops: "
                f"set the option hops to {most}"
            )
        silent = ~(support >= 0).any(1) & (sentences > 0)
        if self.stop is None and silent.any():
            raise ValueError(
                "a question names no supporting sentence, which memory_network learns from: leave such questions out, "
                "keep longer stories, or set adaptive, where a question may need none"
            )

    def _embed(self, asked: Asked) -> _Known:
        sentences, places = distinct_sentences(asked.story)
        words = features(sentences, self.sizes.words, self.ngrams, self.buckets)
        question = features(asked.question, self.sizes.words, self.ngrams, self.buckets)

        def told(table: Tensor) -> Tensor:
            return F.embedding(places, bag_of_words(words, table))

        return _Known(
            _layered(told(self.choosing[2]), self.choosing_layer),
            [told(self.choosing[kind]) for kind in self.before],
            [told(self.answering[kind]) for kind in self.before],
            bag_of_words(question, self.choosing[0]),
            bag_of_words(question, self.answering[0]),
            in_story(asked) & asked.story.any(2),
            asked.support.new_zeros(len(places), 0),
        )

    def _candidates(self, known: _Known, before: Tensor) -> Candidates:
        """What the next hop chooses from after the sentences at ``before``, int64 [B, h], -1 for none."""
        query = _layered(known.question + _sum_at(known.chosen, before), self.choosing_layer)
        scores = (known.sentences @ query.unsqueeze(2)).squeeze(2)
        place = torch.full_like(known.told[:, :1].sum(1), scores.shape[1])
        if before.shape[1]:
            place = torch.where(before[:, -1] >= 0, before[:, -1], place)
        times = None if self.times is None else query @ self.times.T
        return Candidates(scores, known.told, place, times, None if self.stop is None else query @ self.stop)

    def _reading(self, asked: Asked, known: _Known, chosen: Tensor) -> Reading:
        query = _layered(known.question_answering + _sum_at(known.answering, chosen), self.answering_layer)
        answers = _layered(bag_of_words(self.answer_words, self.answering[2]), self.answering_layer)
        attention = query.new_zeros(len(query), self.hops, asked.story.shape[1] + 1)
        places = F.pad(chosen, (0, self.hops - chosen.shape[1]), value=-1)
        attention.scatter_(2, torch.where(places >= 0, places, asked.story.shape[1]).unsqueeze(2), 1.0)
        return Reading(query @ answers.T, attention[:, :, :-1])


class _Known(NamedTuple):
    sentences: Tensor  # [B, S, D], as what is scored by a hop
    chosen: list[Tensor]  # [B, S, D], as a sentence chosen before; and as the one chosen last, if that is another
    answering: list[Tensor]  # the same for the answer
    question: Tensor  # [B, D]
    question_answering: Tensor  # [B, D]
    told: Tensor  # bool [B, S]
    none: Tensor  # int64 [B, 0]


def features(words: Tensor, known: int, longest: int = 1, buckets: int = 0) -> Tensor:
    """Words, and runs of up to ``longest`` of them by a hash; Weston et al. 2015b, section 4.

    Args:
        words: int64 [..., L], 0 for none, after the words.
        known: numbers that a word may have.
        longest: the most words of a run.
        buckets: numbers that a run may have, after those of the words.

    Returns:
        int64 [..., at least L], 0 for none.
    """
    found, number = [words], words
    for extra in range(1, min(longest, words.shape[-1])):
        number = (number[..., :-1] * _PRIME + words[..., extra:]) % max(1, buckets)
        found.append(torch.where(words[..., extra:] > 0, known + number, 0))
    return torch.cat(found, -1)


_PRIME = 1_000_003


def _column(places: Tensor, number: int) -> Tensor:
    """One column of [B, F], -1 where there is none."""
    return places[:, number] if number < places.shape[1] else torch.full_like(places[:, :1].sum(1), -1)


def _sum_at(vectors: list[Tensor], places: Tensor) -> Tensor:
    """The sum [B, D] of the sentences at the places [B, h] that are not -1, which come first.

    Args:
        vectors: [B, S, D] of each; and, if the last of them is another, [B, S, D] of that.
        places: of the sentences.
    """
    if not vectors[0].shape[1]:
        return vectors[0].sum(1)
    there = places >= 0
    last = there & (torch.arange(places.shape[1], device=places.device) == there.sum(1, keepdim=True) - 1)
    index = places.clamp(min=0).unsqueeze(2).expand(-1, -1, vectors[0].shape[2])
    kinds = (there,) if len(vectors) == 1 else (there & ~last, last)
    return sum(
        ((one.gather(1, index) * which.unsqueeze(2)).sum(1) for one, which in zip(vectors, kinds, strict=True)),
        start=vectors[0].new_zeros(()),
    )


def _layered(vectors: Tensor, layer: nn.Linear | None) -> Tensor:
    return vectors if layer is None else torch.tanh(layer(torch.tanh(vectors)))


def _check_supports(sizes: Sizes, hops: int) -> None:
    if not sizes.supports:
        raise ValueError(
            "these questions name no supporting sentences, which memory_network learns from: take another reader"
        )
    if sizes.supports > hops:
        raise ValueError(
            f"a question has {sizes.supports} supporting sentences, memory_network has {hops} hops: "
            f"set the option hops to {sizes.supports}"
        )
