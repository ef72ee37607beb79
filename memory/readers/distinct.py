"""Sentences that come again, found so that what is made of each is made once.

Legend: L words of a sentence, X sentences that differ.
"""

from __future__ import annotations

import torch
from torch import Tensor


def distinct_sentences(words: Tensor) -> tuple[Tensor, Tensor]:
    """Each sentence once: stories repeat themselves, and a batch of them has few sentences that are new.

    Args:
        words: int64 [..., L].

    Returns:
        int64 [X, L], the sentences, and int64 [...], which of them is where. All of them, one by one, where more than
        half differ.
    """
    flat = words.reshape(-1, words.shape[-1])
    # One number for each sentence. It may overflow, and so what it says is checked.
    number = flat[:, 0].clone()
    for place in range(1, flat.shape[1]):
        number.mul_(_BASE).add_(flat[:, place])
    known, places = torch.unique(number, return_inverse=True)
    sentences = flat.new_empty(len(known), flat.shape[1])
    sentences[places] = flat
    if len(sentences) > len(flat) // 2 or not torch.equal(sentences[places], flat):
        return flat, torch.arange(len(flat), device=words.device).reshape(words.shape[:-1])
    return sentences, places.reshape(words.shape[:-1])


_BASE = 1_000_003
