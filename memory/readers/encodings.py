"""From the words of a sentence to one vector: bags of words, and bags that know the order.

Legend: L words of a sentence, D size of an embedding, V words, A answers, B batch.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from lukasa.memory.readers.reader import Sizes

Encoding = Literal["bag", "position"]

FEW_WORDS = 1024
"""Up to so many words one product with the table of counts is faster than looking each word up."""


def bag_of_words(words: Tensor, embedding: Tensor) -> Tensor:
    """The sum of the words' embeddings; Σ_j A x_j in Sukhbaatar et al. 2015, section 2.

    Args:
        words: int64 [..., L], 0 for none.
        embedding: [V, D]; what it has at 0 says nothing.

    Returns:
        [..., D].
    """
    return _weighted(words, (words > 0).to(embedding.dtype), embedding)


def position_encoding(words: Tensor, embedding: Tensor, blocks: int = 1) -> Tensor:
    """The words' embeddings, weighted by their place in the sentence; Σ_j l_j · A x_j in Sukhbaatar et al. 2015, 4.1.

    With J words in the sentence, l_kj = (1 − j/J) − (k/D)(1 − 2j/J), j and k from 1 on.

    Args:
        words: int64 [..., L], 0 for none, after the words.
        embedding: [V, D]; what it has at 0 says nothing.
        blocks: how many embeddings stand side by side in it, each with its own k from 1 on.

    Returns:
        [..., D].
    """
    there = (words > 0).to(embedding.dtype)
    place = torch.arange(1, words.shape[-1] + 1, device=words.device, dtype=embedding.dtype)
    share = place / there.sum(-1, keepdim=True).clamp(min=1)  # j/J
    size = embedding.shape[1] // blocks
    dimension = torch.arange(1, size + 1, device=words.device, dtype=embedding.dtype).repeat(blocks) / size  # k/D
    first = _weighted(words, there * (1 - share), embedding)
    return first - dimension * _weighted(words, there * (1 - 2 * share), embedding)


def masked_sum(words: Tensor, embedding: Tensor, masks: Tensor) -> Tensor:
    """The vectors s = Σ f_i ∘ e_i of sentences; Henaff et al. 2017, section 2.1.

    Args:
        words: int64 [..., L], 0 for none.
        embedding: [V, D]; what it has at 0 says nothing.
        masks: [at least L, D], f.

    Returns:
        [..., D].
    """
    there = (words > 0).to(embedding.dtype).unsqueeze(-1)
    return (nn.functional.embedding(words, embedding) * there * masks[: words.shape[-1]]).sum(-2)


def encode(words: Tensor, embedding: Tensor, encoding: Encoding, blocks: int = 1) -> Tensor:
    """The vectors [..., D] of sentences [..., L]; ``blocks`` as in ``position_encoding``."""
    return bag_of_words(words, embedding) if encoding == "bag" else position_encoding(words, embedding, blocks)


def word_embedding(sizes: Sizes, size: int, spread: float | None = None) -> nn.Parameter:
    """A matrix [V, D] of word embeddings; 0, no word, is read by no encoding.

    Args:
        sizes: of the questions.
        size: D.
        spread: standard deviation of the normal distribution that they are drawn from; 0.1 by default, as in Sukhbaatar
            et al. 2015, section 4.2.
    """
    return nn.Parameter(torch.randn(sizes.words, size) * (0.1 if spread is None else spread))


class AnswerScores(nn.Module):
    """A score for each answer: a linear layer, or how much its words resemble the output where answers are ranked.

    Args:
        sizes: of the questions.
        size: D of what is scored.
        bias: whether the linear layer has one.
        spread: as in ``word_embedding``; the linear layer's own default where there is none.
    """

    answer_words: Tensor

    def __init__(self, sizes: Sizes, size: int, *, bias: bool = True, spread: float | None = None):
        super().__init__()
        self.register_buffer("answer_words", sizes.answer_words, persistent=False)
        self.linear = self.embedding = None
        if sizes.ranked:
            self.embedding = word_embedding(sizes, size, spread)
            return
        self.linear = nn.Linear(size, sizes.answers, bias=bias)
        if spread is not None:
            nn.init.normal_(self.linear.weight, std=spread)

    def forward(self, output: Tensor) -> Tensor:
        """Of [B, D]: [B, A]."""
        if self.linear is not None:
            return self.linear(output)
        assert self.embedding is not None
        return output @ bag_of_words(self.answer_words, self.embedding).T


def _weighted(words: Tensor, weights: Tensor, embedding: Tensor) -> Tensor:
    """Σ_j weight_j · (embedding of word j): [..., D]."""
    flat, shares = words.reshape(-1, words.shape[-1]), weights.reshape(-1, words.shape[-1])
    if len(embedding) <= FEW_WORDS:
        counts = shares.new_zeros(len(flat), len(embedding)).scatter_add_(1, flat, shares)
        found = counts @ embedding
    else:
        found = nn.functional.embedding_bag(flat, embedding, mode="sum", per_sample_weights=shares)
    return found.reshape(*words.shape[:-1], embedding.shape[1])
