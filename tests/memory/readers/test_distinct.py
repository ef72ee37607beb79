"""Sentences that come again are found."""

import pytest
import torch

from lukasa.memory.readers.distinct import distinct_sentences


def test_each_sentence_is_found_once():
    words = torch.tensor([[[1, 2], [3, 0], [1, 2]], [[3, 0], [0, 0], [0, 0]]])
    sentences, places = distinct_sentences(words)
    assert len(sentences) == 3
    assert torch.equal(sentences[places], words)


def test_sentences_are_never_mistaken_for_one_another():
    # Both of these have the number 2,000,011 while words are counted as digits to the base 1,000,003.
    words = torch.tensor([[1, 1_000_008], [2, 5]]).repeat(4, 1)
    sentences, places = distinct_sentences(words)
    assert torch.equal(sentences[places], words)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3), (1, 1), (3, 2, 1)])
def test_any_number_of_sentences(shape):
    words = torch.ones(shape, dtype=torch.int64)
    sentences, places = distinct_sentences(words)
    assert torch.equal(sentences[places], words)
    assert places.shape == shape[:-1]
