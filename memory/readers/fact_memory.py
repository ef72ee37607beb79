"""A memory of very many facts: an index finds those whose keys are nearest to a question, and only these are read.

Legend: B batch, X facts, L words of a fact, D size of an embedding, V words, K facts found, R queries.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lukasa.memory.readers.encodings import bag_of_words
from lukasa.memory.readers.kv_memory_network import key_and_value
from lukasa.memory.sparse.indexes import make_index

ENCODED_AT_ONCE = 1 << 16  # bounds the copies made while keys are encoded


class FactMemory:
    """Facts, their keys as vectors, and an index of the sparse memory that finds keys near a query.

    The keys are those of the embedding that was last given: training moves the embedding, and ``encode`` or
    ``refresh`` move the keys after it. Nothing here is differentiated; what is found is encoded again to be read.

    Args:
        facts: whole numbers [X, L], the words of each fact; 0 after them.
        size: D.
        value_words: words at the end of a fact that are its value; all before are its key.
        index: which finds the keys; a name that ``lukasa.memory.sparse.indexes.make_index`` takes.
        **options: of the index.

    Example:
        >>> memory = FactMemory(torch.tensor([[1, 3, 2], [2, 4, 1]]), size=2, index="exact")
        >>> memory.encode(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.1, 0.0], [0.0, 0.1]]))
        >>> memory.nearest(torch.tensor([[0.2, 0.9]]), 2)
        tensor([[1, 0]])
    """

    def __init__(self, facts: Tensor, size: int, *, value_words: int = 1, index: str = "faiss", **options: Any):
        self.facts, self.value_words = facts.to(torch.int32), value_words
        self.keys = torch.zeros(1, len(facts), size)
        self.index = make_index(
            index, batch_size=1, slots=len(facts), word_size=size, contents=lambda: self.keys, **options
        )

    def encode(self, embedding: Tensor) -> None:
        """Encode all keys by an embedding [V, D], and build the index anew; its cost grows with the facts."""
        for first in range(0, len(self.facts), ENCODED_AT_ONCE):
            last = first + ENCODED_AT_ONCE
            self.keys[0, first:last] = self._encoded(self.facts[first:last], embedding)
        self.index.rebuild(self.keys, torch.tensor([len(self.facts)]))

    def refresh(self, places: Tensor, embedding: Tensor) -> None:
        """Encode some keys again.

        Args:
            places: int64, of facts, each once.
            embedding: [V, D].
        """
        self.keys[0, places] = self._encoded(self.facts[places], embedding)
        self.index.update(torch.zeros_like(places), places, self.keys[0, places])

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        """The places [R, K] of the facts whose keys are most similar to each query [R, D]; -1 where there are fewer."""
        if not len(queries):
            return torch.zeros(0, k, dtype=torch.int64)
        return self.index.search(queries.detach().unsqueeze(0), k).squeeze(0)

    def words(self, places: Tensor) -> Tensor:
        """The facts at some places [..., K]: int64 [..., K, L]; no words at place -1."""
        return self.facts[places.clamp(min=0)].long().masked_fill((places < 0).unsqueeze(-1), 0)

    def _encoded(self, facts: Tensor, embedding: Tensor) -> Tensor:
        key, _ = key_and_value(facts.long(), self.value_words)
        with torch.no_grad():
            return bag_of_words(key, embedding)
