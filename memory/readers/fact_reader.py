"""A key-value memory network over a memory of very many facts, at a cost that does not grow with them.

Legend: B batch, Q words of a question, K facts read, H hops, D size of an embedding, V words, M right answers, G facts
that the search goes on from.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lukasa.memory.readers.fact_memory import FactMemory
from lukasa.memory.readers.kv_memory_network import KeyValueMemoryNetwork, key_and_value

FREQUENT = 1000
"""Words in more keys say little at first; F of key hashing."""


class FactReading(NamedTuple):
    """What was made of questions."""

    scores: Tensor  # [B, K], of the values of the facts read last
    answers: Tensor  # int64 [B, K], their words; 0 where there is none
    places: Tensor  # int64 [B, H, K], the facts that each hop looked at; -1 for none
    weights: Tensor  # [B, H, K], how much


class FactReader(nn.Module):
    """Answers questions from the facts that an index finds for each hop; an answer is the value of one of them.

    The first hop reads the K facts whose keys are nearest to the question. Each further hop reads those nearest to
    the values, through R_j, of the G facts that had most weight, K/G for each, but none that was read before: what the
    question says about the first facts it says again, and they would win.

    The word embedding gets a sparse gradient, so that a step of training costs the same for any number of words. Train
    it by plain SGD, which leaves rare words where they are; Adam moves each as far as a frequent one.

    Args:
        network: its embedding, hops and matrices are used; its answers are tied (B = A).
        memory: of the facts, with keys of the network's size.
        facts: K.
        beam: G.
        weighted: whether the score of an answer has the logarithm of its fact's last weight added; the paper's is the
            likeness of answer and state alone.
    """

    def __init__(
        self,
        network: KeyValueMemoryNetwork,
        memory: FactMemory,
        *,
        facts: int = 64,
        beam: int = 8,
        weighted: bool = False,
    ):
        super().__init__()
        if network.answer_embedding is not None or network.times is not None:
            raise ValueError("expected a network whose answers are tied (tied=True), and whose facts have no time")
        if network.value_words != 1 or memory.value_words != 1:
            raise ValueError("expected facts whose value is one word (value_words=1)")
        if facts % beam:
            raise ValueError(f"facts is {facts}: expected a multiple of beam, {beam}")
        self.network, self.facts, self.beam, self.weighted = network, facts, beam, weighted
        self.memory = memory

    def forward(self, question: Tensor, places: Tensor | None = None) -> FactReading:
        """Answer questions.

        Args:
            question: int64 [B, Q].
            places: int64 [B, K], the facts that the first hop reads, -1 for none; by default those the index finds.
        """
        network = self.network
        state = (F.embedding(question, network.embedding, sparse=True) * (question > 0).unsqueeze(2)).sum(1)
        places = self.memory.nearest(state, self.facts) if places is None else places
        keys, values, words = self._read(places)
        state, weights = network.hop(0, state, keys, values, places >= 0)
        found, looked = [places], [weights]
        for hop in range(1, network.hops):
            places = self._further(hop - 1, weights, values, torch.cat(found, 1))
            keys, values, words = self._read(places)
            state, weights = network.hop(hop, state, keys, values, places >= 0)
            found.append(places)
            looked.append(weights)
        scores = (values @ state.unsqueeze(2)).squeeze(2)
        if self.weighted:
            scores = scores + weights.clamp(min=torch.finfo(weights.dtype).tiny).log()  # log 0 where there is no fact
        scores = scores.masked_fill(places < 0, torch.finfo(values.dtype).min)
        return FactReading(scores, words, torch.stack(found, 1), torch.stack(looked, 1))

    def losses(self, question: Tensor, answers: Tensor) -> tuple[Tensor, FactReading]:
        """Nats [B] of the right answers together, among those that were read; 0 where none of them was.

        Args:
            question: int64 [B, Q].
            answers: int64 [B, M], the words of all right answers; -1 after.
        """
        reading = self(question)
        right = right_among(reading.answers, answers)
        least = torch.finfo(reading.scores.dtype).min
        losses = reading.scores.logsumexp(1) - reading.scores.masked_fill(~right, least).logsumexp(1)
        return torch.where(right.any(1), losses, 0), reading

    def _read(self, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The keys and values [B, K, D] of facts as they are now, with a gradient, and the words of the values."""
        words = self.memory.words(places)  # [B, K, L]
        some, compact = words.unique(return_inverse=True)
        # Few rows of the embedding, as one that is small; what is no word stays number 0.
        rows = F.embedding(some, self.network.embedding, sparse=True)
        if not len(some) or some[0] != 0:
            rows, compact = torch.cat([rows.new_zeros(1, rows.shape[1]), rows]), compact + 1
        keys, values = self.network.memories(compact, rows)
        return keys, values, _last(words)

    def _further(self, hop: int, weights: Tensor, values: Tensor, before: Tensor) -> Tensor:
        best = weights.detach().topk(min(self.beam, weights.shape[1]), 1).indices  # [B, G]
        read = values.detach().gather(1, best.unsqueeze(2).expand(-1, -1, values.shape[2]))
        with torch.no_grad():
            queries = self.network.between[hop](read)  # [B, G, D]
        each = self.facts // self.beam
        places = once(self.memory.nearest(queries.flatten(0, 1), each).reshape(len(read), best.shape[1] * each))
        return places.masked_fill((places.unsqueeze(2) == before.unsqueeze(1)).any(2), -1)


def once(places: Tensor) -> Tensor:
    """Places [B, K], with -1 where one was there before in its row, in ascending order."""
    ordered = places.sort(1).values
    again = torch.zeros_like(ordered, dtype=torch.bool)
    again[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return ordered.masked_fill(again, -1)


def right_among(found: Tensor, answers: Tensor) -> Tensor:
    """Bool [B, K], which of the words found [B, K] are among the right answers [B, M]; word 0 is none."""
    return (found.unsqueeze(2) == answers.unsqueeze(1)).any(2) & (found > 0)


def _last(words: Tensor) -> Tensor:
    """The last word of each fact [..., L]; 0 where there is none."""
    count = (words > 0).sum(-1, keepdim=True)
    return words.gather(-1, (count - 1).clamp(min=0)).squeeze(-1)


def start_with_rare_words(network: KeyValueMemoryNetwork, memory: FactMemory, length: float = 2.5) -> None:
    """Draw an embedding anew so that questions begin near the facts that share a rare word with them.

    What key hashing leaves out, words in more than F facts (Miller et al. 2016, section 3; F = 1,000, or a fiftieth of
    all facts where these are few) and words of questions alone, are close to 0 at first: a tenth as long as others.

    Args:
        network: whose embedding it is.
        memory: of the facts.
        length: of a rare word's vector, about; its square is what a shared word adds to the score of a key.
    """
    key, _ = key_and_value(memory.facts, memory.value_words)
    counts = torch.bincount(key.flatten().long(), minlength=len(network.embedding))
    values = torch.bincount(memory.facts.flatten().long(), minlength=len(network.embedding))
    common = (values == 0) | (counts > min(FREQUENT, len(memory.facts) // 50))
    with torch.no_grad():
        network.embedding.normal_(std=length / network.embedding.shape[1] ** 0.5)
        network.embedding[common] *= 0.1
