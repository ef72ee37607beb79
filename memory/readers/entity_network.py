"""A recurrent entity network, whose slots keep up with what a story says of each entity (Henaff et al. 2017).

Legend: B batch, S sentences, L words of a sentence, J slots, D size of an embedding, V words, X sentences that differ.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.readers.distinct import distinct_sentences
from lukasa.memory.readers.encodings import AnswerScores, bag_of_words, masked_sum, word_embedding
from lukasa.memory.readers.reader import Asked, Reader, Reading, Sizes, check_asked, in_story

SPREAD = 0.1
"""Standard deviation of the weights at the beginning (appendix A)."""


class EntityNetwork(Reader):
    """Slots with keys w_j and contents h_j, each of which decides for itself whether a sentence changes it.

    A sentence is s = Σ f_i ∘ e_i with learned masks f (section 2.1). Slots are updated by g_j = σ(s·h_j + s·w_j),
    h~_j = φ(U h_j + V w_j + W s), h_j ← h_j + g_j h~_j, and divided by their length (2.2). A question q reads
    p = softmax(q·h), u = Σ p_j h_j and y = R φ(q + H u) (2.3).

    Args:
        sizes: of the questions.
        size: numbers of an embedding and of a slot (D).
        slots: number of slots (J); with keys that are words, as many as those.
        keys: free: learned from random ones; words: the embeddings of ``words``, one slot each (section 3.1).
        words: numbers of the words that are keys.
        activation: the function φ; prelu has a learned slope, which is 1 at the beginning: the identity.
        biases: as in the authors' code and not in the paper, gates have a bias for each slot, candidates one, and prelu
            has a slope for each number.
        masks: what the masks of sentences begin as: ones, so that a sentence is the sum of its words, or drawn as all
            other weights are, so that the places of words differ from the beginning. The authors' code draws them, and
            gives ones to the question's alone; so begun, task 11 of bAbI is learned.
    """

    words: Tensor

    def __init__(
        self,
        sizes: Sizes,
        *,
        size: int = 100,
        slots: int = 20,
        keys: Literal["free", "words"] = "free",
        words: tuple[int, ...] = (),
        activation: Literal["prelu", "relu", "identity"] = "prelu",
        biases: bool = False,
        masks: Literal["ones", "drawn"] = "ones",
    ):
        super().__init__(sizes)
        _check_words(keys, words, sizes)
        self.activation = activation
        self.embedding = word_embedding(sizes, size, SPREAD)
        shape = sizes.length, size
        self.masks = nn.Parameter(torch.randn(shape) * SPREAD if masks == "drawn" else torch.ones(shape))
        self.question_masks = nn.Parameter(torch.ones(shape))
        self.register_buffer("words", torch.tensor(list(words), dtype=torch.int64)[:, None], persistent=False)
        self.keys = None if words else nn.Parameter(torch.randn(slots, size) * SPREAD)
        self.of_slots, self.of_keys, self.of_sentences, self.of_output = (  # U, V, W and H
            nn.Parameter(torch.randn(size, size) * SPREAD) for _ in range(4)
        )
        self.slope = nn.Parameter(torch.ones(size if biases else 1)) if activation == "prelu" else None
        self.gate_bias = nn.Parameter(torch.randn(len(words) or slots) * SPREAD) if biases else None
        self.candidate_bias = nn.Parameter(torch.randn(size) * SPREAD) if biases else None
        self.answer = AnswerScores(sizes, size, bias=False, spread=SPREAD)

    def forward(self, asked: Asked) -> Reading:
        """Answer questions."""
        check_asked(self.sizes, asked)
        words, places = distinct_sentences(asked.story)
        sentences = F.embedding(places, masked_sum(words, self.embedding, self.masks))  # [B, S, D]
        question = masked_sum(asked.question, self.embedding, self.question_masks)
        keys = self.slot_keys()
        told = in_story(asked) & asked.story.any(2)
        slots, gates = self._read(sentences, told, asked.sentences, keys)
        weights = torch.softmax((slots @ question.unsqueeze(2)).squeeze(2), 1)  # [B, J]
        read = (weights.unsqueeze(1) @ slots).squeeze(1)
        scores = self.answer(self.activate(question + read @ self.of_output.T))
        attention = gates @ weights.unsqueeze(2)  # how far the slots that answer were changed by each sentence
        return Reading(scores, attention.transpose(1, 2), {"gates": gates, "slots": weights})

    def slot_keys(self) -> Tensor:
        """The keys w [J, D]."""
        return bag_of_words(self.words, self.embedding) if self.keys is None else self.keys

    def activate(self, inputs: Tensor) -> Tensor:
        """φ, of any shape."""
        if self.slope is not None:
            return F.prelu(inputs, self.slope) if len(self.slope) == 1 else _prelu_by_number(inputs, self.slope)
        return inputs.relu() if self.activation == "relu" else inputs

    def _read(self, sentences: Tensor, told: Tensor, counts: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Slots [B, J, D] after the last sentence, and gates [B, S, J] that are 0 where nothing is told."""
        # The longest stories come first, so that those still being told are the first rows.
        order = counts.argsort(descending=True, stable=True)
        rows = (counts[None] > torch.arange(sentences.shape[1], device=counts.device)[:, None]).sum(1).tolist()
        told = told[order]
        whole = bool((told.sum(1) == counts[order]).all())  # no empty memories
        sentences = sentences[order]
        of_sentences = (sentences @ self.of_sentences.T).unbind(1)
        of_keys, by_key = keys @ self.of_keys.T, sentences @ keys.T  # [J, D], [B, S, J]
        if self.gate_bias is not None and self.candidate_bias is not None:
            of_keys, by_key = of_keys + self.candidate_bias, by_key + self.gate_bias
        by_key = by_key.unbind(1)
        steps = sentences.unbind(1)
        slots = keys.expand(len(counts), -1, -1)
        ended, gates = [], []
        for step, count in enumerate(rows):
            if count < len(slots):
                ended.append(slots[count:])
                slots = slots[:count]
            here = None if whole else told[:count, step]
            slots, gate = update_slots(
                slots, steps[step][:count], by_key[step][:count], of_keys + of_sentences[step][:count, None], self, here
            )
            gates.append(F.pad(gate, (0, 0, 0, len(counts) - count)))
        slots = torch.cat([slots, *reversed(ended)])
        back = order.argsort()
        read = torch.stack(gates, 1) if gates else slots.new_zeros(len(slots), 0, slots.shape[1])
        return slots[back], read[back]


def update_slots(
    slots: Tensor, sentence: Tensor, by_key: Tensor, given: Tensor, network: EntityNetwork, told: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Slots [B, J, D] after a sentence, and their gates [B, J]; Henaff et al. 2017, section 2.2.

    Args:
        slots: [B, J, D], h.
        sentence: [B, D], s.
        by_key: [B, J], s·w, and the bias if there is one.
        given: [B, J, D], V w + W s, and the bias if there is one.
        network: has U and φ.
        told: bool [B]; elsewhere the slots stay as they are. Everywhere where it is not given.
    """
    gates = torch.sigmoid((slots @ sentence.unsqueeze(2)).squeeze(2) + by_key)
    candidates = network.activate(slots @ network.of_slots.T + given)
    updated = F.normalize(torch.addcmul(slots, gates.unsqueeze(2), candidates), dim=2)
    if told is None:
        return updated, gates
    return torch.where(told[:, None, None], updated, slots), gates * told[:, None]


def _prelu_by_number(inputs: Tensor, slope: Tensor) -> Tensor:
    """A slope [D] for each number of [..., D]; PyTorch's own has its slopes along the second dimension."""
    return torch.where(inputs > 0, inputs, inputs * slope)


def _check_words(keys: str, words: Any, sizes: Sizes) -> None:
    if not isinstance(words, list | tuple):
        raise ValueError(f"words is {words!r}: expected the numbers of words")
    if (keys == "words") != bool(words):
        raise ValueError(
            "keys are words: name their numbers with the option words"
            if keys == "words"
            else "the option words has numbers of words, but keys are free: set the option keys to words"
        )
    wrong = [one for one in words if isinstance(one, bool) or not isinstance(one, int) or not 0 < one < sizes.words]
    if wrong:
        raise ValueError(f"words has {wrong[0]!r}: expected numbers of words from 1 to {sizes.words - 1}")
